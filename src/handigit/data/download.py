"""Known files from HTTP mirrors, or from a local folder or archive; accepted only with the right SHA-256.

pooch checks the digest of a download and moves it into place in one step. The transfer itself is bounded here: a mirror
may neither send more than the file can have nor keep a slow connection open without end.
"""

import gzip
import hashlib
import lzma
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from handigit.errors import BadDataFile, DataError, DownloadError

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK_BYTES = 1 << 20

DAMAGE = (OSError, EOFError, zlib.error)
"""Exceptions of reading a damaged gzip file; gzip.BadGzipFile is an OSError."""
_ARCHIVE_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError)

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes received and the total number of bytes, if known."""
ReadBytes = Callable[[int], bytes]
"""Returns at most the given number of bytes from the start of a file."""

ALREADY_THERE = "already there"


@dataclass(frozen=True)
class KnownFile:
    """A gzipped file: name and size (bytes) unpacked, SHA-256 of the content and of the file that mirrors serve."""

    name: str
    size: int
    sha256: str
    packed_sha256: str

    @property
    def packed_name(self) -> str:
        """Its name on a mirror."""
        return f"{self.name}.gz"

    @property
    def max_bytes(self) -> int:
        """Maximum size of a genuine copy: gzip adds little even to incompressible content."""
        return self.size + self.size // 1000 + 4096

    def find(self, folder: Path) -> Path | None:
        """Its path in a folder, packed or not; the content is not checked."""
        return next((p for p in (folder / self.packed_name, folder / self.name) if p.is_file()), None)

    def is_content_of(self, path: Path) -> bool:
        """Whether a file's unpacked content is this one's; unpacks at most one byte more than its size."""
        digest, remaining = hashlib.sha256(), self.size + 1
        try:
            with open_unpacked(path) as stream:
                while remaining and (block := stream.read(min(remaining, _BLOCK_BYTES))):
                    digest.update(block)
                    remaining -= len(block)
        except DAMAGE:
            return False
        return digest.hexdigest() == self.sha256


@dataclass(frozen=True)
class Download:
    """A file's path, and its source: a URL, a local path, or `already there`."""

    path: Path
    origin: str


@dataclass(frozen=True)
class RetryPolicy:
    """Time limits in seconds, of silence and of one whole transfer, and the number of attempts per mirror."""

    stall_s: float = 20.0
    transfer_s: float = 900.0
    attempts: int = 3


DEFAULT_POLICY = RetryPolicy()


def fetch(
    files: Sequence[KnownFile],
    *,
    mirrors: Sequence[str],
    folder: Path,
    policy: RetryPolicy = DEFAULT_POLICY,
    progress: Progress | None = None,
) -> tuple[Download, ...]:
    """Bring each file into `folder` from the first mirror (a URL ending in `/`) that serves it correctly.

    A file that is there with the right content is not downloaded again.

    Raises:
        DownloadError: every mirror failed; the message has each one's reason.
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(
            _already_there(file, folder) or _fetch_one(file, mirrors, folder, policy, progress) for file in files
        )
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}; choose another folder") from None


def fetch_local(files: Sequence[KnownFile], *, origin: Path, folder: Path) -> tuple[Download, ...]:
    """Copy the files into `folder`, packed or unpacked, each checked by the SHA-256 of its content.

    Raises:
        DataError: the origin is missing, lacks a file, or has it with different content.
        BadDataFile: the archive is damaged.
    """
    downloads = {file.name: download for file in files if (download := _already_there(file, folder))}
    if not origin.exists():
        raise DataError(f"{origin}: no such folder or archive; give the one that holds {files[0].packed_name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, read_bytes in _entries(origin):
            file = next((f for f in files if f.name == name and name not in downloads), None)
            if file and (download := _copy(read_bytes, file, folder, origin)):
                downloads[name] = download
    except _ARCHIVE_DAMAGE as error:
        raise BadDataFile(f"{origin}: a damaged archive: {error}; copy it again") from None
    except OSError as error:
        raise DataError(f"{origin}: cannot be copied to {folder}: {error}") from None
    if missing := [file.name for file in files if file.name not in downloads]:
        raise DataError(f"{origin}: lacks {', '.join(missing)} with the known content (SHA-256), packed or unpacked")
    return tuple(downloads[file.name] for file in files)


def open_unpacked(path: Path) -> BufferedIOBase:
    """A file's content as a stream, unpacked if it is gzipped; closing it closes the file."""
    return gzip.open(path, "rb") if _is_gzipped(path) else path.open("rb")


def read_at_most(read: ReadBytes, count: int) -> bytes:
    """Up to `count` bytes from a stream's `read`, in blocks: a header that claims terabytes allocates no memory."""
    blocks = []
    while count and (block := read(min(count, _BLOCK_BYTES))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _already_there(file: KnownFile, folder: Path) -> Download | None:
    """The file, if the folder has it with the right content."""
    path = file.find(folder)
    return Download(path, ALREADY_THERE) if path and file.is_content_of(path) else None


def _fetch_one(
    file: KnownFile, mirrors: Sequence[str], folder: Path, policy: RetryPolicy, progress: Progress | None
) -> Download:
    """The file from the first mirror that serves it correctly.

    Raises:
        DownloadError: every mirror failed.
    """
    # Imported on use: loading a data set needs no HTTP client, and the base install has neither library.
    import httpx
    import pooch

    pooch.get_logger().setLevel("WARNING")
    download = partial(_download, file=file, policy=policy, progress=progress)
    reasons = []
    for mirror in mirrors:
        source = pooch.create(folder, mirror, registry={file.packed_name: f"sha256:{file.packed_sha256}"})
        for attempt in range(1, policy.attempts + 1):
            try:
                return Download(Path(source.fetch(file.packed_name, downloader=download)), mirror + file.packed_name)
            except ValueError:
                reason, final = "wrong content (SHA-256 differs)", True
            except httpx.HTTPStatusError as error:
                status = error.response
                reason, final = f"answered {status.status_code} {status.reason_phrase}".rstrip(), status.is_client_error
            except httpx.TimeoutException:
                reason, final = f"stalled: no data for {policy.stall_s:g} s (attempts: {attempt})", False
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason, final = f"connection failed (attempts: {attempt}): {error}", False
            except DownloadError as error:
                reason, final = str(error), True
            if final:
                break
        reasons.append(f"  {mirror}: {reason}")
    raise DownloadError(
        "\n".join([f"no mirror could deliver {file.packed_name}:", *reasons])
        + "\ncheck the network and try again; or use files you already have: "
        "`handigit data fetch --from FOLDER_OR_ARCHIVE` works offline"
    )


def _download(
    url: str, target: str, _pooch: object, *, file: KnownFile, policy: RetryPolicy, progress: Progress | None
) -> None:
    """Write the response to `target`: pooch's downloader interface, with limits on size and time.

    Raises:
        DownloadError: the mirror sends too much or takes too long.
        httpx.HTTPError: any other failure.
    """
    import httpx

    # The digest is of the packed file: a server that packs or unpacks on the way would change it.
    headers = {"Accept-Encoding": "identity"}
    deadline = time.monotonic() + policy.transfer_s
    with (
        httpx.stream("GET", url, timeout=policy.stall_s, follow_redirects=True, headers=headers) as response,
        Path(target).open("wb") as out,
    ):
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        received = 0
        for block in response.iter_raw():
            received += out.write(block)
            if received > file.max_bytes:
                raise DownloadError(f"sends more than the maximum of {file.max_bytes} bytes")
            if time.monotonic() > deadline:
                raise DownloadError(f"too slow: {received} bytes in {policy.transfer_s:g} s")
            if progress:
                progress(file.packed_name, received, int(length) if length.isdecimal() else None)


def _entries(origin: Path) -> Iterator[tuple[str, ReadBytes]]:
    """Each file of a folder or archive: its normalised name and a function that reads its first bytes.

    Archives are read in place: no path from an archive is ever written to.
    """
    if origin.is_dir():
        for path in sorted(path for path in origin.rglob("*") if path.is_file()):
            yield _normalised(path.name), partial(_read_path, path)
    elif zipfile.is_zipfile(origin):
        with zipfile.ZipFile(origin) as archive:
            for name in archive.namelist():
                yield _normalised(name), partial(_read_zip_entry, archive, name)
    elif tarfile.is_tarfile(origin):
        with tarfile.open(origin) as archive_tar:
            for member in archive_tar:
                if member.isfile():  # a link is never followed
                    yield _normalised(member.name), partial(_read_tar_member, archive_tar, member)
    else:
        raise DataError(f"{origin}: neither a folder nor a zip or tar archive; give one of these")


def _normalised(name: str) -> str:
    return PurePosixPath(name).name.lower().removesuffix(".gz").replace(".", "-")


def _read_path(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return read_at_most(stream.read, count)


def _read_zip_entry(archive: zipfile.ZipFile, name: str, count: int) -> bytes:
    with archive.open(name) as stream:
        return read_at_most(stream.read, count)


def _read_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, count: int) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None, "called for regular files only"
    return read_at_most(stream.read, count)


def _copy(read_bytes: ReadBytes, file: KnownFile, folder: Path, origin: Path) -> Download | None:
    """Copy one candidate; None if its content is not the file's."""
    part = folder / f"{file.packed_name}.part"
    part.write_bytes(read_bytes(file.max_bytes + 1))
    if not file.is_content_of(part):
        part.unlink()
        return None
    packed = _is_gzipped(part)
    path = part.replace(folder / (file.packed_name if packed else file.name))
    if not packed:
        # A wrong packed copy would be found before it.
        (folder / file.packed_name).unlink(missing_ok=True)
    return Download(path, str(origin))
