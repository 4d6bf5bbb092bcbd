"""Disk space held in reserve: SQLite needs room even to delete readings from a full disk."""

import os
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 4 * 2**20
"""Deleting 500 readings with their corrections writes about 1 MB to SQLite's log."""


class Reserve:
    """A file of zeros beside the database; releasing it gives its space back to the disk."""

    def __init__(self, path: Path, *, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def fill(self) -> None:
        """Allocate the file if it is missing; on a full disk, leave it for later."""
        if self._path.exists():
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(handle, "wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(handle, 0, self._size)
                else:
                    stream.write(bytes(self._size))  # written, because a sparse file would hold no space
        except OSError:
            self.release()

    def release(self) -> bool:
        """Delete the file; whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
