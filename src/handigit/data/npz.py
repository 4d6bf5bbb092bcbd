"""NumPy archives: other people's `images` or Keras's `x_train`, and our own with finished `glyphs`.

`images` may have any size and either polarity, so they are normalised like any picture; `glyphs` already are. Keras's
`mnist.npz` holds MNIST's own normalisation, which is kept. Arrays of other names are ignored; pickled ones are refused.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt8

from handigit.atomic import write_file
from handigit.data.dataset import Dataset, check_labels
from handigit.data.pictures import Picture, read_pictures
from handigit.errors import BadDataFile
from handigit.images import Limits

Arrays = dict[str, Shaped[np.ndarray, "..."]]

_MAX_BYTES = 4 << 30
_MAX_RATIO = 200
"""Handwriting compresses to a fifth, a blank set to a hundredth; deflated zeros to a thousandth."""
_RATIO_CHECKED_FROM = 64 << 20


def load_npz(path: Path, *, part: Literal["train", "test"], limits: Limits) -> Dataset:
    """A set from an archive; without `is_test` or Keras's names, both parts are the whole set.

    Raises:
        BadDataFile: not an archive of arrays, too large when unpacked, arrays of the wrong type or of different
            lengths, or no usable image.
    """
    arrays = _read_arrays(path)
    if "glyphs" in arrays:
        return _load_own(arrays, path)
    if f"x_{part}" in arrays:
        return _load_keras(arrays, path, part)
    if "images" not in arrays and {"data", "shape"} <= arrays.keys():
        return _load_ragged(arrays, path, limits)
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.ndim not in (3, 4):
        contents = ", ".join(f"{key} {value.dtype}{value.shape}" for key, value in arrays.items()) or "nothing"
        raise BadDataFile(
            f"{path}: needs images, uint8 (count, height, width[, channels]), or Keras's x_train and y_train; "
            f"it holds {contents}"
        )
    selected = np.flatnonzero(_select_part(arrays, len(images), part, path))
    labels = _labels(arrays.get("labels"), len(images), path)
    pictures = (
        Picture(f"{path.name}[{i}]", images[i], None if labels is None else int(labels[i])) for i in selected.tolist()
    )
    return read_pictures(pictures, name=path.stem, limits=limits)


def load_names(name: str, *, folder: Path, skipped: Sequence[str]) -> Shaped[np.ndarray, " n"]:
    """The name of each sample of a set of non-digits (`labels` or `chars`), without the skipped pictures.

    Raises:
        BadDataFile: not an archive of arrays, or one without names.
    """
    path = next(
        path for path in (folder / "nondigits" / f"{name}.npz", folder / f"{name}.npz", Path(name)) if path.is_file()
    )
    arrays = _read_arrays(path)
    names = arrays.get("labels", arrays.get("chars"))
    if names is None:
        raise BadDataFile(
            f"{path}: has neither labels nor chars, so {name}@COUNT cannot count by label; write {name}:COUNT"
        )
    return np.delete(names, [int(reason.split("[")[1].split("]")[0]) for reason in skipped])


def save_npz(dataset: Dataset, path: Path) -> None:
    """Write a set with its name and skipped inputs; `load_npz` returns an equal one.

    Raises:
        DataError: the file cannot be written.
    """
    arrays: Arrays = {"name": np.array(dataset.name), "glyphs": dataset.glyphs}
    if dataset.labels is not None:
        arrays["labels"] = dataset.labels
    arrays["skipped"] = np.array(dataset.skipped, dtype=np.str_)
    with write_file(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _read_arrays(path: Path) -> Arrays:
    """Every array of the archive."""
    try:
        with path.open("rb") as stream:
            _check_unpacked_size(stream, path)
            with np.load(stream, allow_pickle=False) as archive:
                return {key: np.asarray(archive[key]) for key in archive.files}
    except BadDataFile:
        raise
    except Exception as error:  # on a damaged file NumPy and zipfile raise nearly anything, MemoryError too
        raise BadDataFile(f"{path}: not a .npz of plain arrays: {error}; write it with numpy.savez") from None


def _check_unpacked_size(stream: object, path: Path) -> None:
    """Refuse a decompression bomb from the archive's directory; zipfile unpacks no more than the directory declares."""
    with zipfile.ZipFile(stream) as archive:  # type: ignore[call-overload]
        entries = archive.infolist()
    unpacked, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if unpacked > _MAX_BYTES or (unpacked > _RATIO_CHECKED_FROM and unpacked > _MAX_RATIO * packed):
        raise BadDataFile(
            f"{path}: would unpack to {unpacked / 1e6:,.0f} MB from {packed / 1e6:,.1f} MB; the limits are "
            f"{_MAX_BYTES / 1e6:,.0f} MB and {_MAX_RATIO} to 1; split the set, or save it with numpy.savez"
        )
    stream.seek(0)  # type: ignore[attr-defined]


def _load_own(arrays: Arrays, path: Path) -> Dataset:
    """A set that `save_npz` wrote."""
    glyphs = arrays["glyphs"]
    if glyphs.dtype != np.uint8 or glyphs.shape[1:] != (28, 28):
        raise BadDataFile(f"{path}: glyphs must be uint8 (count, 28, 28), not {glyphs.dtype} {glyphs.shape}")
    name, skipped = str(arrays.get("name", path.stem)), arrays.get("skipped", np.array([], dtype=np.str_))
    labels = _labels(arrays.get("labels"), len(glyphs), path)
    return Dataset(name, glyphs, labels, tuple(str(reason) for reason in skipped.ravel()))


def _load_keras(arrays: Arrays, path: Path, part: str) -> Dataset:
    """A set with Keras's names: `x_train`, `y_train`, `x_test`, `y_test`; flat or square images, bytes or 0..1."""
    glyphs = _as_glyph_bytes(arrays[f"x_{part}"], f"{path}: x_{part}")
    return Dataset(f"{path.stem} {part}", glyphs, _labels(arrays.get(f"y_{part}"), len(glyphs), path))


def _load_ragged(arrays: Arrays, path: Path, limits: Limits) -> Dataset:
    """Images of different sizes: all pixels in a row in `data`, heights and widths in `shape` (n, 2)."""
    data, shape = arrays["data"], arrays["shape"]
    if (
        shape.ndim != 2
        or shape.shape[1] != 2
        or shape.dtype.kind not in "iu"
        or data.dtype != np.uint8
        or data.ndim != 1
    ):
        raise BadDataFile(
            f"{path}: data must be uint8 (pixels,) and shape integers (count, 2), not {data.dtype} {data.shape} "
            f"and {shape.dtype} {shape.shape}"
        )
    sizes = shape.astype(np.int64)
    ends = np.cumsum(sizes.prod(axis=1))
    if (sizes < 1).any() or len(data) != (ends[-1] if len(ends) else 0):
        raise BadDataFile(f"{path}: shape describes {ends[-1] if len(ends) else 0:,} pixels, data has {len(data):,}")
    labels = _labels(arrays.get("labels"), len(sizes), path)
    parts = zip(np.split(data, ends[:-1]), sizes.tolist(), strict=True)
    pictures = (
        Picture(f"{path.name}[{i}]", part.reshape(size), None if labels is None else int(labels[i]))
        for i, (part, size) in enumerate(parts)
    )
    return read_pictures(pictures, name=path.stem, limits=limits)


def _as_glyph_bytes(images: Shaped[np.ndarray, "..."], source: str) -> UInt8[np.ndarray, "n 28 28"]:
    """Images (count, 28, 28), (count, 28, 28, 1) or (count, 784), of 0..255 or floats of 0..1, as bytes."""
    if not images.ndim or images.dtype.kind not in "iuf" or images.size != images.shape[0] * 784:
        raise BadDataFile(f"{source} must be (count, 28, 28) or (count, 784), not {images.dtype} {images.shape}")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    scale = 255 if images.dtype.kind == "f" and high <= 1 else 1
    if not 0 <= low <= high <= 255:
        raise BadDataFile(f"{source} has values from {low:g} to {high:g}; give 0..255, or floats of 0..1")
    glyphs: UInt8[np.ndarray, "n 28 28"] = np.rint(images.reshape(-1, 28, 28) * scale).astype(np.uint8)
    return glyphs


def _labels(labels: Shaped[np.ndarray, "..."] | None, count: int, path: Path) -> Int64[np.ndarray, " n"] | None:
    """The labels as integers, from (count,) or (count, 1); None if there are none."""
    if labels is not None and labels.dtype.kind == "U":
        if not all(label.isdecimal() for label in labels.ravel()[:1000].tolist()):  # names, as sets of non-digits have
            return None
        labels = np.array([int(label) if label.isdecimal() else -1 for label in labels.ravel().tolist()])
    if labels is None:
        return None
    flat = labels.ravel() if labels.shape[1:] in ((), (1,)) else labels
    whole = flat.dtype.kind in "iu" or (flat.dtype.kind == "f" and bool(np.all(flat == np.rint(flat))))
    if flat.ndim != 1 or not whole:
        raise BadDataFile(f"{path}: labels must be integers (count,), not {labels.dtype} {labels.shape}")
    check_labels(flat.astype(np.int64), count=count, source=str(path))
    return flat.astype(np.int64)


def _select_part(arrays: Arrays, count: int, part: str, path: Path) -> Bool[np.ndarray, " n"]:
    """Mask of the images that belong to the part."""
    is_test = arrays.get("is_test")
    if is_test is None:
        return np.ones(count, dtype=bool)
    if is_test.shape != (count,):
        raise BadDataFile(f"{path}: is_test has shape {is_test.shape} for {count} images; give one flag per image")
    mask: Bool[np.ndarray, " n"] = is_test.astype(bool) == (part == "test")
    return mask
