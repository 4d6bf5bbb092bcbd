"""Read many files and print the results: a table, JSON, JSON Lines or CSV.

A file that cannot be read yields its error; the others are still read.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handigit.errors import ImageError, UnreadableImage
from handigit.read.annotate import annotate, annotate_numbers
from handigit.read.document import Page, PageReading, read_document
from handigit.read.reader import Reader
from handigit.records import ANYTHING, Expected, Kind, Number, Outcome, percent

Format = Literal["table", "json", "jsonl", "csv"]
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".pdf"})
"""Suffixes that are read in a folder; a file named explicitly is recognised by its content alone."""
COLUMNS = ("source", "page", "outcome", "text", "confidence", "left", "top", "right", "bottom", "model")
_MAX_COLOUR_PX = 40_000_000  # above, the annotated picture is drawn on the decoded grey page
_STYLES = {Outcome.READ: "green", Outcome.DOUBT: "yellow", Outcome.BLANK: "dim", Outcome.NOT_A_NUMBER: "magenta"}


@dataclass(frozen=True)
class Reading:
    """One number, its source and the model that read it."""

    source: str
    number: Number
    model: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON object for this number, the same in every interface."""
        return self.number.as_dict(source=self.source, model=self.model)


def find_pictures(paths: Iterable[Path]) -> Iterator[Path | ImageError]:
    """The files named by paths, folders (searched recursively, by suffix) and patterns; an error for each without."""
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        elif path.exists():
            files = [path]
        else:
            files = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
        yield from files
        if not files:
            yield UnreadableImage(f"{path}: no picture there; give a file, a folder or a pattern in quotes")


def read_files(
    paths: Iterable[Path],
    reader: Reader,
    *,
    kind: Kind = "digit",
    expected: Expected = ANYTHING,
    annotate_into: Path | None = None,
) -> Iterator[Reading | ImageError]:
    """Read each page of each file, in order; a file that cannot be read yields its error instead.

    `expected` applies to kind `number`. `annotate_into`: a folder for annotated pictures.
    """
    for path in find_pictures(paths):
        if isinstance(path, ImageError):
            yield path
            continue
        try:
            for index, result in enumerate(read_document(reader, path, kind, expected=expected)):
                if annotate_into:
                    _write_annotated(path, index, result, annotate_into / _annotated_name(path, index))
                for number in result.numbers:
                    yield Reading(str(path), number, result.model)
        except ImageError as problem:
            yield problem


def print_readings(readings: Iterable[Reading], *, format: Format, console: Console) -> None:  # noqa: A002
    """Print results; JSON Lines as soon as each is available."""
    if format == "table":
        console.print(_table(readings))
    elif format == "csv":
        _write_csv(readings)
    elif format == "json":
        print(json.dumps([reading.as_dict() for reading in readings], indent=2))  # noqa: T201
    else:
        for reading in readings:
            print(json.dumps(reading.as_dict()), flush=True)  # noqa: T201


def _table(readings: Iterable[Reading]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("picture", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("text", no_wrap=True)
    table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("or", no_wrap=True)
    for reading in readings:
        number = reading.number
        source = reading.source if number.page == 0 else f"{reading.source} page {number.page + 1}"
        confidence = percent(number.confidence) if number.text else ""
        runner_up = "  ".join(f"{text} {percent(confidence)}" for text, confidence in number.alternatives[:1])
        outcome = Text(number.outcome.value, _STYLES[number.outcome])
        table.add_row(Text(source), outcome, Text(number.text, "bold"), confidence, Text(runner_up, "dim"))
    return table


def _write_csv(readings: Iterable[Reading]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for reading in readings:
        number = reading.number
        box = number.box.as_list() if number.box else [""] * 4
        row = (reading.source, number.page, number.outcome.value, number.text, f"{number.confidence:.6f}", *box)
        writer.writerow((*row, reading.model))


def _write_annotated(source: Path, index: int, result: PageReading, path: Path) -> None:
    """Write the picture with its results: one digit and its glyph, or the numbers' boxes."""
    picture = _in_colour(source, index, result.page)
    path.parent.mkdir(parents=True, exist_ok=True)
    (annotate(picture, result.digit) if result.digit else annotate_numbers(picture, result.numbers)).save(path)


def _annotated_name(path: Path, page: int) -> Path:
    """Name of a page's annotated picture in the output folder; files of one name in two folders stay apart."""
    name = path.with_name(f"{path.name}.png" if page == 0 else f"{path.name}.page{page + 1}.png")
    return name.relative_to(name.anchor) if name.is_absolute() else Path(*(part for part in name.parts if part != ".."))


def _in_colour(path: Path, index: int, page: Page) -> Image.Image:
    """The page in its own colours, upright; the decoded page where that is too large or a PDF."""
    if page.size > _MAX_COLOUR_PX:
        return Image.fromarray(page)
    try:
        with Image.open(path) as picture:
            picture.seek(index)
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except UnidentifiedImageError:  # a PDF, which only the decoder process opens
        return Image.fromarray(page)
