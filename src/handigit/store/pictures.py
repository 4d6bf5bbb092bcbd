"""A folder of pictures, each named by the SHA-256 of its bytes.

It knows files, not tables: whether a picture is still wanted is said by others.
"""

import hashlib
import io
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.store.errors import NotInStore, StoreError

_FAST = 1  # zlib's level: a scanned page becomes a tenth larger than at the default level, three times as fast
_SUFFIX = ".png"
_LONGEST_WRITE_S = 3600


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as it is kept: PNG bytes without metadata, their SHA-256, and the size in pixels."""

    sha256: str
    content: bytes
    width: int
    height: int


def encode(page: UInt8[np.ndarray, "..."]) -> Picture:
    """Pixels as PNG; equal pixels give equal bytes.

    Raises:
        StoreError: an array that is neither (height, width) nor (height, width, 3).
    """
    if page.size == 0 or not (page.ndim == 2 or (page.ndim == 3 and page.shape[2] == 3)):
        raise StoreError(f"a page of shape {page.shape} cannot be kept; give (height, width) or (height, width, 3)")
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "PNG", compress_level=_FAST)
    content = stream.getvalue()
    return Picture(hashlib.sha256(content).hexdigest(), content, width=page.shape[1], height=page.shape[0])


class Pictures:
    """The folder: `ab/cdef....png` for the picture whose digest begins with `abcdef`.

    Raises:
        StoreError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StoreError(f"{folder}: cannot be made: {problem.strerror}; choose another place") from None

    def path(self, sha256: str) -> Path:
        """Where a picture lies, or would."""
        return self.folder / sha256[:2] / f"{sha256[2:]}{_SUFFIX}"

    def put(self, sha256: str, content: bytes) -> None:
        """Put a picture there, whole or not at all, and on disk when this returns; one that is there stays.

        Raises:
            StoreError: the disk refuses.
        """
        path = self.path(sha256)
        if path.exists():
            return
        part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part")
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                _sync_folder(self.folder)
            _write(part, content)
            part.replace(path)
            _sync_folder(path.parent)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise StoreError(f"a picture cannot be kept: {problem.strerror}; make room in {self.folder}") from None

    def read(self, sha256: str) -> bytes:
        """A picture's bytes.

        Raises:
            NotInStore: no such file.
        """
        try:
            return self.path(sha256).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotInStore(
                f"no picture {sha256[:16]}...; it was deleted, or the store was moved without it"
            ) from None

    def remove(self, sha256: str) -> None:
        """Delete a picture; one that is not there is no error."""
        self.path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """The digests of all that is there, by their names."""
        for path in sorted(self.folder.glob(f"??/[!.]*{_SUFFIX}")):
            yield path.parent.name + path.stem

    def parts(self) -> Iterator[Path]:
        """What writers that were killed have left half-written."""
        yield from self.folder.glob("??/.*.part")

    def drop_parts(self) -> int:
        """Delete what is half-written and older than an hour: no writer takes so long; how many there were."""
        old = [part for part in self.parts() if part.stat().st_mtime < time.time() - _LONGEST_WRITE_S]
        for part in old:
            part.unlink(missing_ok=True)
        return len(old)

    def is_whole(self, sha256: str) -> bool:
        """Whether a picture is there with the bytes that its name promises."""
        try:
            return hashlib.sha256(self.path(sha256).read_bytes()).hexdigest() == sha256
        except OSError:
            return False


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    """Make a rename last: it is the folder that holds names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
