"""`handigit read`: pictures in, numbers out."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from handigit.cli.shared import limits_of
from handigit.cli.terminal import complain, out, progress, say_status
from handigit.records import ANYTHING, Expected, Outcome, ReadAs
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.errors import ImageError
    from handigit.read.document import PageReading
    from handigit.read.files import Found
    from handigit.read.output import Reading
    from handigit.read.reader import Reader

DONE, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
_STREAMED = ("jsonl", "csv")
_HEIC_HINT = 'to read .heic: pip install "handigit[heic]"'

ErrorRate = Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))]
Jobs = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=64))]


def read(
    *paths: Path,
    as_: Annotated[ReadAs, Parameter(name="--as")] = "auto",
    format: Annotated[  # noqa: A002
        Literal["table", "json", "jsonl", "csv", "xlsx"] | None, Parameter(name="--format")
    ] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    annotate: Path | None = None,
    target_error: ErrorRate = 0.01,
    model: Path | None = None,
    jobs: Jobs = 1,
    expected: Annotated[Expected, Parameter(name="*", group="Numbers")] = ANYTHING,
) -> int:
    r"""Read the handwritten numbers in pictures, scans and PDFs.

    Examples:
        handigit read photo.jpg
        handigit read scans/ -o numbers.xlsx
        handigit read "scans/*.png" --as number --pattern "\d{5}"
        cat scan.pdf | handigit read - --format jsonl

    Args:
        paths: Pictures, folders (searched recursively), patterns such as "scans/*.png", or - for standard input.
        as_: What each picture contains: one digit, one number, or a page of numbers; auto decides for each page.
        format: Output format [default: by the name of -o, else a table; tab-separated in a pipe].
        output: Write the results to this file instead of the screen.
        annotate: Folder in which to write each picture with its results drawn on it.
        target_error: Accept about this share of errors (0.01 = 1 in 100).
        model: An ONNX file, or a folder with digit.onnx and number.onnx [default: the embedded models].
        jobs: Pictures to read at the same time.
        expected: Constraints on the number.
    """
    from handigit.read.files import find_pictures
    from handigit.read.output import print_readings, save_readings
    from handigit.read.reader import Reader

    if not paths:
        complain("nothing to read: give pictures, folders, patterns in quotes, or - for standard input")
        return WRONG_USAGE
    output_format = format or _format_of(output)
    if output_format == "xlsx" and output is None:
        complain("--format xlsx needs a file: add -o numbers.xlsx")
        return WRONG_USAGE
    settings = Settings()
    threads = settings.threads or (1 if jobs > 1 else None)
    limits = limits_of(settings)
    reader = Reader(model or settings.model_dir, target_error=target_error, threads=threads, limits=limits)
    found = find_pictures(paths, exclude=annotate)
    batch = _Batch(found)

    def read_one(path: Path) -> "list[Reading | ImageError | str]":
        return list(_read_file(path, reader, as_, expected, annotate))

    # A table is printed at the end; rows that stream to the screen are their own progress.
    is_visible = output is not None or output_format not in _STREAMED or not out.is_terminal
    with progress("reading", found.pictures, visible=is_visible) as advance:
        readings = batch.results(_in_order(found.items, read_one, jobs), advance)
        if output:
            save_readings(readings, output, format=output_format)
        elif output_format == "table":
            kept = list(readings)
        else:
            print_readings(readings, format=output_format, console=out)
    if not output and output_format == "table":
        print_readings(kept, format=output_format, console=out)
    batch.print_summary(output)
    if batch.interrupted:
        return INTERRUPTED
    return SOME_FAILED if batch.failed else DONE


def _format_of(output: Path | None) -> Literal["table", "json", "jsonl", "csv", "xlsx"]:
    suffixes: dict[str, Literal["json", "jsonl", "csv", "xlsx"]] = {
        ".json": "json",
        ".jsonl": "jsonl",
        ".csv": "csv",
        ".xlsx": "xlsx",
    }
    return suffixes.get(output.suffix.lower(), "table") if output else "table"


@dataclass
class _Batch:
    """Progress and totals of one call."""

    found: "Found"
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failed: int = 0
    interrupted: bool = False

    def results(
        self, files: Iterator["list[Reading | ImageError | str] | ImageError"], advance: Callable[[], None]
    ) -> Iterator["Reading"]:
        """The readings of all files; errors and notes are printed. Ctrl+C ends the iteration; earlier results stay."""
        from handigit.read.output import Reading

        try:
            for file in files:
                for item in file if isinstance(file, list) else [file]:
                    if isinstance(item, Reading):
                        self.outcomes[item.number.outcome] += 1
                        yield item
                    else:
                        self.failed += not isinstance(item, str)
                        complain(item)
                advance()
        except KeyboardInterrupt:
            self.interrupted = True

    def print_summary(self, output: Path | None) -> None:
        """One line on stderr: counts by outcome, failed and skipped files; nothing for a single good picture."""
        from handigit.read.files import HEIC_SUFFIXES, names

        skipped = self.found.skipped
        is_single = self.found.pictures < 2 and self.outcomes.total() < 2
        if is_single and not (skipped or output or self.interrupted):
            return
        parts = [f"{count:,} {outcome.label}" for outcome in Outcome if (count := self.outcomes[outcome])]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{skipped.total():,} skipped ({names(skipped)})"] if skipped else []
        parts = ["no numbers found", *parts] if not self.outcomes else parts
        where = f"wrote {output}: " if output else ""
        start = "interrupted; so far: " if self.interrupted else where
        hint = f"; {_HEIC_HINT}" if skipped.keys() & HEIC_SUFFIXES else ""
        say_status(start + ", ".join(parts) + hint)


def _read_file(
    path: Path,
    reader: "Reader",
    kind: ReadAs,
    expected: Expected,
    annotate_into: Path | None,
) -> Iterator["Reading | ImageError | str"]:
    """The readings of each page of a file, and notes on them; an error ends it, and the earlier pages are kept."""
    from handigit.errors import ImageError
    from handigit.read.document import read_document
    from handigit.read.files import STDIN
    from handigit.read.output import Reading

    source = BytesIO(sys.stdin.buffer.read()) if path == STDIN else path
    try:
        for index, page in enumerate(read_document(reader, source, kind, expected=expected)):
            if annotate_into:
                _annotate(source, path, index, page, annotate_into)
            for number in page.numbers:
                yield Reading(str(path), number, page.model)
            if page.note:
                yield f"{path}: {page.note} (--as page)"
    except ImageError as problem:
        yield problem


def _annotate(source: Path | BytesIO, path: Path, index: int, page: "PageReading", folder: Path) -> None:
    from handigit.read.display import write_annotated

    write_annotated(source, index, page, folder / _annotated_name(path, index))


def _annotated_name(path: Path, page: int) -> Path:
    """Name of a page's annotated picture in the output folder; files of one name in two folders stay apart."""
    name = path.with_name(f"{path.name.strip('<>')}.png" if page == 0 else f"{path.name}.page{page + 1}.png")
    return name.relative_to(name.anchor) if name.is_absolute() else Path(*(part for part in name.parts if part != ".."))


def _in_order(
    items: Iterable["Path | ImageError"], read_one: Callable[[Path], "list[Reading | ImageError | str]"], jobs: int
) -> Iterator["list[Reading | ImageError | str] | ImageError"]:
    """Read files with `jobs` threads, in order, at most two per thread ahead of the output."""
    if jobs == 1:
        yield from (read_one(item) if isinstance(item, Path) else item for item in items)
        return
    pending: deque[Future[list[Reading | ImageError | str]] | ImageError] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for item in items:
                pending.append(pool.submit(read_one, item) if isinstance(item, Path) else item)
                if len(pending) > 2 * jobs:
                    yield _result(pending.popleft())
            while pending:
                yield _result(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(
    item: "Future[list[Reading | ImageError | str]] | ImageError",
) -> "list[Reading | ImageError | str] | ImageError":
    return item.result() if isinstance(item, Future) else item
