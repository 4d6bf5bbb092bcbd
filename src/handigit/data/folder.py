"""A folder of images by class: `0/`, `1/`, ... `9/`, each with pictures of that digit; or two such, `train/`, `test/`.

It knows which file belongs to which class, not what makes a file a picture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from handigit.data.dataset import CLASSES, Dataset
from handigit.data.pictures import Picture, read_pictures
from handigit.errors import BadDataFile
from handigit.images import Limits

_NAMES = tuple(str(digit) for digit in range(CLASSES))


def load_folder(path: Path, *, part: Literal["train", "test"], limits: Limits) -> Dataset:
    """The pictures in the class folders, in order of class and file name; hidden files are no pictures.

    What cannot be read, or is blank, is named in `Dataset.skipped`. Without a folder of the part's name the whole
    folder is both parts.

    Raises:
        BadDataFile: no class folders, one of another name than 0 to 9, or no picture that can be used.
    """
    root = path / part if (path / part).is_dir() else path
    try:
        pictures = list(_pictures(root))
    except OSError as problem:
        raise BadDataFile(f"{root}: cannot be looked into: {problem.strerror}; check who may read it") from None
    return read_pictures(pictures, name=path.name, limits=limits)


def _pictures(root: Path) -> Iterator[Picture]:
    for folder in _class_folders(root):
        for file in sorted(folder.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                yield Picture(f"{folder.name}/{file.name}", file, int(folder.name))


def _class_folders(root: Path) -> list[Path]:
    """The folders 0 to 9 that are there; not every digit must be."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    strange = [folder.name for folder in folders if folder.name not in _NAMES]
    if strange:
        raise BadDataFile(f"{root}: folder {strange[0]!r} is no class; name the class folders 0, 1, ... 9")
    if not folders:
        raise BadDataFile(f"{root}: has no class folders; put the images into folders named 0, 1, ... 9")
    return folders
