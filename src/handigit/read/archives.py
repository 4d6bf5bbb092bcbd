"""Pictures in zip and tar archives. Nothing is extracted to disk, so names in an archive cannot escape a folder."""

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from handigit.errors import ImageError, UnreadableImage
from handigit.read.files import natural_key, suffixes

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
"""How the names of archives end."""
MAX_FILE_BYTES: Final = 256 << 20
"""Maximum size of one picture or document, packed or not: a bomb in an archive claims more."""
BROKEN: Final = (OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
                 tarfile.TarError, zipfile.LargeZipFile)  # fmt: skip
"""Errors of Python's readers for damaged or encrypted archives."""


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


def open_archive(file: IO[bytes], name: str) -> Iterator[tuple[str, bytes | ImageError]]:
    """Name and bytes of each picture in an archive, named `archive!entry`, or why it cannot be read."""
    try:
        for entry in list_entries(file, name):
            source = f"{name}!{entry.name}"
            if entry.problem is not None:
                yield source, UnreadableImage(entry.problem)
                continue
            try:
                yield source, read_entry(file, entry)
            except BROKEN as error:
                yield source, UnreadableImage(f"{source}: cannot be read: {error}")
    except BROKEN as error:
        yield name, UnreadableImage(f"{name}: cannot be read: {error}; pack it again")


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


def _too_large(archive: str, entry: str, size: int) -> str | None:
    return f"{archive}!{entry}: larger than {MAX_FILE_BYTES >> 20} MB" if size > MAX_FILE_BYTES else None
