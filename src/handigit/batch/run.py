"""A batch from inputs to committed parts, whichever driver reads."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handigit.batch.inputs import Input, count_inputs, list_inputs
from handigit.batch.parts import Format, OutputFolder
from handigit.batch.pool import DEFAULT_TIMEOUT_S, WorkerPool
from handigit.batch.worker import BatchWorker, InputResult, ReadOptions

if TYPE_CHECKING:
    from handigit.batch.review import ReviewQueue

PART_INPUTS: Final = 2000
PART_SECONDS: Final = 60.0
"""A part ends after this number of inputs or seconds: the maximum that a crash costs."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """A batch. `on`: None for processes of this machine, `ray`, or a cluster's address such as `ray://head:10001`.

    `shard`: (index, count), this process's part of the inputs. `into`: URL of a store that gets the doubts and forms
    for review, with its pictures in `store_files`; `read.keep_doubts` must be set.
    """

    sources: Sequence[str]
    out: str
    read: ReadOptions = ReadOptions()
    jobs: int = 1
    on: str | None = None
    resume: bool = False
    format: Format = "both"
    shard: tuple[int, int] = (0, 1)
    into: str | None = None
    store_files: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    part_inputs: int = PART_INPUTS
    part_seconds: float = PART_SECONDS


@dataclass(slots=True)
class Progress:
    """How far a batch is: inputs of all runs, and the rate of this one."""

    total: int
    done: int = 0
    failed: int = 0
    read_now: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Inputs per second in this run."""
        return self.read_now / max(time.monotonic() - self.started, 1e-3)

    @property
    def remaining_s(self) -> float | None:
        """Estimated seconds until the end; None before the first result."""
        return (self.total - self.done) / self.rate if self.read_now else None


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a batch over all its runs: totals by name, and the rate of this run in inputs per second."""

    totals: dict[str, int]
    skipped: int
    queued: int
    seconds: float
    rate: float
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Inputs that could not be read."""
        return self.totals.get("failed", 0)

    def group(self, prefix: str) -> dict[str, int]:
        """Totals by outcome ("outcome") or by kind of error ("error")."""
        return {
            name.removeprefix(f"{prefix} "): value
            for name, value in sorted(self.totals.items())
            if name.startswith(f"{prefix} ")
        }

    def to_json(self) -> dict[str, Any]:
        """The content of summary.json."""
        names = ("inputs", "pages", "rows", "failed")
        return {
            **{name: self.totals.get(name, 0) for name in names},
            "outcomes": self.group("outcome"),
            "errors": self.group("error"),
            "queued_for_review": self.queued,
            "last_run": {
                "already_done": self.skipped,
                "seconds": round(self.seconds, 1),
                "inputs_per_s": round(self.rate, 1),
            },
        }


def run_batch(options: BatchOptions, *, on_progress: Callable[[Progress], None] | None = None) -> Summary:
    """Read all inputs into the output folder; Ctrl+C commits the results so far, and `resume` continues.

    Raises:
        BatchError: the output folder cannot be used.
        ModelError, PatternError: options that no input could be read with.
        StoreError: the store of `into` cannot be used.
    """
    identity = _identity(options.read)
    with ExitStack() as stack:
        folder = OutputFolder(options.out, identity, resume=options.resume, format=options.format)
        stack.callback(folder.close)
        queue = _open_queue(options, folder.batch_id, stack)
        progress = Progress(total=count_inputs(options.sources, shard=options.shard))
        inputs = _unfinished(list_inputs(options.sources, shard=options.shard), folder.finished, progress)
        progress.failed = folder.totals["failed"]
        buffer = _PartBuffer(folder, queue, options)
        interrupted = False
        try:
            for result in _drive(options, inputs, stack):
                buffer.add(result)
                progress.done += 1
                progress.read_now += 1
                progress.failed += result.error is not None
                if on_progress:
                    on_progress(progress)
        except KeyboardInterrupt:
            interrupted = True
        buffer.flush()
        seconds = time.monotonic() - progress.started
        skipped = progress.done - progress.read_now
        summary = Summary(
            dict(folder.totals), skipped, buffer.queued, seconds, progress.read_now / max(seconds, 1e-9), interrupted
        )
        if not interrupted:
            folder.write_summary(summary.to_json())
        return summary


def _identity(options: ReadOptions) -> dict[str, Any]:
    """The facts that all rows of one batch share; loads models and templates, so bad options fail here."""
    worker = BatchWorker(options)
    expected = options.expected
    if expected.pattern is not None or expected.alphabet is not None:
        worker.reader.numbers_on([], pattern=expected.pattern, alphabet=expected.alphabet)
    return {
        "kind": "form" if options.templates else options.kind,
        "models": [f"{engine.card.name}-{engine.digest}" for engine in worker.reader.engines],
        "target_error": options.target_error,
        "pattern": expected.pattern,
        "alphabet": expected.alphabet,
        "templates": worker.template_versions(),
    }


def _open_queue(options: BatchOptions, batch_id: str, stack: ExitStack) -> "ReviewQueue | None":
    if options.into is None:
        return None
    from handigit.batch.review import ReviewQueue

    files = options.store_files or Path("pictures")
    return stack.enter_context(ReviewQueue(options.into, files=files, batch_id=batch_id))


def _unfinished(inputs: Iterable[Input], finished: set[bytes], progress: Progress) -> Iterator[Input]:
    """Inputs without a commit record; the others are counted as done."""
    for item in inputs:
        if item.key in finished:
            progress.done += 1
        else:
            yield item


def _drive(options: BatchOptions, inputs: Iterable[Input], stack: ExitStack) -> Iterator[InputResult]:
    if options.on is None:
        pool = stack.enter_context(WorkerPool(options.read, jobs=options.jobs, timeout_s=options.timeout_s))
        return pool.results(inputs)
    from handigit.batch.on_ray import ray_results

    address = None if options.on == "ray" else options.on
    return ray_results(inputs, options.read, jobs=options.jobs, address=address, timeout_s=options.timeout_s)


class _PartBuffer:
    """Results that are not committed yet."""

    def __init__(self, folder: OutputFolder, queue: "ReviewQueue | None", options: BatchOptions) -> None:
        self.queued = 0
        self._folder, self._queue, self._options = folder, queue, options
        self._results: list[InputResult] = []
        self._since = time.monotonic()

    def add(self, result: InputResult) -> None:
        """Keep a result, its forms in the store, and commit when the part is full or old."""
        if self._queue is not None:
            self.queued += self._queue.add_forms(result)
        self._results.append(result)
        is_old = time.monotonic() - self._since >= self._options.part_seconds
        if len(self._results) >= self._options.part_inputs or is_old:
            self.flush()

    def flush(self) -> None:
        """Commit the part: doubts first, since the queue recognises those that it has."""
        if self._queue is not None:
            self.queued += self._queue.add(self._results)
        self._folder.commit(self._results)
        self._results = []
        self._since = time.monotonic()
