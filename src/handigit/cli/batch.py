"""`handigit batch` and `handigit watch`: thousands of files into tables, exactly once."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from handigit.cli.read import DONE, INTERRUPTED, SOME_FAILED, WRONG_USAGE, ErrorRate
from handigit.cli.shared import limits_of
from handigit.cli.terminal import complain, err, say, say_status
from handigit.records import ANYTHING, Expected, Outcome, ReadAs
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.batch.run import Progress, Summary
    from handigit.batch.worker import InputResult, ReadOptions

_REPORT_EVERY_S = 30.0
"""Seconds between progress lines where stderr is not a terminal."""

Jobs = Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=1024))]
Seconds = Annotated[float, Parameter(validator=validators.Number(gt=0))]


def batch(
    *sources: str,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    as_: Annotated[ReadAs, Parameter(name="--as")] = "auto",
    template: Annotated[list[str] | None, Parameter(name=["--template", "-t"], negative="")] = None,
    format: Annotated[Literal["parquet", "jsonl", "both"], Parameter(name="--format")] = "both",  # noqa: A002
    jobs: Jobs = None,
    on: str | None = None,
    resume: bool = False,
    shard: str = "1/1",
    into: str | None = None,
    target_error: ErrorRate = 0.01,
    model: str | None = None,
    timeout: Seconds = 120.0,
    part_size: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 2000,
    expected: Annotated[Expected, Parameter(name="*", group="Numbers")] = ANYTHING,
) -> int:
    r"""Read any number of pictures and documents into Parquet and JSON Lines.

    Each input counts exactly once, also when the batch is killed: `--resume` continues it.

    Examples:
        handigit batch scans/ --out numbers
        handigit batch scans/ --out numbers --resume
        handigit batch files.csv "s3://bucket/2024/*.png" crops.zip --out s3://bucket/numbers --as number
        handigit batch scans/ --out numbers --on ray://head:10001 --jobs 64

    Args:
        sources: Files, folders, patterns in quotes, .zip or .tar archives, or lists (.txt; .csv or .parquet with a
            column `path`); local or as URLs such as s3://bucket/scans/.
        out: Folder for the results, local or as a URL.
        as_: What each picture contains: one digit, one number, a page of numbers, or auto to decide for each page.
        template: Read forms: .toml files, or names of the gallery; one row per record. A form of several pages must be
            in one document.
        format: Format of the parts.
        jobs: Processes that read [default: one per processor core].
        on: `ray` for Ray on this machine, or a cluster's address such as ray://head:10001 [default: processes].
        resume: Continue the batch in the output folder.
        shard: Read only part I of N, as "3/100": one batch per shard, each with its own output folder.
        into: URL of the web app's database, which gets uncertain numbers, or each form with its pages, for review.
        target_error: Accept about this share of errors (0.01 = 1 in 100).
        model: An ONNX file, or a folder with digit.onnx and number.onnx [default: the embedded models].
        timeout: Seconds after which a reader that hangs is ended.
        part_size: Inputs per part; a part is also written once a minute. A crash costs one part at most.
        expected: Constraints on the number.
    """
    try:
        from handigit.batch.run import BatchOptions, run_batch
    except ModuleNotFoundError as error:
        return _missing(error, "batch")
    part = re.fullmatch(r"([0-9]+)/([0-9]+)", shard)
    if not sources or part is None or not 1 <= int(part[1]) <= int(part[2]):
        complain(
            "nothing to read: give files, folders, archives or lists"
            if not sources
            else f"--shard {shard}: not I/N, such as 3/100"
        )
        return WRONG_USAGE
    settings = Settings()
    options = BatchOptions(
        sources=sources,
        out=out,
        read=_read_options(
            settings, as_, model, target_error, expected, keep_doubts=into is not None, templates=tuple(template or ())
        ),
        jobs=jobs or settings.threads or os.cpu_count() or 1,
        on=on,
        resume=resume,
        format=format,
        shard=(int(part[1]) - 1, int(part[2])),
        into=into,
        store_files=settings.state / "pictures",
        timeout_s=timeout,
        part_inputs=part_size,
    )
    try:
        with _show_progress() as on_progress:
            summary = run_batch(options, on_progress=on_progress)
    except ModuleNotFoundError as error:
        return _missing(error, "ray" if error.name == "ray" else "app")
    _print_summary(summary, out)
    if summary.interrupted:
        say_status("interrupted; add --resume to continue")
        return INTERRUPTED
    return SOME_FAILED if summary.failed else DONE


def watch(
    folder: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    as_: Annotated[ReadAs, Parameter(name="--as")] = "auto",
    jobs: Jobs = 1,
    into: str | None = None,
    target_error: ErrorRate = 0.01,
    model: str | None = None,
    timeout: Seconds = 120.0,
    expected: Annotated[Expected, Parameter(name="*", group="Numbers")] = ANYTHING,
) -> int:
    """Read scans as they arrive in a folder, until Ctrl+C.

    Each one is moved to done/ or failed/ beside it after its numbers are in the table.

    Examples:
        handigit watch scans/ -o numbers.jsonl
        handigit watch scans/ --as number --into sqlite:////srv/handigit/handigit.db

    Args:
        folder: The folder to watch, with its sub-folders.
        output: JSON Lines file to append the results to [default: FOLDER/numbers.jsonl, unless --into is given].
        as_: What each picture contains: one digit, one number, a page of numbers, or auto to decide for each page.
        jobs: Processes that read.
        into: URL of the web app's database, whose review queue gets the uncertain numbers.
        target_error: Accept about this share of errors (0.01 = 1 in 100).
        model: An ONNX file, or a folder with digit.onnx and number.onnx [default: the embedded models].
        timeout: Seconds after which a reader that hangs is ended.
        expected: Constraints on the number.
    """
    try:
        from handigit.batch.watch import WatchOptions
        from handigit.batch.watch import watch as watch_folder
    except ModuleNotFoundError as error:
        return _missing(error, "batch")
    if not folder.is_dir():
        complain(f"{folder}: not a folder; give an existing one")
        return WRONG_USAGE
    settings = Settings()
    table = output or (None if into else folder / "numbers.jsonl")
    options = WatchOptions(
        folder=folder,
        table=table,
        read=_read_options(settings, as_, model, target_error, expected, keep_doubts=into is not None),
        jobs=jobs or 1,
        into=into,
        store_files=settings.state / "pictures",
        timeout_s=timeout,
    )
    say_status(f"watching {folder}; results go to {table or into}; stop with Ctrl+C")
    stop = threading.Event()
    try:
        count = watch_folder(options, stop=stop, on_result=_print_result)
    except KeyboardInterrupt:
        return DONE
    say_status(f"{count:,} read")
    return DONE


def _read_options(
    settings: Settings,
    kind: ReadAs,
    model: str | None,
    target_error: float,
    expected: Expected,
    *,
    keep_doubts: bool,
    templates: tuple[str, ...] = (),
) -> "ReadOptions":
    from handigit.batch.worker import ReadOptions

    chosen = model or (str(settings.model_dir) if settings.model_dir else None)
    limits = limits_of(settings)
    return ReadOptions(kind, chosen, target_error, expected, limits, keep_doubts, templates)


def _missing(error: ModuleNotFoundError, extra: str) -> int:
    complain(f'this needs {error.name}: pip install "handigit[{extra}]"')
    return SOME_FAILED


@contextmanager
def _show_progress() -> Iterator[Callable[["Progress"], None]]:
    """A bar on a terminal, else a line every half minute: done, failed, rate and time remaining."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    reported = time.monotonic()
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None, note="")

        def show(progress: "Progress") -> None:
            nonlocal reported
            bar.update(task, completed=progress.done, total=progress.total, note=_note(progress))
            if not err.is_terminal and time.monotonic() - reported >= _REPORT_EVERY_S:
                reported = time.monotonic()
                say_status(f"{progress.done:,} of {progress.total:,} read, {_note(progress)}")

        yield show


def _note(progress: "Progress") -> str:
    remaining = progress.remaining_s or 0
    clock = f"{remaining // 3600:.0f}:{remaining % 3600 // 60:02.0f}:{remaining % 60:02.0f}"
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return f"{progress.rate:,.1f}/s, {clock} left{failed}"


def _print_summary(summary: "Summary", out: str) -> None:
    outcomes = summary.group("outcome")
    parts = [f"{outcomes.pop(o.value):,} {o.label}" for o in Outcome if o.value in outcomes]
    parts += [f"{count:,} {outcome}" for outcome, count in outcomes.items()]
    parts += [f"{summary.failed:,} failed"] if summary.failed else []
    parts += [f"{summary.queued:,} stored for review"] if summary.queued else []
    say(f"{out}: {summary.totals.get('inputs', 0):,} inputs: {', '.join(parts) or 'no numbers found'}")
    for kind, count in summary.group("error").items():
        say(f"  {kind}: {count:,}")
    already = f", {summary.skipped:,} done before" if summary.skipped else ""
    say_status(f"{summary.rate:,.1f} inputs/s, {summary.seconds:,.0f} s{already}")


def _print_result(result: "InputResult") -> None:
    values = ", ".join(row["raw"] or row["outcome"] for row in result.rows if row["outcome"])
    name = Path(result.input.source).name
    if result.error:
        complain(result.rows[-1]["error"])
    else:
        say(f"{name}: {values or 'no numbers found'}")
