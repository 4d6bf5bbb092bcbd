"""Find the pictures that a command line names: files, folders and patterns."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from handigit.errors import ImageError, UnreadableImage

STDIN: Final = Path("<stdin>")
"""Standard input in a list of paths."""
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pdf"})
"""Suffixes that are read in a folder; a file named explicitly is recognised by its content alone."""
HEIC_SUFFIXES: Final = frozenset({".heic", ".heif"})
"""Read with the `heic` extra."""
_SYSTEM_FOLDERS: Final = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
_SYSTEM_FILES: Final = frozenset({"thumbs.db", "desktop.ini"})


@dataclass
class Found:
    """Pictures in natural order, an error for each path without one, and counts of skipped files by suffix."""

    items: list[Path | ImageError] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def pictures(self) -> int:
        """Number of pictures found."""
        return sum(isinstance(item, Path) for item in self.items)


def find_pictures(paths: Iterable[Path], *, exclude: Path | None = None) -> Found:
    """The pictures named by paths, folders (searched recursively, by suffix) and patterns.

    Hidden files, thumbnails and system folders (`__MACOSX`, `@eaDir`) are ignored, as is `exclude`, the folder that
    annotated pictures are written to. A path that exists is never taken as a pattern.
    """
    found = Found()
    for path in paths:
        before = len(found.items), found.skipped.total()
        if path == STDIN or path.is_file():
            found.items.append(path)
        elif path.is_dir():
            found.items += _in_folder(path, found.skipped, exclude)
        else:
            found.items += _matching(path)
        if before == (len(found.items), found.skipped.total()):
            found.items.append(
                UnreadableImage(f"{path}: no picture there; give a file, a folder or a pattern in quotes")
            )
    return found


def suffixes() -> frozenset[str]:
    """The suffixes that this installation reads."""
    return SUFFIXES | HEIC_SUFFIXES if find_spec("pillow_heif") else SUFFIXES


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key with numbers by value: scan2 before scan10."""
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _in_folder(folder: Path, skipped: Counter[str], exclude: Path | None) -> list[Path | ImageError]:
    files: list[Path] = []
    errors: list[Path | ImageError] = []
    readable = suffixes()

    def report(problem: OSError) -> None:
        errors.append(
            UnreadableImage(f"{problem.filename}: cannot be searched ({problem.strerror}); check permissions")
        )

    for root, folders, names in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if _is_visible(name) and not _is_same(Path(root, name), exclude)]
        for name in names:
            if not _is_visible(name) or name.lower() in _SYSTEM_FILES:
                continue
            suffix = Path(name).suffix.lower()
            if suffix in readable:
                files.append(Path(root, name))
            else:
                skipped[suffix or "no suffix"] += 1
    return [*sorted(files, key=natural_key), *errors]


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name not in _SYSTEM_FOLDERS and not name.lower().startswith("thumbnails")


def _is_same(path: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and path.samefile(other)


def _matching(pattern: Path) -> list[Path | ImageError]:
    """Files that match a pattern. Leading parts that exist are literal, so that a folder may be called "[2024]"."""
    base, parts = Path(pattern.anchor or "."), list(pattern.relative_to(pattern.anchor).parts)
    while len(parts) > 1 and (base / parts[0]).is_dir():
        base /= parts.pop(0)
    try:
        files = [path for path in base.glob(str(Path(*parts))) if path.is_file() and _is_visible(path.name)]
    except (ValueError, NotImplementedError) as problem:
        return [UnreadableImage(f"{pattern}: not a valid pattern ({problem}); use * and ? as in scans/*.png")]
    files.sort(key=natural_key)
    return [*files]


def names(skipped: Counter[str]) -> str:
    """Skipped suffixes, the most frequent first: ".heic", or "2 .heic, 1 .txt" where there are several."""
    if len(skipped) == 1:
        return next(iter(skipped))
    return ", ".join(f"{count} {suffix}" for suffix, count in skipped.most_common())
