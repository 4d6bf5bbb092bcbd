"""A request's body -> the pictures in it: one as raw bytes, or many as a form's files.

How the bytes are gathered is `gathered.py`'s. File names are only text. It does not look into the pictures beyond their
first bytes.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Final

from PIL import BmpImagePlugin, JpegImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile
from starlette.requests import Request

from handigit.web.multipart import Form, Gathered
from handigit.web.problems import BAD_REQUEST, Problem

_LONGEST_NAME: Final = 200
_SMALL_BYTES: Final = 256 * 1024
_SMALL_PX: Final = 2_000_000
_SINGLE: Final = (b"\x89P", b"\xff\xd8", b"RI", b"BM")
"""How formats begin that hold one page: PNG, JPEG, WebP, BMP."""
_PLUGINS: Final[dict[bytes, Callable[[Any], ImageFile]]] = {
    b"\xff\xd8": JpegImagePlugin.JpegImageFile,
    b"RI": WebPImagePlugin.WebPImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}
"""What reads the headers of the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One file: what its sender calls it, and its bytes or an open file with them."""

    name: str
    content: "bytes | Spooled"

    @property
    def is_small(self) -> bool:
        """Whether it is a single picture that is read in milliseconds, so that it may share a batch with others."""
        content = self.content
        if not isinstance(content, bytes) or len(content) > _SMALL_BYTES:
            return False
        return content.startswith(_SINGLE) and _pixels(content) <= _SMALL_PX


class Spooled:
    """A large file: read like any other, called in errors as its sender called it."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self.name = name
        self.seekable = lambda: True
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; all that are left without a size."""
        return self._file.read(size)


@asynccontextmanager
async def uploads_of(request: Request, *, most: int, name: str) -> AsyncIterator[list[Upload]]:
    """The files in a request, kept while the block lasts.

    Raises:
        Problem: a form that is broken, has too many parts, or no file; no bytes at all.
    """
    kind = request.headers.get("content-type", "")
    is_form = kind.lower().startswith("multipart/form-data")
    form = Form(kind, most=most) if is_form else None
    files = form.files if form else [Gathered(name)]
    try:
        await (form.gather(request.stream()) if form else _gather(files[0], request.stream()))
        if not files:
            raise Problem(BAD_REQUEST, "the form has no file; add each picture as a part with a filename")
        yield [_upload(file) for file in files]
    finally:
        for file in files:
            file.close()


def clean_name(name: str | None) -> str:
    """A file's name as text to show: no control characters, not too long."""
    shown = "".join(letter for letter in name or "" if letter.isprintable())[:_LONGEST_NAME]
    return shown or "upload"


async def _gather(file: Gathered, chunks: AsyncIterator[bytes]) -> None:
    """Take the body itself."""
    async for chunk in chunks:
        file.add(chunk)
        await file.settle()
    if not file.size:
        raise Problem(BAD_REQUEST, "the request has no body; send a picture's bytes, or a form of files")


def _upload(file: Gathered) -> Upload:
    name, content = clean_name(file.name), file.content()
    return Upload(name, content if isinstance(content, bytes) else Spooled(content, name))


def _pixels(content: bytes) -> int:
    """Pixels promised by the header; 0 where it cannot be read, which costs little to find out again."""
    if content.startswith(b"\x89PNG"):
        return int.from_bytes(content[16:20]) * int.from_bytes(content[20:24])
    try:
        # The plugins themselves: `Image.open` would warn of sizes that are ours to judge.
        picture = _PLUGINS[content[:2]](BytesIO(content))
    except Exception:  # Pillow's plugins raise nearly anything on broken files
        return 0
    return int(picture.width * picture.height)
