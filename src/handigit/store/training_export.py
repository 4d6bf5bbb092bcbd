"""What people have decided, as pictures to learn from: the loop closes through files.

    digits/0/ ... digits/9/    one digit a picture; `handigit train --data FOLDER/digits` takes it
    numbers/labels.csv         `file,text`, a line a picture; the pictures of whole numbers lie beside it

It knows where on a page a number and its digits are, and nothing of training. Only what people agree on is written:
no disputes, nothing undone, and no picture in which somebody says that there is no number.
"""

import csv
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from handigit.records import Box, Outcome
from handigit.store.errors import NotInStore, StoreError
from handigit.store.store import EVERYTHING, Store
from handigit.store.types import Filter, Reading

Page = UInt8[np.ndarray, "height width"]

_MARGIN = 0.25
"""Paper around what is cut out, as a share of its height: enough to tell ink from paper."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many pictures were written, and how many decided readings have no picture any more."""

    digits: int
    numbers: int
    without_picture: int


def export_corrections(store: Store, folder: Path, filter: Filter = EVERYTHING) -> Exported:  # noqa: A002
    """Write what people have decided into a new folder, which is there whole or not at all.

    Raises:
        StoreError: the folder is there already or cannot be written, or nobody has decided anything.
    """
    if folder.exists():
        raise StoreError(f"{folder} is there already; give the export a new folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        done = _write_all(store, part, filter)
        if not done.digits + done.numbers:
            raise StoreError(
                f"nothing to export: {done.without_picture} decided readings have no picture, the others were not "
                "decided or people disagree; review some first"
            )
        part.replace(folder)
    except OSError as problem:
        raise StoreError(f"cannot write {folder}: {problem.strerror or problem}; choose another place") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done


def _write_all(store: Store, part: Path, filter: Filter) -> Exported:  # noqa: A002
    digits = numbers = missing = 0
    (part / "numbers").mkdir(parents=True)
    with (part / "numbers" / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        labels = csv.writer(stream, lineterminator="\n")
        labels.writerow(["file", "text"])
        for reading in _agreed(store, filter):
            page = _page(store, reading)
            if page is None:
                missing += 1
                continue
            for number, (digit, box) in enumerate(_digit_places(reading)):
                _write(part / "digits" / digit / f"{reading.id}-{number}.png", cut_out(page, box))
                digits += 1
            if reading.provenance.kind == "number":
                name = f"{reading.id}.png"
                _write(part / "numbers" / name, cut_out(page, reading.number.box))
                labels.writerow([name, reading.text])
                numbers += 1
    return Exported(digits, numbers, missing)


def _agreed(store: Store, filter: Filter) -> Iterator[Reading]:  # noqa: A002
    for reading in store.all(filter):
        if reading.truth and reading.truth.outcome is Outcome.READ and not reading.disputed:
            yield reading


def _page(store: Store, reading: Reading) -> Page | None:
    if reading.picture is None:
        return None
    try:
        kept = Image.open(io.BytesIO(store.picture(reading.picture)))
    except NotInStore:
        return None
    return np.asarray(kept.convert("L"))


def _digit_places(reading: Reading) -> Iterator[tuple[str, Box | None]]:
    """Each true digit and where it is; none where the reader found more or fewer digits than there are."""
    found = reading.number.digits
    if reading.provenance.kind == "digit" and len(reading.text) == 1:
        yield reading.text, reading.number.box
    elif len(found) == len(reading.text) and all(digit.box for digit in found):
        yield from zip(reading.text, (digit.box for digit in found), strict=True)


def cut_out(page: Page, box: Box | None) -> UInt8[np.ndarray, "tall wide"]:
    """What is in a box, with paper of the colour around it as margin, so that no neighbour's ink comes along.

    Without a box: the whole page.
    """
    if box is None:
        return page
    inside = page[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right]
    if inside.size == 0:
        return page
    margin = max(4, round(inside.shape[0] * _MARGIN))
    return np.pad(inside, margin, constant_values=_paper(page, box, margin))


def _paper(page: Page, box: Box, margin: int) -> int:
    """The middle grey of the box and its surroundings: most of it is paper, whichever of both is the darker."""
    around = page[max(box.top - margin, 0) : box.bottom + margin, max(box.left - margin, 0) : box.right + margin]
    return int(np.median(around))


def _write(path: Path, picture: UInt8[np.ndarray, "tall wide"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
