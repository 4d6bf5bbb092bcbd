"""Pages of a pile that wait for the other pages of their form: a few in memory, the rest on disk."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from handigit.forms.page_ink import Grey

Key = tuple[str, int]
_IN_MEMORY: Final = 8


class HeldPages:
    """Pixels of pages by their source and number; the files go when the object does.

    Args:
        in_memory: Number of pages that are held in memory.

    Raises:
        OSError: no space for the others.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._pages: dict[Key, Grey | Path] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._numbers = count()

    def put(self, key: Key, page: Grey) -> None:
        """Hold a page; one with the same key is replaced."""
        self.pop(key)
        if sum(isinstance(held, np.ndarray) for held in self._pages.values()) < self._in_memory:
            self._pages[key] = page
            return
        self._folder = self._folder or TemporaryDirectory()
        file = Path(self._folder.name) / f"{next(self._numbers)}.npy"
        np.save(file, page)
        self._pages[key] = file

    def pop(self, key: Key) -> Grey | None:
        """A page, which is not held any more; None if it was not."""
        held = self._pages.pop(key, None)
        if not isinstance(held, Path):
            return held
        page: Grey = np.load(held)
        held.unlink()
        return page
