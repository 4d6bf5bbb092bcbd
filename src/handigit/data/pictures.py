"""Pictures of single digits, any size and either polarity, as a set of glyphs.

The way from pixels to a glyph is `handigit.images`'; here is only what becomes of a picture that has none: it is
named, skipped and counted. It does not know where the pictures come from.
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

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture to learn from: what to call it, where its pixels are, and the digit on it if known."""

    name: str
    source: Path | UInt8[np.ndarray, "..."]
    label: int | None


def read_pictures(pictures: Iterable[Picture], *, name: str, limits: Limits) -> Dataset:
    """Every picture's glyph and label; a file of several pages gives one glyph a page.

    Raises:
        BadDataFile: there is no picture, or none of them could be used.
    """
    glyphs: list[UInt8[np.ndarray, "28 28"]] = []
    labels: list[int | None] = []
    skipped: list[str] = []
    for picture in pictures:
        try:
            found = [_as_bytes(glyph) for glyph in _glyphs(picture, limits)]
        except ImageError as problem:
            # A file's error begins with its whole path; the name in the set says it shorter.
            skipped.append(f"{picture.name}: {str(problem).removeprefix(f'{picture.source}: ')}")
            continue
        glyphs += found
        labels += [picture.label] * len(found)
    if not glyphs:
        raise BadDataFile(_none_usable(name, skipped))
    known = [label for label in labels if label is not None]
    return Dataset(
        name=name,
        glyphs=np.stack(glyphs),
        labels=np.array(known, np.int64) if len(known) == len(labels) else None,
        skipped=tuple(skipped),
    )


def _glyphs(picture: Picture, limits: Limits) -> Iterator[Float32[np.ndarray, "28 28"]]:
    """The glyph of each page.

    Raises:
        ImageError: the picture cannot be read, or a page has no ink.
    """
    for number, page in enumerate(open_pages(picture.source, limits=limits)):
        found = find_digit(page)
        if found is None:
            raise ImageError(f"page {number + 1} is blank; there is no digit to learn from")
        yield found.glyph


def _as_bytes(glyph: Float32[np.ndarray, "28 28"]) -> UInt8[np.ndarray, "28 28"]:
    in_bytes: UInt8[np.ndarray, "28 28"] = np.rint(glyph * 255).astype(np.uint8)
    return in_bytes


def _none_usable(name: str, skipped: list[str]) -> str:
    if not skipped:
        return f"{name}: holds no images; give a set with at least one"
    return f"{name}: none of its {len(skipped)} images can be used: {'; '.join(skipped[:_SHOWN])}"


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
