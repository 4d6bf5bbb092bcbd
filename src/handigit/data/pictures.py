"""Pictures of single digits, any size and either polarity, as a set of glyphs.

`handigit.images` finds the glyph; a picture that has none is named and skipped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from handigit.data.dataset import CLASSES, Dataset
from handigit.errors import BadDataFile, ImageError
from handigit.images import Limits, find_digit, open_pages

_MAX_REASONS = 3
_CLASS_NAMES = tuple(str(digit) for digit in range(CLASSES))


@dataclass(frozen=True, eq=False)
class Picture:
    """A training picture: its name for messages, its file or pixels, and its digit if known."""

    name: str
    source: Path | UInt8[np.ndarray, "..."]
    label: int | None


def read_pictures(pictures: Iterable[Picture], *, name: str, limits: Limits) -> Dataset:
    """Every picture's glyph and label; a file of several pages gives one glyph per page.

    Raises:
        BadDataFile: there is no picture, or none of them is usable.
    """
    glyphs: list[UInt8[np.ndarray, "28 28"]] = []
    labels: list[int | None] = []
    skipped: list[str] = []
    for picture in pictures:
        try:
            found = [np.rint(glyph * 255).astype(np.uint8) for glyph in _find_glyphs(picture, limits)]
        except ImageError as error:
            # A file's error begins with its whole path; the name within the set is shorter.
            skipped.append(f"{picture.name}: {str(error).removeprefix(f'{picture.source}: ')}")
            continue
        glyphs += found
        labels += [picture.label] * len(found)
    if not glyphs:
        if not skipped:
            raise BadDataFile(f"{name}: holds no images; give a set with at least one")
        raise BadDataFile(f"{name}: none of its {len(skipped)} images is usable: {'; '.join(skipped[:_MAX_REASONS])}")
    known = [label for label in labels if label is not None]
    return Dataset(
        name=name,
        glyphs=np.stack(glyphs),
        labels=np.array(known, np.int64) if len(known) == len(labels) else None,
        skipped=tuple(skipped),
    )


def load_folder(path: Path, *, part: Literal["train", "test"], limits: Limits) -> Dataset:
    """The pictures in the class folders, in order of class and file name; hidden files are ignored.

    Unreadable and blank pictures are listed in `Dataset.skipped`. Without a sub-folder named after the part, both
    parts are the whole folder.

    Raises:
        BadDataFile: no class folders, one with another name than 0 to 9, or no usable picture.
    """
    root = path / part if (path / part).is_dir() else path
    try:
        pictures = list(_list_pictures(root))
    except OSError as error:
        raise BadDataFile(f"{root}: cannot be opened: {error.strerror}; check its permissions") from None
    return read_pictures(pictures, name=path.name, limits=limits)


def _find_glyphs(picture: Picture, limits: Limits) -> Iterator[Float32[np.ndarray, "28 28"]]:
    """The glyph of each page.

    Raises:
        ImageError: the picture cannot be read, or a page has no ink.
    """
    for number, page in enumerate(open_pages(picture.source, limits=limits), start=1):
        found = find_digit(page)
        if found is None:
            raise ImageError(f"page {number} is blank; there is no digit to learn from")
        yield found.glyph


def _list_pictures(root: Path) -> Iterator[Picture]:
    for folder in _class_folders(root):
        for file in sorted(folder.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                yield Picture(f"{folder.name}/{file.name}", file, int(folder.name))


def _class_folders(root: Path) -> list[Path]:
    """The existing folders among 0 to 9; some classes may be missing."""
    folders = sorted(
        entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__", "@"))
    )
    unknown = [folder.name for folder in folders if folder.name not in _CLASS_NAMES]
    if unknown:
        raise BadDataFile(f"{root}: folder {unknown[0]!r} is not a class; name the class folders 0, 1, ... 9")
    if not folders:
        raise BadDataFile(f"{root}: has no class folders; put the images into folders named 0, 1, ... 9")
    return folders
