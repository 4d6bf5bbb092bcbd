"""The output folder of a batch: parts with rows, and a commit record per part, on any file system that fsspec knows.

    batch.json          inputs and options; a resumed batch must have the same
    owner.json          the process that writes; it changes when a batch is resumed
    parts/part-000001.parquet, .jsonl
    commits/part-000001.json
    summary.json        written at the end

A part counts once its commit record exists, and the record is written last, as one object. Parts without a record are
remains of a killed process: they are deleted on resume, and their inputs are read again.
"""

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from fsspec.core import url_to_fs

from handigit.atomic import write_file
from handigit.batch.worker import COLUMNS, BatchError, InputResult, Row

Format = Literal["parquet", "jsonl", "both"]
FORMAT: Final = "handigit-batch/1"

_TYPES: Final = {
    **dict.fromkeys(("page", "index", "left", "top", "right", "bottom"), pa.int32()),
    "confidence": pa.float64(),
    "alternatives": pa.list_(pa.struct([("text", pa.string()), ("confidence", pa.float64())])),
}
SCHEMA: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])


class OutputFolder:
    """The output folder. One process at a time writes to it.

    Raises:
        BatchError: it cannot be opened, or holds a batch and `resume` is not set, or one with other options, or another
            process is writing to it.
    """

    def __init__(self, url: str, identity: Mapping[str, Any], *, resume: bool, format: Format = "both") -> None:  # noqa: A002
        self.url, self.format = url, format
        self._files, self._root = url_to_fs(url)
        self._is_local = "file" in (self._files.protocol if isinstance(self._files.protocol, tuple) else ())
        self._lock = self._acquire_lock()
        self._token = secrets.token_hex(16)
        self.finished: set[bytes] = set()
        self.totals: Counter[str] = Counter()
        self._next = 1
        try:
            self.batch_id = self._begin(dict(identity), resume=resume)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process write to the folder."""
        if self._lock is not None:
            self._lock.release()

    def commit(self, results: Sequence[InputResult]) -> None:
        """Write the results as one part; it counts in full or, after a crash at any moment, not at all.

        Raises:
            BatchError: another process has resumed this batch.
            OSError: the folder cannot be written.
        """
        if not results:
            return
        name = f"part-{self._next:06d}"
        rows = [row for result in results for row in result.rows]
        digests = {suffix: self._write(f"parts/{name}.{suffix}", content) for suffix, content in self._encode(rows)}
        totals = count(results)
        record = {"part": name, "rows": len(rows), "sha256": digests, "totals": totals, "inputs": _manifest(results)}
        self._check_owner()
        self._write_json(f"commits/{name}.json", record)
        self._next += 1
        self.finished |= {result.input.key for result in results}
        self.totals.update(totals)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, the sign that the batch is complete."""
        self._check_owner()
        self._write_json("summary.json", summary)

    def _begin(self, identity: dict[str, Any], *, resume: bool) -> str:
        """Create the batch, or load the commit records of an earlier run; returns the batch's id."""
        identity = {"format": FORMAT, **identity}
        existing = self._read_json("batch.json")
        if existing is None:
            if any(True for _ in self._list("parts")):
                raise BatchError(f"{self.url}: has parts but no batch.json; choose another folder")
            batch_id = secrets.token_hex(8)
            self._write_json("batch.json", {"id": batch_id, **identity})
        elif not resume:
            raise BatchError(
                f"{self.url}: already holds a batch; add --resume to continue it, or choose another folder"
            )
        else:
            batch_id = existing.pop("id")
            if differences := [key for key in identity if existing.get(key) != identity[key]]:
                key = differences[0]
                raise BatchError(
                    f"{self.url}: its batch was started with {key} = {existing.get(key)!r}, not {identity[key]!r}; "
                    "use the same options, or choose another folder"
                )
            self._load_commits()
        self._write_json("owner.json", {"token": self._token, "process": os.getpid()})
        return str(batch_id)

    def _load_commits(self) -> None:
        names = sorted(self._list("commits"))
        for name in names:
            record = self._read_json(f"commits/{name}")
            if record is None:
                raise BatchError(f"{self.url}/commits/{name}: cannot be read; delete it to read its inputs again")
            self.finished |= {bytes.fromhex(row["key"]) for row in record["inputs"]}
            self.totals.update(record["totals"])
        committed = {name.removesuffix(".json") for name in names}
        for name in self._list("parts"):
            if name.split(".")[0] not in committed:
                self._files.rm_file(f"{self._root}/parts/{name}")
        self._next = 1 + max((int(name.removeprefix("part-")) for name in committed), default=0)

    def _acquire_lock(self) -> FileLock | None:
        """A lock on a local folder; on object stores only the owner's token protects the batch."""
        if not self._is_local:
            return None
        try:
            Path(self._root).mkdir(parents=True, exist_ok=True)
            lock = FileLock(Path(self._root) / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise BatchError(f"{self.url}: another batch is writing to this folder; wait, or choose another") from None
        except OSError as error:
            raise BatchError(
                f"{self.url}: cannot be written: {error.strerror or error}; choose another folder"
            ) from None
        return lock

    def _check_owner(self) -> None:
        owner = self._read_json("owner.json")
        if owner is None or owner["token"] != self._token:
            raise BatchError(f"{self.url}: another process has resumed this batch; this one ends, nothing is lost")

    def _encode(self, rows: Sequence[Row]) -> list[tuple[str, bytes]]:
        parts = []
        if self.format in ("parquet", "both"):
            sink = BytesIO()
            pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), sink, compression="zstd")
            parts.append(("parquet", sink.getvalue()))
        if self.format in ("jsonl", "both"):
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            parts.append(("jsonl", lines.encode(errors="backslashreplace")))
        return parts

    def _list(self, folder: str) -> list[str]:
        """Names of the files in a sub-folder, without temporary ones."""
        path = f"{self._root}/{folder}"
        if not self._files.exists(path):
            return []
        self._files.invalidate_cache(path)
        names = [str(found).rstrip("/").rpartition("/")[2] for found in self._files.ls(path, detail=False)]
        return [name for name in names if name.startswith("part-")]

    def _write(self, name: str, content: bytes) -> str:
        """Write a file in one step; returns its SHA-256."""
        path = f"{self._root}/{name}"
        if self._is_local:
            with write_file(Path(path), error=BatchError, durable=True) as stream:
                stream.write(content)
        else:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)
        return hashlib.sha256(content).hexdigest()

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        self._write(name, (json.dumps(value, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._files.cat_file(f"{self._root}/{name}")))
        except FileNotFoundError:
            return None
        except ValueError:
            raise BatchError(f"{self.url}/{name}: not JSON; choose another folder") from None


def count(results: Sequence[InputResult]) -> dict[str, int]:
    """Totals of some results: inputs, pages, rows, failed inputs, rows by outcome, and errors by kind."""
    totals: Counter[str] = Counter(inputs=len(results), pages=sum(result.pages for result in results))
    for result in results:
        totals["failed"] += result.error is not None
        if result.error is not None:
            totals[f"error {result.error}"] += 1
        for row in result.rows:
            totals["rows"] += row["error"] is None
            if row["outcome"]:
                totals[f"outcome {row['outcome']}"] += 1
    return dict(totals)


def _manifest(results: Sequence[InputResult]) -> list[dict[str, Any]]:
    """One entry per finished input: its key, source, content digest, pages and error."""
    return [
        {
            "key": result.input.key.hex(),
            "source": result.input.name,
            "digest": result.digest,
            "pages": result.pages,
            "rows": len(result.rows),
            "error": result.error,
        }
        for result in results
    ]
