"""Data sets by name or path: which loader a source needs."""

from pathlib import Path
from typing import Literal

from handigit.data.dataset import Dataset
from handigit.data.idx import labels_beside, read_pair
from handigit.data.mnist import FOLDER as MNIST
from handigit.data.mnist import load_mnist
from handigit.data.npz import load_npz
from handigit.data.pictures import Picture, load_folder, read_pictures
from handigit.data.table import load_table
from handigit.errors import DataError
from handigit.images import Limits

Part = Literal["train", "test"]
DEFAULT_LIMITS = Limits()
_SUBFOLDERS = ("digits", "nondigits")


def load(source: str, *, folder: Path, part: Part = "train", limits: Limits = DEFAULT_LIMITS) -> Dataset:
    """A data set: `mnist`; the stem of an `.npz` in `folder`, its digits/ or its nondigits/; or a path.

    A path is the images' file of an IDX pair, a `.csv`, a `.npz`, or a folder: of images by class, or with IDX pairs
    for both parts. Names take precedence over paths: write `./mnist` for your own folder. A set that does not
    distinguish its parts is returned whole for either; `overlap` reveals that.

    Raises:
        DataError: no such set; or BadDataFile, its child: the content does not match the format.
    """
    if source == MNIST:
        return load_mnist(folder / MNIST, part=part)
    path = _find_source(source, folder)
    if path.is_dir():
        images = _find_idx_images(path, part)
        if images is None and any(path.glob("*images*idx3*")):
            raise DataError(f"{path}: has no {part} images; name them {part}-images-idx3-ubyte, beside their labels")
        return load_pair(images, limits=limits) if images else load_folder(path, part=part, limits=limits)
    if path.suffix.lower() == ".npz":
        return load_npz(path, part=part, limits=limits)
    return load_table(path) if path.suffix.lower() in (".csv", ".tsv") else load_pair(path, limits=limits)


def load_pair(images: Path, *, limits: Limits) -> Dataset:
    """An IDX pair by its images' file; 28x28 is used unchanged, any other size is normalised.

    Raises:
        BadDataFile: as `read_pair` and `labels_beside`.
    """
    pictures, labels = read_pair(images, labels_beside(images))
    name = images.name.removesuffix(".gz")
    if pictures.shape[1:] == (28, 28):
        return Dataset(name, pictures, labels)
    named = (Picture(f"{name}[{i}]", pictures[i], int(label)) for i, label in enumerate(labels))
    return read_pictures(named, name=name, limits=limits)


def known_sets(folder: Path) -> list[str]:
    """The names that `load` finds in a data folder."""
    patterns = ("*.npz", *(f"{subfolder}/*.npz" for subfolder in _SUBFOLDERS))
    archives = {path.stem for pattern in patterns for path in folder.glob(pattern)}
    return [*([MNIST] if (folder / MNIST).is_dir() else []), *sorted(archives)]


def _find_source(source: str, folder: Path) -> Path:
    """The path of a set given by name or path.

    Raises:
        DataError: there is none; the message lists the known names.
    """
    archives = [folder / subfolder / f"{source}.npz" for subfolder in ("", *_SUBFOLDERS)]
    candidates = (*archives, Path(source), folder / source)
    if path := next((path for path in candidates if path.exists()), None):
        return path
    raise DataError(
        f"no data set named {source!r}, and no file or folder of that path; {folder} has: "
        f"{', '.join(known_sets(folder)) or 'nothing yet'}; run `handigit data fetch`, or set HANDIGIT_DATA"
    )


def _find_idx_images(folder: Path, part: Part) -> Path | None:
    """The images' file of a part, among IDX files named as MNIST's or EMNIST's are."""
    marks = ("train",) if part == "train" else ("t10k", "test")
    files = sorted(file for file in folder.glob("*images*idx3*") if file.suffix != ".part")
    return next((file for file in files if any(mark in file.name for mark in marks)), None)
