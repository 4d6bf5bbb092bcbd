"""A folder of pictures, each named by the SHA-256 of its bytes."""

import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.atomic import is_disk_full, sync_folder, write_file
from handigit.store.errors import NotInStore, StoreError, StoreFull

_PNG_LEVEL: Final = 1
"""zlib level: scanned pages become a tenth larger than at the default level, but are written three times as fast."""
_MAX_WRITE_S: Final = 3600
"""Part files older than this belong to a writer that was killed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as it is stored: PNG bytes without metadata, their SHA-256, and the size in pixels."""

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
        raise StoreError(f"a page of shape {page.shape} cannot be stored; give (height, width) or (height, width, 3)")
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "PNG", compress_level=_PNG_LEVEL)
    content = stream.getvalue()
    return Picture(hashlib.sha256(content).hexdigest(), content, width=page.shape[1], height=page.shape[0])


class Pictures:
    """The folder: `ab/cdef....png` holds the picture whose digest begins with `abcdef`. Files are private (0600).

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise StoreError(f"{folder}: cannot be made: {problem.strerror}; choose another folder") from None

    def path(self, sha256: str) -> Path:
        """The path of a picture, whether it exists or not."""
        return self.folder / sha256[:2] / f"{sha256[2:]}.png"

    def put(self, sha256: str, content: bytes, *, verify: bool = True) -> None:
        """Write a picture whole or not at all; it is on disk when this returns.

        An existing file stays. With `verify` it is read first and replaced if it is damaged.

        Raises:
            StoreFull: the disk is full.
            StoreError: the disk refuses for another reason.
        """
        path = self.path(sha256)
        if path.exists() and (not verify or self.is_whole(sha256)):
            return
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self.folder)
            with write_file(path, error=StoreError, durable=True, private=True) as stream:
                stream.write(content)
        except (OSError, StoreError) as problem:
            cause = problem if isinstance(problem, OSError) else problem.__cause__
            kind = StoreFull if isinstance(cause, OSError) and is_disk_full(cause) else StoreError
            raise kind(f"a picture cannot be stored: {cause}; make room in {self.folder}") from problem

    def read(self, sha256: str) -> bytes:
        """The bytes of a picture.

        Raises:
            NotInStore: no such file.
        """
        try:
            return self.path(sha256).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotInStore(
                f"no picture {sha256[:16]}...; it was deleted, or the store was moved without its pictures"
            ) from None

    def read_verified(self, sha256: str) -> bytes:
        """The bytes of a picture, checked against the digest in its name.

        Raises:
            NotInStore: no such file, or a damaged one.
        """
        content = self.read(sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NotInStore(f"picture {sha256[:16]}... is damaged; bring it back from a backup")
        return content

    def remove(self, sha256: str) -> None:
        """Delete a picture; a missing one is no error."""
        self.path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """The digests of all files, in order of their names."""
        for path in sorted(self.folder.glob("??/[!.]*.png")):
            yield path.parent.name + path.stem

    def parts(self) -> Iterator[Path]:
        """Half-written files that killed writers have left."""
        yield from self.folder.glob("??/.*.part")

    def drop_parts(self) -> int:
        """Delete the part files of killed writers; the number of them."""
        old = [part for part in self.parts() if part.stat().st_mtime < time.time() - _MAX_WRITE_S]
        for part in old:
            part.unlink(missing_ok=True)
        return len(old)

    def is_whole(self, sha256: str) -> bool:
        """Whether a picture exists and its bytes have the digest that its name promises."""
        try:
            self.read_verified(sha256)
        except (NotInStore, OSError):
            return False
        return True
