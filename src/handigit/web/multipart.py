"""A request's bytes as they come -> files: the body itself, or the parts of a form as python-multipart finds them.

What is larger than a megabyte goes to a temporary file without a name. It does not look into the files.
"""

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from handigit.web.problems import BAD_REQUEST, Problem

IN_MEMORY: Final = 2**20
"""Bytes of one file that are held in memory."""
_MOST_FIELDS: Final = 16
_LARGEST_FIELD: Final = 256 * 1024


class Gathered:
    """One file: `add` what has come, `settle` before more comes; `content` is its bytes, or an open file with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, chunk: bytes) -> None:
        """Take bytes that have come."""
        self.size += len(chunk)
        self._chunks.append(chunk)

    async def settle(self) -> None:
        """Bring to disk what is too large for memory."""
        if self.size > IN_MEMORY and self._chunks:
            await asyncio.to_thread(self._write)

    def content(self) -> bytes | IO[bytes]:
        """All of it, from the beginning."""
        if self._file is None:
            return b"".join(self._chunks)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the temporary file back, if there is one."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        if self._file is None:
            self._file = SpooledTemporaryFile(max_size=0)  # noqa: SIM115 - `close` ends it
            self._file.rollover()
        self._file.writelines(self._chunks)
        self._chunks.clear()


class Form:
    """A form's parts, by their type's boundary: `files` are those that have a name, `most` of them at most.

    Raises:
        Problem: it is no form that can be understood, or has too many parts; `gather` too.
    """

    def __init__(self, content_type: str, *, most: int) -> None:
        self.files: list[Gathered] = []
        self._most = most
        self._fields = 0
        self._settled = 0
        self._field_size = 0
        self._part: Gathered | None = None
        self._header = self._value = self._disposition = b""
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _refused("Missing boundary in multipart.")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_to_header,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._add,
            },
        )

    async def gather(self, chunks: AsyncIterator[bytes]) -> None:
        """Take the whole form."""
        async for chunk in chunks:
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _refused("Invalid multipart data.") from None
            for file in self.files[self._settled :]:
                await file.settle()
            self._settled = max(0, len(self.files) - 1)  # the last one may go on

    def _begin(self) -> None:
        self._part, self._field_size, self._disposition = None, 0, b""

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        """A part's headers are there: it is a file, or a field."""
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise _refused('The Content-Disposition header field "name" must be provided.')
        if b"filename" not in options:
            self._count_field()
            return
        if len(self.files) == self._most:
            raise _refused(f"Too many files. Maximum number of files is {self._most}.")
        self._part = Gathered(_text(options[b"filename"]))
        self.files.append(self._part)

    def _count_field(self) -> None:
        self._fields += 1
        if self._fields > _MOST_FIELDS:
            raise _refused(f"Too many fields. Maximum number of fields is {_MOST_FIELDS}.")

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.add(data[start:end])
            return
        self._field_size += end - start  # of what it holds nothing is kept
        if self._field_size > _LARGEST_FIELD:
            raise _refused(f"Part exceeded maximum size of {_LARGEST_FIELD // 1024}KB.")


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _refused(why: str) -> Problem:
    return Problem(BAD_REQUEST, f"{why} Send one picture as the body, or a form of files.")
