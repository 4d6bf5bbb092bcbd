"""Watch a folder: new scans are read as they arrive, filed under done/ or failed/, and added to a table or a store."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchfiles import watch as watch_changes

from handigit.atomic import when_closed, write_file
from handigit.batch.inputs import Input
from handigit.batch.pool import DEFAULT_TIMEOUT_S, WorkerPool
from handigit.batch.worker import BatchError, InputResult, ReadOptions
from handigit.read.files import find_pictures

if TYPE_CHECKING:
    from handigit.batch.review import ReviewQueue

DONE, FAILED = "done", "failed"
SETTLE_S: Final = 1.0
"""A file counts as complete once its size and time have not changed for this long: scanners write slowly."""
_POLL_MS: Final = 500


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """A watched folder. `table`: a .jsonl file that rows are appended to; `into` and `store_files` as in `run`."""

    folder: Path
    table: Path | None = None
    read: ReadOptions = ReadOptions()
    jobs: int = 1
    into: str | None = None
    store_files: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    settle_s: float = SETTLE_S


def watch(
    options: WatchOptions, *, stop: threading.Event, on_result: Callable[[InputResult], None] | None = None
) -> int:
    """Read the pictures in the folder and those that arrive, until `stop` is set; returns their number.

    A picture's rows are in the table before it is moved. Rows of a content that the table already has are not added
    again, so a crash between the two neither loses nor doubles any.
    """
    count = 0
    table = _Table(options.table)
    queue = _open_queue(options)
    with WorkerPool(options.read, jobs=options.jobs, timeout_s=options.timeout_s) as pool:
        try:
            for paths in _settled_pictures(options, stop):
                for result in pool.results([Input(str(path), str(path)) for path in paths], chunk=1):
                    table.append(result)
                    if queue is not None:
                        queue.add([result])
                    _file(Path(result.input.url), result)
                    count += 1
                    if on_result:
                        on_result(result)
        finally:
            if queue is not None:
                queue.__exit__(None, None, None)
    return count


def _settled_pictures(options: WatchOptions, stop: threading.Event) -> Iterator[list[Path]]:
    """Groups of complete pictures in the folder; waits for changes while there are none."""
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    changes = watch_changes(
        options.folder, stop_event=stop, rust_timeout=_POLL_MS, yield_on_timeout=True, recursive=True
    )
    for _ in changes:
        now = time.monotonic()
        current = {path: _state(path) for path in _pictures(options.folder)}
        seen = {
            path: seen[path] if path in seen and seen[path][0] == state else (state, now)
            for path, state in current.items()
            if state is not None
        }
        if ready := [path for path, (_, since) in seen.items() if now - since >= options.settle_s]:
            yield ready
            for path in ready:
                seen.pop(path, None)
        if stop.is_set():
            return


def _pictures(folder: Path) -> Iterable[Path]:
    filed = (folder / DONE, folder / FAILED)
    found = find_pictures([folder]).items
    return (p for p in found if isinstance(p, Path) and not any(p.is_relative_to(place) for place in filed))


def _state(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # moved or deleted in the meantime
        return None
    return stat.st_size, stat.st_mtime_ns


def _file(path: Path, result: InputResult) -> None:
    """Move a picture to done/ or failed/ beside it; an existing name gets a number, nothing is overwritten."""
    folder = path.parent / (FAILED if result.error else DONE)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise BatchError(
            f"{folder}: cannot be made: {problem.strerror}; check the permissions of {path.parent}"
        ) from None
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    try:
        when_closed(lambda: shutil.move(path, target))
    except OSError as problem:
        raise BatchError(
            f"{path}: cannot be moved to {folder}: {problem.strerror}; close it elsewhere, or check permissions"
        ) from None
    if result.error:
        message = "\n".join(str(row["error"]) for row in result.rows if row["error"])
        target.with_name(f"{target.name}.txt").write_text(f"{message}\n", encoding="utf-8")


class _Table:
    """A JSON Lines file that rows are appended to, each content once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: set[tuple[str, str]] = set()
        if path is not None and path.exists():
            self._load(path)

    def append(self, result: InputResult) -> None:
        key = (Path(result.input.source).name, result.digest)
        if self._path is None or key in self._known:
            return
        self._known.add(key)
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in result.rows))

    def _load(self, path: Path) -> None:
        """Remember the contents in the table.

        Rows of the last picture are dropped if it was not moved yet: a crash may have cut them, and it is read again.
        """
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()
        rows = [json.loads(line) for line in lines]
        if rows and Path(rows[-1]["source"]).exists():
            last = (rows[-1]["source"], rows[-1]["digest"])
            while rows and (rows[-1]["source"], rows[-1]["digest"]) == last:
                rows.pop()
        with write_file(path) as stream:
            stream.write("".join(lines[: len(rows)]).encode(errors="backslashreplace"))
        self._known = {(Path(row["source"]).name, row["digest"]) for row in rows}


def _open_queue(options: WatchOptions) -> "ReviewQueue | None":
    if options.into is None:
        return None
    from handigit.batch.review import ReviewQueue

    files = options.store_files or Path("pictures")
    return ReviewQueue(options.into, files=files, batch_id=f"watch-{options.folder.name}")
