"""A request's body as uploads: one picture as raw bytes, the files of a form, or base64 in JSON.

Up to a megabyte of a request is held in memory; files of larger requests are temporary files on disk. File names are
text to display.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from handigit.images import peek
from handigit.images.limits import SMALL_BYTES, SMALL_PX
from handigit.web.exchange_limits import guard_of
from handigit.web.json_uploads import MAX_JSON_BYTES, MAX_NAME, decode_json
from handigit.web.problems import BAD_REQUEST, Problem

MAX_MEMORY: Final = 2**20
"""Bytes of one request that are held in memory."""
_MAX_FIELDS: Final = 16
_MAX_FIELD_BYTES: Final = 256 * 1024
_SINGLE_PAGE: Final = frozenset({"JPEG", "WEBP", "BMP"})
"""Formats besides PNG that hold one page and decode silently."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One uploaded file, in memory or on disk; `is_small`: one picture that takes milliseconds to read.

    `place`: position in its request, from 0.
    """

    name: str
    file: IO[bytes]
    size: int
    is_small: bool
    place: int = 0

    def read(self) -> bytes:
        """All bytes of the file."""
        self.file.seek(0)
        return self.file.read()

    def source(self) -> "Spooled":
        """The file from its start, as `open_pages` takes it; errors call it by the client's name."""
        self.file.seek(0)
        return Spooled(self.file, self.name)


class Spooled:
    """A file under the name that the client gave it."""

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
async def uploads_of(request: Request, *, max_files: int, name: str) -> AsyncIterator[list[Upload]]:
    """The files in a request, open while the block lasts; `name` is for a raw body.

    Raises:
        Problem: a form that is broken, has too many parts, or no file; an empty body.
    """
    content_type = request.headers.get("content-type", "").lower()
    if content_type.startswith("multipart/form-data"):
        files = await _form_files(request, max_files)
    elif content_type.startswith("application/json"):
        files = await _json_files(request, max_files, name)
    else:
        files = [(name, await _body_file(request))]
    try:
        yield [_upload(file, clean_name(name), place) for place, (name, file) in enumerate(files)]
    finally:
        for _, file in files:
            file.close()


def clean_name(name: str | None) -> str:
    """A file name as text to display: no control characters, not too long."""
    shown = "".join(letter for letter in name or "" if letter.isprintable())[:MAX_NAME]
    return shown or "upload"


async def _form_files(request: Request, max_files: int) -> list[tuple[str, IO[bytes]]]:
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    declared = request.headers.get("content-length", "")
    is_small = declared.isdigit() and int(declared) <= MAX_MEMORY
    parser.spool_max_size = MAX_MEMORY if is_small else 1  # the limit is per request, Starlette's per file
    try:
        form = await parser.parse()
    except MultiPartException as problem:
        raise Problem(BAD_REQUEST, f"{problem.message} Send one picture as the body, or a form of files.") from None
    files: list[tuple[str, IO[bytes]]] = [
        (part.filename or "", part.file) for _, part in form.multi_items() if isinstance(part, UploadFile)
    ]
    if not files:
        raise Problem(BAD_REQUEST, "the form has no file; add each picture as a part with a filename")
    return files


async def _json_files(request: Request, max_files: int, name: str) -> list[tuple[str, IO[bytes]]]:
    guard_of(request).limit_body(MAX_JSON_BYTES)
    pictures = await asyncio.to_thread(decode_json, await request.body(), max_files, name)
    return [(name, _in_memory(content)) for name, content in pictures]


def _in_memory(content: bytes) -> IO[bytes]:
    file = SpooledTemporaryFile(max_size=MAX_MEMORY)  # noqa: SIM115 - the caller closes it
    file.write(content)
    return file


async def _body_file(request: Request) -> IO[bytes]:
    file = SpooledTemporaryFile(max_size=MAX_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        async for chunk in request.stream():
            if file.tell() + len(chunk) <= MAX_MEMORY:
                file.write(chunk)
            else:
                await asyncio.to_thread(file.write, chunk)
    except BaseException:
        file.close()
        raise
    if not file.tell():
        raise Problem(BAD_REQUEST, "the request has no body; send a picture's bytes, or a form of files")
    return file


def _upload(file: IO[bytes], name: str, place: int) -> Upload:
    size = file.seek(0, 2)
    file.seek(0)
    return Upload(name, file, size, is_small=size <= SMALL_BYTES and _is_small(file.read()), place=place)


def _is_small(content: bytes) -> bool:
    """Whether a file of few bytes also has few pixels by its header; a damaged header costs little to find again."""
    if content.startswith(b"\x89PNG"):  # read here: Pillow takes 0.1 ms, a tenth of the whole request
        return int.from_bytes(content[16:20]) * int.from_bytes(content[20:24]) <= SMALL_PX
    header = peek(content)
    return header is not None and header.format in _SINGLE_PAGE and header.pixels <= SMALL_PX
