"""MNIST (LeCun, Cortes & Burges): its four files, their digests, and the mirrors that serve them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from handigit.data.dataset import Dataset
from handigit.data.download import DEFAULT_POLICY, Download, KnownFile, Progress, RetryPolicy, fetch, fetch_local
from handigit.data.idx import read_pair
from handigit.errors import BadDataFile, DataError, DownloadError

FOLDER = "mnist"
COUNTS = {"train": 60_000, "test": 10_000}

_TRAIN_IMAGES = KnownFile(
    name="train-images-idx3-ubyte",
    size=47_040_016,
    sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    packed_sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
)
_TRAIN_LABELS = KnownFile(
    name="train-labels-idx1-ubyte",
    size=60_008,
    sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    packed_sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
)
_TEST_IMAGES = KnownFile(
    name="t10k-images-idx3-ubyte",
    size=7_840_016,
    sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    packed_sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
)
_TEST_LABELS = KnownFile(
    name="t10k-labels-idx1-ubyte",
    size=10_008,
    sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    packed_sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
_PAIRS = {"train": (_TRAIN_IMAGES, _TRAIN_LABELS), "test": (_TEST_IMAGES, _TEST_LABELS)}
FILES = (_TRAIN_IMAGES, _TRAIN_LABELS, _TEST_IMAGES, _TEST_LABELS)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",  # PyTorch's
    "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


def load_mnist(folder: Path, *, part: Literal["train", "test"]) -> Dataset:
    """One part of MNIST from the folder that holds its files, packed or unpacked; its images are used unchanged.

    Only the counts are checked here; digests are checked by `fetch_mnist`.

    Raises:
        DataError: a file is missing; the message explains how to get it.
        BadDataFile: a file is damaged, or is not MNIST's.
    """
    images, labels = (_find(file, folder) for file in _PAIRS[part])
    pictures, digits = read_pair(images, labels)
    if pictures.shape != (COUNTS[part], 28, 28):
        raise BadDataFile(f"{images}: holds {pictures.shape}, not MNIST's {COUNTS[part]} images of 28x28; fetch again")
    return Dataset(f"mnist {part}", pictures, digits)


def fetch_mnist(
    folder: Path,
    *,
    origin: Path | None = None,
    mirrors: Sequence[str] = MIRRORS,
    policy: RetryPolicy = DEFAULT_POLICY,
    progress: Progress | None = None,
) -> tuple[Download, ...]:
    """Bring MNIST's files to `folder`/mnist, from the network or from `origin`, a local folder or archive.

    Raises:
        DownloadError: no mirror had the right content; each is named with its reason.
        DataError: `origin` lacks a file, or a file cannot be written.
    """
    if origin is not None:
        return fetch_local(FILES, origin=origin, folder=folder / FOLDER)
    try:
        return fetch(FILES, mirrors=mirrors, folder=folder / FOLDER, policy=policy, progress=progress)
    except ModuleNotFoundError as error:
        raise DownloadError(
            f'downloading needs {error.name}: pip install "handigit[train]"; or give the files with --from'
        ) from None


def _find(file: KnownFile, folder: Path) -> Path:
    if path := file.find(folder):
        return path
    raise DataError(f"MNIST's {file.name} is not in {folder}; run `handigit data fetch`, or set HANDIGIT_DATA")
