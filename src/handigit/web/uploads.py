"""A request's body -> the pictures in it: one as raw bytes, or many as a form's files.

What is larger than a megabyte lies in a temporary file without a name, never in memory. File names are only text. It
does not look into the pictures beyond their first bytes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from PIL import BmpImagePlugin, JpegImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from handigit.web.problems import BAD_REQUEST, Problem

IN_MEMORY: Final = 2**20
"""Bytes of one file that are held in memory; Starlette's forms do the same."""
_LONGEST_NAME: Final = 200
_MOST_FIELDS: Final = 16
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
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        form = await _form(request, most)
        try:
            yield await _files_of(form.multi_items())
        finally:
            await form.close()
    else:
        with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            yield [await _raw(request, file, clean_name(name))]


def clean_name(name: str | None) -> str:
    """A file's name as text to show: no control characters, not too long."""
    shown = "".join(letter for letter in name or "" if letter.isprintable())[:_LONGEST_NAME]
    return shown or "upload"


async def _form(request: Request, most: int) -> FormData:
    try:
        return await request.form(max_files=most, max_fields=_MOST_FIELDS, max_part_size=_SMALL_BYTES)
    except HTTPException as refusal:
        raise Problem(BAD_REQUEST, f"{refusal.detail} Send one picture as the body, or a form of files.") from None


async def _files_of(items: Iterable[tuple[str, Any]]) -> list[Upload]:
    files = [value for _, value in items if isinstance(value, UploadFile)]
    if not files:
        raise Problem(BAD_REQUEST, "the form has no file; add each picture as a part with a filename")
    return [await _upload(file) for file in files]


async def _upload(file: UploadFile) -> Upload:
    name = clean_name(file.filename)
    if (file.size or 0) > IN_MEMORY:
        return Upload(name, Spooled(file.file, name))
    return Upload(name, await file.read())


async def _raw(request: Request, file: Any, name: str) -> Upload:
    """The body itself; chunks stay in memory until there are too many."""
    size = 0
    small: list[bytes] = []
    async for chunk in request.stream():
        size += len(chunk)
        if size <= IN_MEMORY:
            small.append(chunk)
            continue
        await asyncio.to_thread(file.writelines, [*small, chunk])
        small.clear()
    if not size:
        raise Problem(BAD_REQUEST, "the request has no body; send a picture's bytes, or a form of files")
    if size <= IN_MEMORY:
        return Upload(name, b"".join(small))
    file.seek(0)
    return Upload(name, Spooled(file, name))


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
