"""Files, folders, patterns and archives to the files that hold pages."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".pdf"})
_PIECES: Final = re.compile(r"(\d+)")


def expand(sources: str | Path | Iterable[str | Path]) -> Iterator[Path]:
    """The files of files, folders (with all below them) and patterns, in the order given; folders by number and name.

    A path that is not there is given as it is, so that opening it says so.
    """
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = Path(source)
        if path.is_dir():
            yield from _sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        elif not path.exists() and any(sign in str(path) for sign in "*?["):
            yield from _sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
        else:
            yield path


def _sorted(paths: Iterable[Path]) -> list[Path]:
    """By folders and names, numbers by their value: page2 before page10."""
    return sorted(paths, key=lambda path: [
        [int(piece) if piece.isdecimal() else piece.lower() for piece in _PIECES.split(part)] for part in path.parts
    ])  # fmt: skip
