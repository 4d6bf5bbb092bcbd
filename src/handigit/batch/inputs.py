"""Inputs of a batch: files, folders, patterns, archives and lists of paths, on any file system that fsspec knows."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, Final

import fsspec
from fsspec.core import url_to_fs

from handigit.errors import HandigitError, ImageError, UnreadableImage
from handigit.read.archives import ARCHIVES, BROKEN, MAX_FILE_BYTES, Entry, is_hidden, list_entries, read_entry
from handigit.read.files import find_pictures, natural_key, suffixes

_LISTS: Final = (".csv", ".tsv", ".txt", ".parquet")
_PATH_COLUMNS: Final = ("path", "file", "source", "url", "uri", "filename")


@dataclass(frozen=True, slots=True)
class Input:
    """A picture or document: `source` is its name in the results, `url` its file, `entry` its name in an archive.

    `state` changes with the content: size and time, or the file system's tag. `offset` and `size` locate an entry
    of an uncompressed tar file; `content` is set where only a sequential reader can get it. `problem` is set for a
    source that cannot be read at all.
    """

    source: str
    url: str = ""
    entry: str | None = None
    state: str = ""
    offset: int = 0
    size: int = 0
    content: bytes | None = None
    problem: str | None = None

    @property
    def key(self) -> bytes:
        """16 bytes that identify this state of this source."""
        return blake2b(f"{self.source}\0{self.state}".encode(errors="surrogateescape"), digest_size=16).digest()

    def shard(self, count: int) -> int:
        """The number, 0 to count - 1, of the shard that this source belongs to; the same on every machine."""
        return int.from_bytes(blake2b(self.source.encode(errors="surrogateescape"), digest_size=8).digest()) % count

    @property
    def name(self) -> str:
        """The source as valid Unicode: bytes of a file name that are not are escaped."""
        return self.source.encode(errors="backslashreplace").decode()

    def without_content(self) -> "Input":
        """The input without its bytes, as it is kept in results."""
        return replace(self, content=None) if self.content is not None else self

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            ImageError: it cannot be read, or is larger than `MAX_FILE_BYTES`.
        """
        if self.problem is not None:
            raise UnreadableImage(self.problem)
        if self.content is not None:
            return self.content
        try:
            content = self._read()
        except BROKEN as error:
            raise UnreadableImage(f"{self.source}: cannot be read: {error}") from None
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableImage(f"{self.source}: larger than {MAX_FILE_BYTES >> 20} MB; split it")
        return content

    def _read(self) -> bytes:
        with fsspec.open(self.url, "rb") as file:
            if self.entry is None:
                return bytes(file.read(MAX_FILE_BYTES + 1))
            return read_entry(file, Entry(self.entry, self.state, self.offset, self.size))


def list_inputs(sources: Iterable[str], *, shard: tuple[int, int] = (0, 1)) -> Iterator[Input]:
    """Every input of the sources, in order, without repetitions.

    A source is a file, a folder (searched recursively), a pattern, a .zip or .tar archive, or a list of any of these:
    a .txt with one per line, a .csv or .parquet with a column `path` or `file`. Names are local paths or URLs such as
    `s3://bucket/scans/`; those in a list are relative to it. `shard` (index, count) selects one of `count` equal parts.

    A source that does not exist gives an input whose `read` raises.
    """
    index, count = shard
    seen: set[bytes] = set()
    for source in sources:
        for item in _expand(source):
            key = blake2b(item.source.encode(errors="surrogateescape"), digest_size=16).digest()
            if key not in seen and (count == 1 or item.shard(count) == index):
                seen.add(key)
                yield item


def count_inputs(sources: Iterable[str], *, shard: tuple[int, int] = (0, 1)) -> int:
    """Number of inputs, by listing them once."""
    return sum(1 for _ in list_inputs(sources, shard=shard))


def _expand(source: str) -> Iterator[Input]:
    lower = source.lower()
    try:
        if lower.endswith(_LISTS):
            for path in _read_list(source):
                yield from _expand(_beside(source, path))
        elif lower.endswith(ARCHIVES):
            yield from _read_archive(source)
        elif "://" in source or "::" in source:
            yield from _find_remote(source)
        else:
            yield from _find_local(source)
    except (HandigitError, ImportError, *BROKEN) as error:
        message = str(error)
        yield Input(source, problem=message if source in message else f"{source}: cannot be read: {error}")


def _find_local(source: str) -> Iterator[Input]:
    for item in find_pictures([Path(source)]).items:
        if isinstance(item, ImageError):
            yield Input(source, problem=str(item))
        elif str(item).lower().endswith((*ARCHIVES, *_LISTS)) and str(item) != source:
            yield from _expand(str(item))
        else:
            stat = item.stat()
            yield Input(str(item), str(item), state=f"{stat.st_size}-{stat.st_mtime_ns}")


def _find_remote(source: str) -> Iterator[Input]:
    files, path = url_to_fs(source)
    readable = suffixes()
    if any(character in path for character in "*?["):
        paths = files.glob(path)
    elif files.isdir(path):
        paths = [p for p in files.find(path) if PurePosixPath(p).suffix.lower() in readable and _is_visible(p, path)]
    else:
        paths = [path]
    if not paths or not files.exists(paths[0]):
        raise UnreadableImage(f"{source}: no picture there; give a file, a folder or a pattern in quotes")
    for path in sorted(paths, key=lambda p: natural_key(Path(p))):
        url = files.unstrip_protocol(path)
        yield Input(url, url, state=str(files.ukey(path)))


def _is_visible(path: str, folder: str) -> bool:
    return not any(map(is_hidden, PurePosixPath(path[len(folder) :]).parts))


def _read_archive(source: str) -> Iterator[Input]:
    """The pictures in an archive."""
    with fsspec.open(source, "rb") as file:
        for entry in list_entries(file, source):
            name, problem = f"{source}!{entry.name}", entry.problem
            if entry.content is not None or problem:
                yield Input(name, state=entry.state, content=entry.content, problem=problem)
            else:
                yield Input(name, source, entry.name, entry.state, entry.offset, entry.size)


def _read_list(source: str) -> Iterator[str]:
    """The paths in a list.

    Raises:
        UnreadableImage: a table without a column of paths.
    """
    lower = source.lower()
    if lower.endswith(".parquet"):
        import pyarrow.parquet as pq

        with fsspec.open(source, "rb") as file:
            table = pq.ParquetFile(file)
            column = _path_column(table.schema_arrow.names, source)
            for batch in table.iter_batches(columns=[column]):
                yield from (str(path) for path in batch.column(0).to_pylist() if path)
        return
    with fsspec.open(source, "rb") as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        if lower.endswith(".txt"):
            yield from (line.strip() for line in lines if line.strip())
            return
        rows = csv.DictReader(lines, delimiter="\t" if lower.endswith(".tsv") else ",")
        column = _path_column(list(rows.fieldnames or ()), source)
        yield from (row[column] for row in rows if row[column])


def _path_column(names: list[str], source: str) -> str:
    column = next((name for name in names if name.strip().lower() in _PATH_COLUMNS), None)
    if column is None:
        raise UnreadableImage(f"{source}: a list needs a column `path` or `file`; it has: {', '.join(names) or 'none'}")
    return column


def _beside(source: str, path: str) -> str:
    """A path in a list: absolute, a URL, or relative to the list."""
    if "://" in path or Path(path).is_absolute():
        return path
    folder: Any = source.rpartition("/")[0]
    return f"{folder}/{path}" if folder else path
