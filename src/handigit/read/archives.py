"""Pictures in zip and tar archives. Nothing is extracted to disk, so names in an archive cannot escape a folder."""

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

from handigit.errors import ImageError, UnreadableImage
from handigit.images.cancellation import check_cancelled
from handigit.read.files import natural_key, suffixes

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
"""How the names of archives end."""
MAX_FILE_BYTES: Final = 256 << 20
"""Maximum size of one picture or document, packed or not: a bomb in an archive claims more."""
BROKEN: Final = (OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
                 tarfile.TarError, zipfile.LargeZipFile)  # fmt: skip
"""Errors of Python's readers for damaged or encrypted archives."""
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How files from others may be packed; a decoder of LZMA takes as much memory as they ask for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture or document in an archive; `state` changes with its content.

    `offset` and `size` locate an entry of an uncompressed tar file; `content` is set where only a sequential reader can
    get it. `problem`: the reason why it cannot be read.
    """

    name: str
    state: str
    offset: int = 0
    size: int = 0
    content: bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive from others may hold: bytes of one file, members, bytes of a zip file's directory.

    Compressed tar files are not unpacked: what they hold is known only after everything before it is unpacked.
    """

    file_bytes: int = 32 << 20
    members: int = 20_000
    directory_bytes: int = 4 << 20


class _Limited:
    """An archive's file; reading it ends with the active `Cancellation`, and no more than `max_read` bytes at once."""

    def __init__(self, file: IO[bytes], max_read: int) -> None:
        self._file = file
        self.max_read = max_read
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        check_cancelled()
        content = self._file.read(self.max_read + 1 if size < 0 else min(size, self.max_read + 1))
        if len(content) > self.max_read:
            raise ValueError("its directory or a header is too large")
        return content

    def seekable(self) -> bool:
        """True: a zip file is read from its end."""
        return True


def is_archive(name: str) -> bool:
    """Whether a file is an archive, by its name."""
    return name.lower().endswith(ARCHIVES)


def list_entries(file: IO[bytes], name: str) -> Iterator[Entry]:
    """The pictures in an archive: of a zip file in natural order, of a tar file in its own order.

    Raises:
        OSError, ValueError, tarfile.TarError, zipfile.BadZipFile: a damaged archive; see `BROKEN`.
    """
    if name.lower().endswith(".zip"):
        yield from _list_zip(file, name)
    else:
        yield from _list_tar(file, name)


def read_entry(file: IO[bytes], entry: Entry) -> bytes:
    """The bytes of an entry, `MAX_FILE_BYTES` + 1 at most."""
    if entry.content is not None:
        return entry.content
    if entry.size:
        file.seek(entry.offset)
        return file.read(min(entry.size, MAX_FILE_BYTES + 1))
    with zipfile.ZipFile(file) as archive, archive.open(entry.name) as opened:
        return opened.read(MAX_FILE_BYTES + 1)


def open_archive(
    file: IO[bytes], name: str, *, limits: ArchiveLimits | None = None
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Name and bytes of each picture in an archive, named `archive!entry`, or why it cannot be read.

    `limits`: for archives from others; the active `Cancellation` then also ends the reading of the archive.
    """
    try:
        if limits is None:
            for entry in list_entries(file, name):
                yield _content_of(f"{name}!{entry.name}", entry, partial(read_entry, file, entry))
        elif name.lower().endswith(".zip"):
            yield from _open_zip(file, name, limits)
        elif name.lower().endswith(".tar"):
            yield from _open_tar(file, name, limits)
        else:
            raise ValueError("a compressed tar file is not unpacked here; send its files in a .zip or .tar")
    except BROKEN as error:
        yield name, UnreadableImage(f"{name}: cannot be read: {error}; pack it again")


def _content_of(source: str, entry: Entry, read: Callable[[], bytes]) -> tuple[str, bytes | ImageError]:
    """An entry's bytes, or its problem."""
    if entry.problem is not None:
        return source, UnreadableImage(entry.problem)
    try:
        return source, read()
    except BROKEN as error:
        return source, UnreadableImage(f"{source}: cannot be read: {error}")


def _open_zip(file: IO[bytes], name: str, limits: ArchiveLimits) -> Iterator[tuple[str, bytes | ImageError]]:
    limited = _Limited(file, limits.directory_bytes)
    with zipfile.ZipFile(cast("IO[bytes]", limited)) as archive:
        limited.max_read = limits.file_bytes + 1
        entries = [entry for entry in archive.infolist() if is_picture(entry.filename)]
        _check_members(len(archive.infolist()), limits)
        for info in sorted(entries, key=lambda e: natural_key(Path(e.filename))):
            problem = _too_large(name, info.filename, info.file_size, limits.file_bytes)
            if info.compress_type not in _METHODS:
                problem = f"{name}!{info.filename}: is packed in another way than most; pack it with deflate"
            entry = Entry(info.filename, "", problem=problem)
            yield _content_of(f"{name}!{info.filename}", entry, partial(_read_member, archive, info, limits))


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ArchiveLimits) -> bytes:
    with archive.open(info) as opened:
        return opened.read(limits.file_bytes)


def _open_tar(file: IO[bytes], name: str, limits: ArchiveLimits) -> Iterator[tuple[str, bytes | ImageError]]:
    limited = _Limited(file, limits.file_bytes)
    with tarfile.open(fileobj=cast("IO[bytes]", limited), mode="r:") as tape:
        for number, member in enumerate(tape, start=1):
            _check_members(number, limits)
            if not member.isfile() or not is_picture(member.name):
                continue
            problem = _too_large(name, member.name, member.size, limits.file_bytes)
            entry = Entry(member.name, "", member.offset_data, member.size, problem=problem)
            yield _content_of(f"{name}!{member.name}", entry, partial(read_entry, file, entry))


def _check_members(count: int, limits: ArchiveLimits) -> None:
    """Refuse an archive with too many members.

    Raises:
        ValueError: it has more.
    """
    if count > limits.members:
        raise ValueError(f"it has more than {limits.members:,} members; split it")


def _list_zip(file: IO[bytes], name: str) -> Iterator[Entry]:
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if is_picture(entry.filename)]
    for entry in sorted(entries, key=lambda e: natural_key(Path(e.filename))):
        problem = _too_large(name, entry.filename, entry.file_size)
        yield Entry(entry.filename, f"{entry.file_size}-{entry.CRC:08x}", problem=problem)


def _list_tar(file: IO[bytes], name: str) -> Iterator[Entry]:
    is_plain = name.lower().endswith(".tar")
    with tarfile.open(fileobj=file, mode="r:" if is_plain else "r|*") as tape:
        for member in tape:
            if not member.isfile() or not is_picture(member.name):
                continue
            problem = _too_large(name, member.name, member.size)
            state = f"{member.size}-{member.mtime}"
            if is_plain:
                yield Entry(member.name, state, member.offset_data, member.size, problem=problem)
            else:
                stream = None if problem else tape.extractfile(member)
                yield Entry(member.name, state, content=stream.read() if stream else None, problem=problem)


def is_picture(name: str) -> bool:
    """Whether a path names a picture or document and no part of it is hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in suffixes() and not any(map(is_hidden, path.parts))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or belongs to a system."""
    return name.startswith((".", "__MACOSX", "@eaDir")) and name not in (".", "..")


def _too_large(archive: str, entry: str, size: int, limit: int = MAX_FILE_BYTES) -> str | None:
    return f"{archive}!{entry}: larger than {limit >> 20} MB; give it without an archive" if size > limit else None
