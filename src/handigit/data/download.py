"""Known files over HTTP: several mirrors, resumed after a break, taken only with the right SHA-256.

The one module that speaks HTTP. What has come stays in a `.part` file, also when the program is killed; the next
try, at this mirror or another, asks for the rest (RFC 9110, range requests). Copies of one file are usually packed
alike, but need not be: if pieces do not fit together, the same mirror is asked once more for the whole.
It does not know what the files hold.
"""

import gzip
import hashlib
import lzma
import re
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

import httpx

from handigit.errors import BadDataFile, DataError, DownloadError

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


WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better next time; any other of 400 and above is this mirror's last word."""


def fetch(
    files: Sequence[KnownFile],
    *,
    mirrors: Sequence[str],
    folder: Path,
    patience: Patience = USUAL,
    progress: Progress | None = None,
) -> tuple[Arrival, ...]:
    """Bring each file into `folder` from the first mirror (a URL ending in `/`) that has it right.

    A file that is there with the right content is not asked for.

    Raises:
        DownloadError: no mirror gave a file; the message has each one's reason.
        DataError: the folder cannot be written.
    """
    # Packed as stored: a server that unpacks or packs on the way would make ranges meaningless.
    headers = {"Accept-Encoding": "identity"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=patience.stall_s, follow_redirects=True, headers=headers) as client:
            errands = [_Errand(client, file, part_of(file, folder), patience, progress) for file in files]
            return tuple(already_there(errand.file, folder) or errand.run(mirrors) for errand in errands)
    except OSError as problem:
        raise DataError(f"{folder}: cannot be written: {problem.strerror or problem}; choose another folder") from None


@dataclass(frozen=True)
class _Errand:
    """One file to bring."""

    client: httpx.Client
    file: KnownFile
    part: Path
    patience: Patience
    progress: Progress | None

    def run(self, mirrors: Sequence[str]) -> Arrival:
        """The file from the first mirror that has it.

        Raises:
            DownloadError: none has.
        """
        reasons = []
        for mirror in mirrors:
            try:
                return self.ask(mirror + self.file.packed_name)
            except DownloadError as problem:
                reasons.append(f"  {mirror}: {problem}")
        raise DownloadError(
            "\n".join([f"no mirror gave {self.file.packed_name}:", *reasons])
            + "\ncheck the network and try again: what has come is kept; or take the files from where you have them: "
            "`handigit data fetch --from FOLDER_OR_ARCHIVE` works offline"
        )

    def ask(self, url: str) -> Arrival:
        """Try one mirror, going on where the last try broke off.

        Raises:
            DownloadError: it refuses, its content is wrong, or it broke off too often; with the reason alone.
        """
        reason = "not asked"
        for attempt in range(self.patience.attempts):
            time.sleep(self.patience.pause_s * attempt)
            resumed = self.part.exists()
            try:
                self.gather(url)
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                reason = _reason(problem, self.patience)
                continue
            if arrival := accept(self.part, self.file, origin=url):
                return arrival
            reason = "its content is not the known one (SHA-256 differs)"
            if not resumed:
                break
        raise DownloadError(reason)

    def gather(self, url: str) -> None:
        """Append to the part file what the mirror sends; whether it is right is not looked at.

        Raises:
            httpx.HTTPError: a break that another try may mend.
            DownloadError: the mirror refuses, or sends more than the file can have.
        """
        have = self.part.stat().st_size if self.part.exists() else 0
        with self.client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is here already, or more than all
            if response.is_error and response.status_code not in WORTH_ANOTHER_TRY:
                raise DownloadError(f"answered {response.status_code} {response.reason_phrase}".rstrip())
            response.raise_for_status()
            self.write(response, start=_start(response))

    def write(self, response: httpx.Response, *, start: int) -> None:
        """Write a response's body to the part file from `start` on; what lay there before gives way."""
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        done = start
        with self.part.open("ab") as out:
            out.truncate(start)
            for block in response.iter_raw():
                done += out.write(block)
                if done > self.file.most_bytes:
                    out.truncate(0)
                    raise DownloadError(f"sends more than the {self.file.most_bytes} bytes the file can have")
                if self.progress:
                    self.progress(self.file.packed_name, done, total)


def _start(response: httpx.Response) -> int:
    """Where in the file the body belongs: a mirror without ranges sends 200 and begins at 0."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(place[1]) if place else 0


def _reason(problem: httpx.HTTPError | httpx.InvalidURL, patience: Patience) -> str:
    """Why a try failed, in a few words."""
    if isinstance(problem, httpx.HTTPStatusError):
        return f"answered {problem.response.status_code} {problem.response.reason_phrase}".rstrip()
    if isinstance(problem, httpx.TimeoutException):
        return f"stalled: nothing came for {patience.stall_s:g} s (tries: {patience.attempts})"
    return f"broke off (tries: {patience.attempts}): {problem}"


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
