"""Draws the pictures under samples/numbers and samples/pages: our own handwriting by code, from fixed seeds.

    python scripts/draw_number_samples.py [FOLDER]

As `draw_samples.py` does for single digits: each folder's `expected.json` says what a reader should make of each file,
a page's the texts of all its numbers in reading order.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from draw_samples import BALLPOINT, BLUE, CREAM, FELT, GREY, PENCIL, PLAIN, SAMPLES, SCANNER, TELEPHONE
from handigit.records import Box
from handigit.synth import Camera, Paper, Pen, Writer
from handigit.synth.camera import photograph
from handigit.synth.draw import cover
from handigit.synth.form_paper import waves
from handigit.synth.photo import write_text
from handigit.synth.photo_paper import Rgb, lay, sheet
from handigit.synth.write_number import Manner, write_number

NEAT = Manner(gap=0.16, gap_sd=0.04, drift_sd=0.01, size_sd=0.04, lean=0.08, wide=1.0)
TOUCHING = replace(NEAT, gap=-0.04, gap_sd=0.02)
PRINT: Rgb = (90, 100, 120)


class Sheet:
    """A page that is written on, by one person with one pen."""

    def __init__(
        self, seed: int, size_px: tuple[int, int], *, paper: Paper = PLAIN, pen: Pen = BALLPOINT, ink: Rgb = BLUE
    ) -> None:
        """`size_px` is (height, width)."""
        self.rng = np.random.default_rng(seed)
        self.page = sheet(paper, size_px, digit=Box(20, 20, 40, 60), rng=self.rng)
        writer = Writer.draw(self.rng)
        calm = replace(writer, slant=writer.slant / 2, aspect=1.05, habit=writer.habit / 2, warp=writer.warp / 2)
        self.writer, self.pen, self.ink = replace(calm, tremor=writer.tremor / 2, whim=0.0), pen, ink

    def write(self, text: str, left: int, foot: int, height: int, *, manner: Manner = NEAT) -> None:
        """Write text with its feet at that row."""
        made = write_number(text, self.rng, height_px=height, manner=manner, by=(self.writer, self.pen))
        amount = np.zeros(self.page.shape[:2], np.uint8)
        there = amount[foot - round(made.base_px) :, left:]
        rows, columns = min(there.shape[0], made.cover.shape[0]), min(there.shape[1], made.cover.shape[1])
        there[:rows, :columns] = made.cover[:rows, :columns]
        self.page = lay(self.page, amount, pen=self.pen, colour=self.ink, rng=self.rng)

    def spell(self, text: str, left: int, top: int, height: int) -> None:
        """Write letters."""
        ink = write_text(text, self.writer, self.pen, self.rng)
        corner = ink.extent()[0]
        placed = ink.smoothed().placed(height, (left - corner[0] * height, top - corner[1] * height))
        rows, columns = self.page.shape[:2]
        self.page = lay(self.page, cover(placed, rows, columns), pen=self.pen, colour=self.ink, rng=self.rng)

    def print_text(self, text: str, left: int, foot: int, size: float) -> None:
        """Print words as a form has them."""
        cv2.putText(self.page, text, (left, foot), cv2.FONT_HERSHEY_SIMPLEX, size, PRINT, 1, cv2.LINE_AA)

    def box(self, left: int, top: int, right: int, bottom: int, *, cells: int = 1) -> None:
        """Print a box, divided into cells."""
        for column in np.linspace(left, right, cells + 1).round().astype(int).tolist():
            cv2.line(self.page, (column, top), (column, bottom), PRINT, 1, cv2.LINE_AA)
        for row in (top, bottom):
            cv2.line(self.page, (left, row), (right, row), PRINT, 1, cv2.LINE_AA)

    def seen(self, camera: Camera = SCANNER) -> np.ndarray:
        """As a camera sees it."""
        return photograph(self.page, camera, self.rng)


def zip_code() -> np.ndarray:
    """On an envelope, seen by a telephone."""
    page = Sheet(23, (150, 380), paper=CREAM, pen=FELT)
    page.write("60115", 60, 100, 52)
    return page.seen(TELEPHONE)


def cheque() -> np.ndarray:
    """An amount over guilloche, closed by a dash."""
    page = Sheet(2, (120, 360))
    height, width = page.page.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    pattern = np.maximum(waves(x, y, np.random.default_rng(5)), waves(x, y, np.random.default_rng(9)))
    page.page = (page.page * (1 - 0.22 * pattern[..., None])).astype(np.uint8)
    page.write("15.728.-", 50, 80, 40)
    cv2.line(page.page, (20, 92), (340, 92), PRINT, 1)
    return page.seen(Camera(blur_px=0.6, noise=2, jpeg=80))


def year() -> np.ndarray:
    """Four digits on a ruled sheet."""
    page = Sheet(
        33, (110, 220), pen=PENCIL, ink=GREY, paper=Paper(ruling="ruled", spacing=1.6, print_colour=(150, 178, 214))
    )
    page.write("1987", 40, 76, 40)
    return page.seen()


def telephone() -> np.ndarray:
    """Ten digits between the teeth of a comb."""
    page = Sheet(4, (110, 560))
    for place, digit in enumerate("0176442085"):
        page.write(digit, 34 + 50 * place, 74, 38)
        cv2.line(page.page, (24 + 50 * place, 66), (24 + 50 * place, 86), PRINT, 1)
    cv2.line(page.page, (24, 86), (524, 86), PRINT, 1)
    cv2.line(page.page, (524, 66), (524, 86), PRINT, 1)
    return page.seen()


def touching() -> np.ndarray:
    """Digits that run into one another."""
    page = Sheet(5, (110, 240), pen=FELT)
    page.write("35802", 40, 80, 46, manner=TOUCHING)
    return page.seen()


def crossed_cells() -> np.ndarray:
    """Three cells, the first crossed out."""
    page = Sheet(6, (110, 240))
    page.box(30, 22, 210, 92, cells=3)
    for place, character in enumerate("x47"):
        page.write(character, 46 + 60 * place, 78, 40)
    return page.seen()


def blank_box() -> np.ndarray:
    """A field that nobody wrote into."""
    page = Sheet(7, (100, 240))
    page.box(30, 20, 210, 80)
    return page.seen()


def word() -> np.ndarray:
    """Letters where a number is wanted."""
    page = Sheet(8, (110, 260))
    page.spell("Kern", 50, 26, 46)
    return page.seen()


def scores() -> np.ndarray:
    """A column of scores on squared paper."""
    squared = Paper(colour=(250, 250, 247), ruling="squared", spacing=1.3, print_colour=(176, 196, 220))
    page = Sheet(11, (720, 520), paper=squared)
    for row, score in enumerate(SCORES):
        page.write(score, 330 + 4 * (row % 3), 110 + 84 * row, 40)
    return page.seen(Camera(uneven=0.15, blur_px=0.6, noise=2, jpeg=85))


def form() -> np.ndarray:
    """A page with print and fields of cells."""
    page = Sheet(12, (560, 900), paper=CREAM)
    for row, (label, text) in enumerate(FORM.items()):
        foot = 110 + 130 * row
        page.print_text(label, 60, foot - 12, 0.9)
        page.box(460, foot - 62, 460 + 64 * len(text), foot + 16, cells=len(text))
        for place, digit in enumerate(text):
            page.write(digit, 478 + 64 * place, foot, 42)
    return page.seen()


SCORES = ("87", "92", "45", "100", "73", "68", "9")
FORM = {"Votes, first list": "248", "Votes, second list": "097", "Invalid": "013", "Ballots handed out": "358"}


@dataclass(frozen=True)
class Expected:
    """A picture and what a reader should make of it."""

    draw: Callable[[], np.ndarray]
    outcome: tuple[str, ...]
    texts: tuple[str, ...]


NUMBERS = {
    "zip-code-on-an-envelope.jpg": Expected(zip_code, ("read", "doubt"), ("60115",)),
    "amount-on-a-cheque.jpg": Expected(cheque, ("read", "doubt"), ("15728",)),
    "year-in-pencil.png": Expected(year, ("read", "doubt"), ("1987",)),
    "telephone-in-a-comb.png": Expected(telephone, ("read", "doubt"), ("0176442085",)),
    "touching-digits.png": Expected(touching, ("read", "doubt"), ("35802",)),
    "crossed-out-cell.png": Expected(crossed_cells, ("read", "doubt"), ("47",)),
    "blank-box.png": Expected(blank_box, ("blank",), ("",)),
    "word.png": Expected(word, ("not_a_number", "doubt"), ()),
}
PAGES = {
    "scores-on-squared-paper.jpg": Expected(scores, ("read", "doubt"), SCORES),
    "form-with-cells.jpg": Expected(form, ("read", "doubt"), tuple(FORM.values())),
}


def main() -> None:
    """Draw all samples, and say what each should be read as."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    for name, samples in (("numbers", NUMBERS), ("pages", PAGES)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for file, sample in samples.items():
            drawn = Image.fromarray(sample.draw())
            if file.endswith(".jpg"):
                drawn.save(place / file, quality=72)
            else:
                drawn.quantize(64, dither=Image.Dither.NONE).save(place / file, optimize=True)
        expected = {
            file: {"outcome": list(sample.outcome), "texts": list(sample.texts)} for file, sample in samples.items()
        }
        (place / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
        print(f"{place}: {len(samples)} pictures, {sum(p.stat().st_size for p in place.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
