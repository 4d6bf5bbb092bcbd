"""IDX, the format of MNIST's files: a magic number, the dimensions, then the values, big-endian; gzipped or not.

Two zero bytes, one byte for the type, one for the number of dimensions, four for each dimension (LeCun, Cortes &
Burges, "The MNIST database of handwritten digits").
"""

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from handigit.atomic import write_file
from handigit.data.dataset import check_labels
from handigit.data.download import DAMAGE, open_unpacked, read_at_most
from handigit.errors import BadDataFile

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}
_MAX_DIMENSIONS = 16
_MAX_BYTES = 8 << 30
"""A gzipped file of 8 MB can claim, and hold, 8 GB of zeros."""
_MIN_ONES = 5
_ONES_SAMPLED = 500
_SIDEWAYS = 1.25
"""The median 1 is this much wider than tall in a transposed set; upright, MNIST's is 0.4 times as wide as tall."""

Images = UInt8[np.ndarray, "n height width"]
Labels = Int64[np.ndarray, " n"]


def read_idx(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array in an IDX file, in the machine's byte order.

    Raises:
        BadDataFile: missing, not IDX, truncated, or longer than its header declares.
    """
    try:
        with open_unpacked(path) as stream:
            kind, shape = _read_header(stream.read, path)
            expected = math.prod(shape) * kind.itemsize
            if expected > _MAX_BYTES:
                raise BadDataFile(f"{path}: its header claims {expected} bytes; the maximum is {_MAX_BYTES}")
            content = read_at_most(stream.read, expected + 1)
    except DAMAGE as error:
        raise BadDataFile(f"{path}: cannot be read: {error}; fetch or copy it again") from None
    if len(content) < expected:
        raise BadDataFile(f"{path}: truncated: {len(content)} of {expected} bytes after the header; copy it again")
    if len(content) > expected:
        raise BadDataFile(f"{path}: continues after the {expected} bytes in its header; copy it again")
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
    with write_file(path) as stream:
        # mtime=0: no time stamp inside, so equal content gives equal bytes.
        stream.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_pair(images: Path, labels: Path) -> tuple[Images, Labels]:
    """Images of any size, upright, and their digits.

    EMNIST's files (Cohen et al. 2017), known by their names, store each image transposed; they are turned back.

    Raises:
        BadDataFile: as `read_idx`; arrays that are not images with one label 0..9 each; or images lying on their side.
    """
    pictures, digits = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or pictures.dtype != np.uint8:
        raise BadDataFile(f"{images}: holds {_describe(pictures)}, not 8-bit images (count, height, width)")
    if digits.ndim != 1 or digits.dtype.kind not in "iu":
        raise BadDataFile(f"{labels}: holds {_describe(digits)}, not one integer per image")
    check_labels(digits, count=len(pictures), source=str(labels))
    if _lie_sideways(pictures, digits):
        if "emnist" not in images.name.lower():
            raise BadDataFile(
                f"{images}: its 1s lie on their side, so its images are rotated or transposed; turn them upright, or "
                "name the files emnist-... if they are stored as EMNIST's are (rows and columns swapped)"
            )
        pictures = np.ascontiguousarray(pictures.transpose(0, 2, 1))
    return pictures, digits.astype(np.int64)


def labels_beside(images: Path) -> Path:
    """The labels' file of a pair: `x-images-idx3-ubyte` belongs with `x-labels-idx1-ubyte`.

    Raises:
        BadDataFile: the name lacks "images", or there is no such file in the folder.
    """
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for candidate in (images.with_name(name), images.with_name(name + ".gz")):
        if candidate != images and candidate.is_file():
            return candidate
    raise BadDataFile(
        f"{images}: its labels' file is missing ({name}, or the same with .gz); a set is a .npz, a .csv, a folder of "
        "images by class, or an IDX pair named ...-images-idx3-ubyte and ...-labels-idx1-ubyte"
    )


def _read_header(read: Callable[[int], bytes], path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Element type and shape.

    Raises:
        BadDataFile: a wrong magic number, or an end within the header.
    """
    start = read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= _MAX_DIMENSIONS:
        raise BadDataFile(
            f"{path}: not an IDX file: it starts with {start.hex() or 'nothing'}, where MNIST's images have 00000803 "
            "and its labels 00000801; give an IDX file, gzipped or not"
        )
    sizes = read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise BadDataFile(f"{path}: truncated within its header; copy it again")
    return np.dtype(_TYPES[start[2]]), struct.unpack(f">{start[3]}I", sizes)


def _lie_sideways(pictures: Images, digits: Shaped[np.ndarray, " n"]) -> bool:
    """Whether the median 1 is wider than it is tall; False if there are too few to know."""
    ones = pictures[np.flatnonzero(digits == 1)[:_ONES_SAMPLED]]
    extents = [cv2.boundingRect((glyph > 96).view(np.uint8))[2:] for glyph in ones]
    ratios = [width / height for width, height in extents if width and height]
    return len(ratios) >= _MIN_ONES and float(np.median(ratios)) > _SIDEWAYS


def _describe(array: Shaped[np.ndarray, "..."]) -> str:
    return f"{array.dtype} of shape {array.shape}"
