"""A data set by its name or path: which loader a source needs.

It knows where sets lie and what tells their kinds apart; each kind's format is its own module's.
"""

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
USUAL_LIMITS = Limits()
_PLACES = ("digits", "nondigits")


def load(source: str, *, folder: Path, part: Part = "train", limits: Limits = USUAL_LIMITS) -> Dataset:
    """A data set: `mnist`, the stem of an `.npz` in `folder`, its digits or its nondigits, or a path.

    A path is the images' file of an IDX pair, a `.csv`, a `.npz`, or a folder: of images by class, or with IDX pairs
    for both parts. A name goes before a path: write `./mnist` for a folder of yours. A set that does not tell its
    parts apart is whole under either name: `overlap` says so.

    Raises:
        DataError: no such set; or BadDataFile, a child of it: the set's content is not what its format says.
    """
    if source == MNIST:
        return load_mnist(folder / MNIST, part=part)
    path = _locate(source, folder)
    if path.is_dir():
        pair = _idx_images(path, part)
        return load_pair(pair, limits=limits) if pair else load_folder(path, part=part, limits=limits)
    if path.suffix == ".npz":
        return load_npz(path, part=part, limits=limits)
    return load_table(path) if path.suffix == ".csv" else load_pair(path, limits=limits)


def load_pair(images: Path, *, limits: Limits) -> Dataset:
    """An IDX pair by its images' file; 28x28 is taken as MNIST's normalisation, any other size is normalised.

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
    """The names under which `load` finds something in a data folder."""
    archives = {
        path.stem for pattern in ("*.npz", *(f"{place}/*.npz" for place in _PLACES)) for path in folder.glob(pattern)
    }
    return [*([MNIST] if (folder / MNIST).is_dir() else []), *sorted(archives)]


def _locate(source: str, folder: Path) -> Path:
    """Where a named or given set lies.

    Raises:
        DataError: nowhere; the message lists the names that would do.
    """
    archives = [folder / place / f"{source}.npz" for place in ("", *_PLACES)]
    places = (*archives, Path(source), folder / source)
    if found := next((place for place in places if place.exists()), None):
        return found
    raise DataError(
        f"no data set named {source!r}, and no file or folder of that path; {folder} has: "
        f"{', '.join(known_sets(folder)) or 'nothing yet'}; run `handigit data fetch`, or set HANDIGIT_DATA"
    )


def _idx_images(folder: Path, part: Part) -> Path | None:
    """The images' file of a part among IDX files named as MNIST's or EMNIST's are."""
    marks = ("train",) if part == "train" else ("t10k", "test")
    files = sorted(file for file in folder.glob("*images*idx3*") if file.suffix != ".part")
    return next((file for file in files if any(mark in file.name for mark in marks)), None)
