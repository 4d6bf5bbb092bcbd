"""Files whose content is known before they come: is this the one, and into its place with it.

It does not know where the bytes come from; `fetch.py` and `local.py` bring them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handigit.data.unpacked import DAMAGE, is_packed, open_unpacked

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes of it that are here, and the bytes it has in all, if that is known."""

ALREADY_THERE = "already there"


@dataclass(frozen=True)
class KnownFile:
    """A file by its name, size (bytes) and SHA-256, all of the unpacked content."""

    name: str
    size: int
    sha256: str

    @property
    def packed_name(self) -> str:
        """What mirrors call it."""
        return f"{self.name}.gz"

    @property
    def most_bytes(self) -> int:
        """No honest copy is longer: gzip adds little even to what it cannot shrink."""
        return self.size + self.size // 1000 + 4096

    def find(self, folder: Path) -> Path | None:
        """Where it lies in a folder, packed or not; its content is not looked at."""
        return next((p for p in (folder / self.packed_name, folder / self.name) if p.is_file()), None)

    def is_content_of(self, path: Path) -> bool:
        """Whether a file's unpacked content is this one's; at most one byte more than its size is unpacked."""
        digest, left = hashlib.sha256(), self.size + 1
        try:
            with open_unpacked(path) as stream:
                while left and (block := stream.read(min(left, 1 << 20))):
                    digest.update(block)
                    left -= len(block)
        except DAMAGE:
            return False
        return digest.hexdigest() == self.sha256


@dataclass(frozen=True)
class Arrival:
    """Where a file now lies, and where it came from: a mirror, a local path, or `already there`."""

    path: Path
    origin: str


@dataclass(frozen=True)
class Patience:
    """How long to wait for a mirror: silence in seconds, tries at each mirror, pause before each further try."""

    stall_s: float = 20.0
    attempts: int = 4
    pause_s: float = 0.5


USUAL = Patience()


def already_there(file: KnownFile, folder: Path) -> Arrival | None:
    """The file, if the folder has it with the right content."""
    path = file.find(folder)
    return Arrival(path, ALREADY_THERE) if path and file.is_content_of(path) else None


def part_of(file: KnownFile, folder: Path) -> Path:
    """Where the bytes gather until they are whole: beside the place, so that the last step is one rename."""
    return folder / f"{file.packed_name}.part"


def accept(part: Path, file: KnownFile, *, origin: str) -> Arrival | None:
    """Move the gathered bytes into place if they are the right ones; throw them away if not."""
    if not part.is_file() or not file.is_content_of(part):
        part.unlink(missing_ok=True)
        return None
    packed = is_packed(part)
    place = part.with_name(file.packed_name if packed else file.name)
    part.replace(place)
    if not packed:
        # A wrong packed copy would be found first.
        part.with_name(file.packed_name).unlink(missing_ok=True)
    return Arrival(place, origin)
