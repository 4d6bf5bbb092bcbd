"""Handigit reads handwritten numbers.

    >>> from handigit import Reader
    >>> Reader().digit("seven.png").value
    7

The names below are the whole public interface. They are loaded when first used, so that `import handigit` is instant
and what only trains never loads what only reads.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Reader": "handigit.read.reader",
    "open_pages": "handigit.images",
    "show": "handigit.read.display",
    "to_dataframe": "handigit.read.display",
    "Box": "handigit.records",
    "Digit": "handigit.records",
    "Number": "handigit.records",
    "Outcome": "handigit.records",
    "HandigitError": "handigit.errors",
    "ImageError": "handigit.errors",
    "UnreadableImage": "handigit.errors",
    "ImageTooLarge": "handigit.errors",
    "DataError": "handigit.errors",
    "BadDataFile": "handigit.errors",
    "DownloadError": "handigit.errors",
    "ModelError": "handigit.errors",
    "PatternError": "handigit.errors",
    "ReadingCancelled": "handigit.errors",
    "RecipeError": "handigit.errors",
    "RunError": "handigit.errors",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from handigit.errors import BadDataFile as BadDataFile
    from handigit.errors import DataError as DataError
    from handigit.errors import DownloadError as DownloadError
    from handigit.errors import HandigitError as HandigitError
    from handigit.errors import ImageError as ImageError
    from handigit.errors import ImageTooLarge as ImageTooLarge
    from handigit.errors import ModelError as ModelError
    from handigit.errors import PatternError as PatternError
    from handigit.errors import ReadingCancelled as ReadingCancelled
    from handigit.errors import RecipeError as RecipeError
    from handigit.errors import RunError as RunError
    from handigit.errors import UnreadableImage as UnreadableImage
    from handigit.images import open_pages as open_pages
    from handigit.read.display import show as show
    from handigit.read.display import to_dataframe as to_dataframe
    from handigit.read.reader import Reader as Reader
    from handigit.records import Box as Box
    from handigit.records import Digit as Digit
    from handigit.records import Number as Number
    from handigit.records import Outcome as Outcome


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'handigit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
