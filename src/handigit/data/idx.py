"""IDX, the format of MNIST's files: a magic number, the dimensions, then the values, big-endian; gzipped or not.

Two zero bytes, one for the type, one for the count of dimensions, four for each dimension (LeCun, Cortes & Burges,
"The MNIST database of handwritten digits"). It knows the format and how its pairs are named, not which sets exist.
"""

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from handigit.atomic import replacing
from handigit.data.dataset import check_labels
from handigit.data.download import DAMAGE, open_unpacked, read_at_most
from handigit.errors import BadDataFile

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 16
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}

Images = UInt8[np.ndarray, "n height width"]
Labels = Int64[np.ndarray, " n"]


def read_idx(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array in an IDX file, in the machine's byte order.

    Raises:
        BadDataFile: missing, not IDX, cut short, or longer than its header says.
    """
    try:
        with open_unpacked(path) as stream:
            kind, shape = _read_header(stream.read, path)
            promised = math.prod(shape) * kind.itemsize
            content = read_at_most(stream.read, promised + 1)
    except DAMAGE as problem:
        raise BadDataFile(f"{path}: cannot be read: {problem}; fetch or copy it again") from None
    if len(content) < promised:
        raise BadDataFile(f"{path}: cut short: {len(content)} of {promised} bytes after the header; copy it again")
    if len(content) > promised:
        raise BadDataFile(f"{path}: goes on after the {promised} bytes its header promises; copy it again")
    return np.frombuffer(content, kind).reshape(shape).astype(kind.newbyteorder("="))


def write_idx(path: Path, array: Shaped[np.ndarray, "..."]) -> None:
    """Write an array as IDX, gzipped if the name ends in `.gz`; equal arrays give equal bytes.

    Raises:
        BadDataFile: a type that IDX cannot hold, such as int64.
    """
    kind = array.dtype.newbyteorder(">")
    if kind not in _CODES:
        raise BadDataFile(f"{path}: IDX cannot hold {array.dtype}; give uint8, int8, int16, int32, float32 or float64")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, _CODES[kind], array.ndim, *array.shape)
    content = header + array.astype(kind).tobytes()
    with replacing(path) as stream:
        # No time stamp inside, so that a copy made tomorrow has the same bytes.
        stream.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_pair(images: Path, labels: Path) -> tuple[Images, Labels]:
    """Images of any size and the digit on each.

    Raises:
        BadDataFile: as `read_idx`, or arrays that are not pictures and their labels, one each, 0..9.
    """
    pictures, numbers = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or pictures.dtype != np.uint8:
        raise BadDataFile(f"{images}: holds {_words(pictures)}, not pictures of bytes (count, height, width)")
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise BadDataFile(f"{labels}: holds {_words(numbers)}, not one whole number an image")
    check_labels(numbers, count=len(pictures), source=str(labels))
    return pictures, numbers.astype(np.int64)


def labels_beside(images: Path) -> Path:
    """The labels' file of a pair, found by its name: `x-images-idx3-ubyte` goes with `x-labels-idx1-ubyte`.

    Raises:
        BadDataFile: the name has no "images" in it, or there is no such file beside it.
    """
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for candidate in (images.with_name(name), images.with_name(name + ".gz")):
        if candidate != images and candidate.is_file():
            return candidate
    raise BadDataFile(
        f"{images}: no labels beside it ({name}, or the same with .gz); a set is a .npz, a .csv, a folder of images by "
        "class, or an IDX pair named ...-images-idx3-ubyte and ...-labels-idx1-ubyte"
    )


def _read_header(read: Callable[[int], bytes], path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Element type and shape.

    Raises:
        BadDataFile: a wrong magic number, or an end within the header.
    """
    start = read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= _MOST_DIMENSIONS:
        raise BadDataFile(
            f"{path}: not an IDX file: it starts with {start.hex() or 'nothing'}, where MNIST's images have 00000803 "
            "and its labels 00000801; give an IDX file, gzipped or not"
        )
    sizes = read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise BadDataFile(f"{path}: cut short within its header; copy it again")
    return np.dtype(_TYPES[start[2]]), struct.unpack(f">{start[3]}I", sizes)


def _words(array: Shaped[np.ndarray, "..."]) -> str:
    return f"{array.dtype} of shape {array.shape}"
