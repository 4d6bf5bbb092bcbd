"""Pictures of single digits, any size and either polarity, as a set of glyphs.

The way from pixels to a glyph is `handigit.images`'; here is only what becomes of a picture that has none: it is
named, skipped and counted. It does not know where the pictures come from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from handigit.data.dataset import Dataset
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
