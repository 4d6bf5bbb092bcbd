"""Many files in, answers out: a table to look at, or JSON, JSON lines and CSV for other programs.

One bad file costs only its own answer. It knows nothing of how a picture is read.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handigit.errors import ImageError, UnreadableImage
from handigit.images import open_pages
from handigit.read.annotate import annotate, annotate_numbers
from handigit.read.reader import Reader
from handigit.records import ANYTHING, Digit, Expected, Number, Outcome, percent

Format = Literal["table", "json", "jsonl", "csv"]
Kind = Literal["digit", "number", "page"]
"""What a picture holds."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".pdf"})
"""What is taken for a picture or document in a folder; a file named by itself is judged by its content alone."""
COLUMNS = ("source", "page", "outcome", "text", "confidence", "left", "top", "right", "bottom", "model")
_COLOUR_PX = 40_000_000  # above so many pixels the annotated picture is drawn on the grey page already decoded
_STYLES = {Outcome.READ: "green", Outcome.DOUBT: "yellow", Outcome.BLANK: "dim", Outcome.NOT_A_NUMBER: "magenta"}


@dataclass(frozen=True)
class Reading:
    """One answer and where it came from."""

    source: str
    number: Number
    model: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON object that every interface gives for a number."""
        return self.number.as_dict(source=self.source, model=self.model)


def find_pictures(paths: Iterable[Path]) -> Iterator[Path | ImageError]:
    """The files meant by paths, folders (all pictures below them, by name) and patterns; an error for each of none."""
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        elif path.exists():
            found = [path]
        else:
            found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
        yield from found
        if not found:
            yield UnreadableImage(f"{path}: no picture there; give a file, a folder or a pattern in quotes")


def read_files(
    paths: Iterable[Path],
    reader: Reader,
    *,
    kind: Kind = "digit",
    expected: Expected = ANYTHING,
    annotate_into: Path | None = None,
) -> Iterator[Reading | ImageError]:
    """Read what each page of each file holds, in order; a file that cannot be read gives its error instead.

    `expected` counts for numbers that have a picture, or a page, of their own.
    """
    for path in find_pictures(paths):
        if isinstance(path, ImageError):
            yield path
            continue
        try:
            for number, page in enumerate(open_pages(path, limits=reader.limits)):
                answers = _answers_on(page, reader, kind, expected)
                if annotate_into:
                    _write_annotated(
                        _as_given(path, number, page), answers, annotate_into / _picture_name(path, number)
                    )
                for answer in answers:
                    found = answer.as_number() if isinstance(answer, Digit) else answer
                    yield Reading(str(path), replace(found, page=number), _model_of(reader, kind))
        except ImageError as problem:
            yield problem


def _answers_on(
    page: UInt8[np.ndarray, "height width"], reader: Reader, kind: Kind, expected: Expected
) -> list[Digit] | list[Number]:
    """What is read on a page that holds one digit, one number, or any numbers."""
    if kind == "digit":
        return [reader.digit_on(page)]
    if kind == "page":
        return reader.page_on(page)
    return reader.numbers_on([page], pattern=expected.pattern, alphabet=expected.alphabet)


def print_answers(readings: Iterable[Reading], *, format: Format, console: Console) -> None:  # noqa: A002
    """Print answers; as JSON lines each one as soon as it is there."""
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
        sure = percent(number.confidence) if number.text else ""
        others = "  ".join(f"{text} {percent(confidence)}" for text, confidence in number.alternatives[:1])
        outcome = Text(number.outcome.value, _STYLES[number.outcome])
        table.add_row(Text(source), outcome, Text(number.text, "bold"), sure, Text(others, "dim"))
    return table


def _write_csv(readings: Iterable[Reading]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for reading in readings:
        number = reading.number
        box = number.box.as_list() if number.box else [""] * 4
        row = (reading.source, number.page, number.outcome.value, number.text, f"{number.confidence:.6f}", *box)
        writer.writerow((*row, reading.model))


def _picture_name(path: Path, page: int) -> Path:
    """Where a page's annotated picture goes below the folder; pictures of one name in two folders stay apart."""
    place = path.with_name(f"{path.name}.png" if page == 0 else f"{path.name}.page{page + 1}.png")
    return place.relative_to(place.anchor) if place.is_absolute() else Path(*(p for p in place.parts if p != ".."))


def _as_given(path: Path, number: int, page: UInt8[np.ndarray, "height width"]) -> Image.Image:
    """The picture in its own colours, upright."""
    if page.size > _COLOUR_PX:
        return Image.fromarray(page)
    try:
        with Image.open(path) as picture:
            picture.seek(number)
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except UnidentifiedImageError:  # a PDF, which only a child of ours opens
        return Image.fromarray(page)


def _model_of(reader: Reader, kind: Kind) -> str:
    """The model's name, with enough of its digest to tell two of one name apart."""
    engine = reader.engine if kind == "digit" else reader.line_engine
    return f"{engine.card.name}-{engine.digest[:8]}"


def _write_annotated(picture: Image.Image, answers: Sequence[Digit] | Sequence[Number], path: Path) -> None:
    """The picture with one digit and what the model saw, or with the numbers on it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digits = [answer for answer in answers if isinstance(answer, Digit)]
    numbers = [answer for answer in answers if isinstance(answer, Number)]
    (annotate(picture, digits[0]) if digits else annotate_numbers(picture, numbers)).save(path)
