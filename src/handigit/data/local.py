"""Known files from a folder or an archive at hand, instead of the network.

Looks everywhere in it, packed or unpacked, and forgives the two spellings in use (`train-images-idx3-ubyte` and
`train-images.idx3-ubyte`). It does not know what the files hold.
"""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from handigit.data.arrival import Arrival, KnownFile, accept, already_there, part_of
from handigit.data.unpacked import read_at_most
from handigit.errors import BadDataFile, DataError

FirstBytes = Callable[[int], bytes]
"""Gives up to so many bytes from the start of a file, wherever that is."""

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def fetch_local(files: Sequence[KnownFile], *, origin: Path, folder: Path) -> tuple[Arrival, ...]:
    """Copy the files into `folder`, each checked by its SHA-256; what is there and right stays.

    Raises:
        DataError: the origin is missing, lacks a file, or has it with other content.
        BadDataFile: the archive is damaged.
    """
    arrivals = {file.name: arrival for file in files if (arrival := already_there(file, folder))}
    if not origin.exists():
        raise DataError(f"{origin}: no such folder or archive; give the one that holds {files[0].packed_name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in _contents(origin):
            file = next((f for f in files if f.name == name and name not in arrivals), None)
            if file and (arrival := _copy(content, file, folder, origin)):
                arrivals[name] = arrival
    except _DAMAGE as problem:
        raise BadDataFile(f"{origin}: a damaged archive: {problem}; copy it again") from None
    except OSError as problem:
        raise DataError(f"{origin}: cannot be copied to {folder}: {problem}") from None
    if missing := [file.name for file in files if file.name not in arrivals]:
        raise DataError(f"{origin}: lacks {', '.join(missing)} with the known content (SHA-256), packed or unpacked")
    return tuple(arrivals[file.name] for file in files)


def _contents(origin: Path) -> Iterator[tuple[str, FirstBytes]]:
    """Each file of a folder or archive: its name in the usual spelling, and a way to its first bytes."""
    if origin.is_dir():
        for path in sorted(path for path in origin.rglob("*") if path.is_file()):
            yield _usual(path.name), partial(_from_folder, path)
    elif zipfile.is_zipfile(origin):
        with zipfile.ZipFile(origin) as archive:
            for name in archive.namelist():
                yield _usual(name), partial(_from_zip, archive, name)
    elif tarfile.is_tarfile(origin):
        with tarfile.open(origin) as tape:
            for member in tape:
                if member.isfile():
                    yield _usual(member.name), partial(_from_tar, tape, member)
    else:
        raise DataError(f"{origin}: neither a folder nor a zip or tar archive; give one of these")


def _from_folder(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return read_at_most(stream.read, count)


def _from_zip(archive: zipfile.ZipFile, name: str, count: int) -> bytes:
    with archive.open(name) as stream:
        return read_at_most(stream.read, count)


def _from_tar(tape: tarfile.TarFile, member: tarfile.TarInfo, count: int) -> bytes:
    """Read in place: nothing is ever written where an archive says."""
    stream = tape.extractfile(member)
    assert stream is not None, "only asked of plain files"
    return read_at_most(stream.read, count)


def _usual(name: str) -> str:
    return PurePosixPath(name).name.lower().removesuffix(".gz").replace(".", "-")


def _copy(content: FirstBytes, file: KnownFile, folder: Path, origin: Path) -> Arrival | None:
    """Copy one candidate; None if it is not the file after all."""
    part = part_of(file, folder)
    part.write_bytes(content(file.most_bytes + 1))
    return accept(part, file, origin=str(origin))
