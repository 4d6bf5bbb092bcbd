"""A file's content whether it is gzipped or not: its first bytes tell, never its name.

It does not know what the content means.
"""

import gzip
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"

DAMAGE = (OSError, EOFError, zlib.error)
"""What reading a packed file can raise; gzip.BadGzipFile is an OSError."""


def is_packed(path: Path) -> bool:
    """Whether the file is gzipped."""
    with path.open("rb") as raw:
        return raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def open_unpacked(path: Path) -> BufferedIOBase:
    """The unpacked content as a stream; closing it closes the file."""
    return gzip.open(path, "rb") if is_packed(path) else path.open("rb")


def read_at_most(read: Callable[[int], bytes], count: int) -> bytes:
    """Up to `count` bytes from a stream's `read`, in blocks: a header's promise of terabytes allocates nothing."""
    blocks = []
    while count and (block := read(min(count, 1 << 20))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)
