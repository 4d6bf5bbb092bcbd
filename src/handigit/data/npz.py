"""NumPy archives: foreign ones with `images` (and `labels`, `is_test`), and our own with finished `glyphs`.

`images` may have any size and either polarity, so they are normalised like any picture; the name `glyphs` says that
this has been done. Arrays of other names are left alone. Nothing is unpickled.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from handigit.atomic import replacing
from handigit.data.dataset import Dataset, check_labels
from handigit.data.pictures import Picture, read_pictures
from handigit.errors import BadDataFile
from handigit.images import Limits

Arrays = dict[str, Shaped[np.ndarray, "..."]]


def load_npz(path: Path, *, part: Literal["train", "test"], limits: Limits) -> Dataset:
    """A set from an archive; without `is_test` the whole of it is both parts.

    Raises:
        BadDataFile: not an archive of arrays, arrays of the wrong kind or of different lengths, or no usable image.
    """
    arrays = _read_arrays(path)
    if "glyphs" in arrays:
        return _own(arrays, path)
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.ndim not in (3, 4):
        held = ", ".join(f"{key} {value.dtype}{value.shape}" for key, value in arrays.items()) or "nothing"
        raise BadDataFile(f"{path}: needs images, uint8 (count, height, width[, channels]); it holds {held}")
    chosen = np.flatnonzero(_in_part(arrays, len(images), part, path))
    labels = _labels(arrays, len(images), path)
    pictures = (
        Picture(f"{path.name}[{i}]", images[i], None if labels is None else int(labels[i])) for i in chosen.tolist()
    )
    return read_pictures(pictures, name=path.stem, limits=limits)


def save_npz(dataset: Dataset, path: Path) -> None:
    """Keep a set with all that it knows of itself; `load_npz` gives it back equal.

    Raises:
        DataError: the file cannot be written.
    """
    arrays: Arrays = {"name": np.array(dataset.name), "glyphs": dataset.glyphs}
    if dataset.labels is not None:
        arrays["labels"] = dataset.labels
    arrays["skipped"] = np.array(dataset.skipped, dtype=np.str_)
    with replacing(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _read_arrays(path: Path) -> Arrays:
    """Every array of the archive."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: np.asarray(archive[key]) for key in archive.files}
    except Exception as problem:  # on a damaged file NumPy and zipfile raise nearly anything, MemoryError too
        raise BadDataFile(f"{path}: not a .npz of plain arrays: {problem}; write it with numpy.savez") from None


def _own(arrays: Arrays, path: Path) -> Dataset:
    """A set that `save_npz` wrote."""
    glyphs = arrays["glyphs"]
    if glyphs.dtype != np.uint8 or glyphs.shape[1:] != (28, 28):
        raise BadDataFile(f"{path}: glyphs must be uint8 (count, 28, 28), not {glyphs.dtype} {glyphs.shape}")
    name, skipped = str(arrays.get("name", path.stem)), arrays.get("skipped", np.array([], dtype=np.str_))
    return Dataset(name, glyphs, _labels(arrays, len(glyphs), path), tuple(str(reason) for reason in skipped.ravel()))


def _labels(arrays: Arrays, count: int, path: Path) -> Int64[np.ndarray, " n"] | None:
    """The labels, if the archive has any."""
    labels = arrays.get("labels")
    if labels is None:
        return None
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise BadDataFile(f"{path}: labels must be whole numbers (count,), not {labels.dtype} {labels.shape}")
    check_labels(labels, count=count, source=str(path))
    return labels.astype(np.int64)


def _in_part(arrays: Arrays, count: int, part: str, path: Path) -> Bool[np.ndarray, " n"]:
    """Which images belong to the wanted part."""
    is_test = arrays.get("is_test")
    if is_test is None:
        return np.ones(count, dtype=bool)
    if is_test.shape != (count,):
        raise BadDataFile(f"{path}: is_test has shape {is_test.shape} for {count} images; give one flag an image")
    wanted: Bool[np.ndarray, " n"] = is_test.astype(bool) == (part == "test")
    return wanted
