"""MNIST (LeCun, Cortes & Burges): which four files it is, what they must contain, and where they can be had.

It does not know how a download goes on after a break: that is `fetch.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from handigit.data.dataset import Dataset
from handigit.data.download import USUAL, Arrival, KnownFile, Patience, Progress, fetch_local
from handigit.data.idx import read_pair
from handigit.errors import BadDataFile, DataError, DownloadError

FOLDER = "mnist"
COUNTS = {"train": 60_000, "test": 10_000}

_TRAIN_IMAGES = KnownFile(
    name="train-images-idx3-ubyte",
    size=47_040_016,
    sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
_TRAIN_LABELS = KnownFile(
    name="train-labels-idx1-ubyte",
    size=60_008,
    sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
_TEST_IMAGES = KnownFile(
    name="t10k-images-idx3-ubyte",
    size=7_840_016,
    sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
_TEST_LABELS = KnownFile(
    name="t10k-labels-idx1-ubyte",
    size=10_008,
    sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
_PAIRS = {"train": (_TRAIN_IMAGES, _TRAIN_LABELS), "test": (_TEST_IMAGES, _TEST_LABELS)}
FILES = (_TRAIN_IMAGES, _TRAIN_LABELS, _TEST_IMAGES, _TEST_LABELS)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",  # PyTorch's
    "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


def load_mnist(folder: Path, *, part: Literal["train", "test"]) -> Dataset:
    """One part of MNIST from the folder that holds its files, packed or unpacked; glyphs are its images as they are.

    Only the counts are checked here; the content was when it was fetched.

    Raises:
        DataError: a file is missing; the message says how to get it.
        BadDataFile: a file is damaged, or is not MNIST's.
    """
    images, labels = (_find(file, folder) for file in _PAIRS[part])
    pictures, numbers = read_pair(images, labels)
    if pictures.shape != (COUNTS[part], 28, 28):
        raise BadDataFile(f"{images}: holds {pictures.shape}, not MNIST's {COUNTS[part]} images of 28x28; fetch again")
    return Dataset(f"mnist {part}", pictures, numbers)


def fetch_mnist(
    folder: Path,
    *,
    origin: Path | None = None,
    mirrors: Sequence[str] = MIRRORS,
    patience: Patience = USUAL,
    progress: Progress | None = None,
) -> tuple[Arrival, ...]:
    """Bring MNIST's files to `folder`/mnist: from the network, or from a local folder or archive, `origin`.

    Raises:
        DownloadError: no mirror had the right content; each is named with its reason.
        DataError: `origin` lacks a file, or a file cannot be written.
    """
    if origin is not None:
        return fetch_local(FILES, origin=origin, folder=folder / FOLDER)
    try:
        # Here and not above: who only loads data needs no HTTP client, and the base install has none.
        from handigit.data.download import fetch
    except ModuleNotFoundError as problem:
        raise DownloadError(
            f"downloading needs {problem.name}: pip install 'handigit[train]'; or give the files with --from"
        ) from None
    return fetch(FILES, mirrors=mirrors, folder=folder / FOLDER, patience=patience, progress=progress)


def _find(file: KnownFile, folder: Path) -> Path:
    if path := file.find(folder):
        return path
    raise DataError(f"MNIST's {file.name} is not in {folder}; run `handigit data fetch`, or set HANDIGIT_DATA")
