"""Decided readings as training pictures.

    digits/0/ ... digits/9/    one digit per picture; `handigit train --data FOLDER/digits` takes it
    numbers/labels.csv         `file,text`, one line per picture; the pictures of whole numbers are beside it

Only readings that people agree on are written: no disputed or undone decisions, no non-numbers. The text
is the number as it is written, with its separators.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.atomic import write_folder
from handigit.records import Box, Outcome
from handigit.store.errors import NotInStore, StoreError
from handigit.store.store import EVERYTHING, Store
from handigit.store.types import Filter, Reading

GreyPage = UInt8[np.ndarray, "height width"]

_MARGIN: Final = 0.25
"""Paper around a crop as a fraction of its height: enough to separate ink from paper."""


@dataclass(frozen=True, slots=True)
class ExportedCounts:
    """Pictures written, and decided readings whose picture is missing."""

    digits: int
    numbers: int
    without_picture: int


def export_corrections(store: Store, folder: Path, filter: Filter = EVERYTHING) -> ExportedCounts:  # noqa: A002
    """Write decided readings into a new folder, whole or not at all.

    Raises:
        StoreError: the folder exists or cannot be written, or there is nothing to export.
    """
    with write_folder(folder, error=StoreError) as part:
        counts = _write_all(store, part, filter)
        if not counts.digits + counts.numbers:
            raise StoreError(
                f"nothing to export: {counts.without_picture} decided readings have no picture, the others are "
                "undecided or disputed; review some first"
            )
    return counts


def _write_all(store: Store, part: Path, filter: Filter) -> ExportedCounts:  # noqa: A002
    digits = numbers = missing = 0
    (part / "numbers").mkdir(parents=True)
    with (part / "numbers" / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        labels = csv.writer(stream, lineterminator="\n")
        labels.writerow(["file", "text"])
        for reading in _agreed(store, filter):
            page = _load_page(store, reading)
            if page is None:
                missing += 1
                continue
            for index, (digit, box) in enumerate(_digit_boxes(reading)):
                _write(part / "digits" / digit / f"{reading.id}-{index}.png", crop_number(page, box))
                digits += 1
            if reading.provenance.kind == "number":
                name = f"{reading.id}.png"
                _write(part / "numbers" / name, crop_number(page, reading.number.box))
                labels.writerow([name, reading.raw])
                numbers += 1
    return ExportedCounts(digits, numbers, missing)


def _agreed(store: Store, filter: Filter) -> Iterator[Reading]:  # noqa: A002
    for reading in store.all(filter):
        if reading.truth and reading.truth.outcome is Outcome.READ and not reading.disputed:
            yield reading


def _load_page(store: Store, reading: Reading) -> GreyPage | None:
    if reading.picture is None:
        return None
    try:
        picture = Image.open(io.BytesIO(store.picture(reading.picture)))
    except NotInStore:
        return None
    return np.asarray(picture.convert("L"))


def _digit_boxes(reading: Reading) -> Iterator[tuple[str, Box | None]]:
    """Each true digit with its box; none where the reader found more or fewer digits."""
    boxes = [digit.box for digit in reading.number.digits]
    if reading.provenance.kind == "digit" and len(reading.text) == 1:
        yield reading.text, reading.number.box
    elif len(boxes) == len(reading.text) and all(boxes):
        yield from zip(reading.text, boxes, strict=True)


def crop_number(page: GreyPage, box: Box | None) -> UInt8[np.ndarray, "tall wide"]:
    """The inside of a box with a margin in the colour of the surrounding paper, so that it has no neighbour's ink.

    Without a box: the whole page.
    """
    if box is None:
        return page
    inside = page[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right]
    if inside.size == 0:
        return page
    margin = max(4, round(inside.shape[0] * _MARGIN))
    around = page[max(box.top - margin, 0) : box.bottom + margin, max(box.left - margin, 0) : box.right + margin]
    # Most of the box and its surroundings is paper, so their median is the paper's grey, dark or light.
    return np.pad(inside, margin, constant_values=int(np.median(around)))


def _write(path: Path, picture: UInt8[np.ndarray, "tall wide"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
