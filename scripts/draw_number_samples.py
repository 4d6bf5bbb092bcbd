"""Draw the pictures under samples/numbers and samples/pages: synthetic handwriting from fixed seeds.

    python scripts/draw_number_samples.py [FOLDER]

As in `draw_samples.py`, each folder's `expected.json` holds the expected outcome and texts of each file, a page's in
reading order.
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
from handigit.synth.form_paper import draw_waves
from handigit.synth.ink import coverage
from handigit.synth.photo import write_text
from handigit.synth.photo_paper import Rgb, apply_ink, draw_sheet
from handigit.synth.write_number import LineStyle, write_number

NEAT = LineStyle(gap=0.16, gap_sd=0.04, drift_sd=0.01, size_sd=0.04, lean=0.08, wide=1.0)
TOUCHING = replace(NEAT, gap=-0.04, gap_sd=0.02)
PRINT: Rgb = (90, 100, 120)


class Sheet:
    """A page in one person's handwriting."""

    def __init__(
        self, seed: int, size_px: tuple[int, int], *, paper: Paper = PLAIN, pen: Pen = BALLPOINT, ink: Rgb = BLUE
    ) -> None:
        """`size_px` is (height, width)."""
        self.rng = np.random.default_rng(seed)
        self.page = draw_sheet(paper, size_px, digit=Box(20, 20, 40, 60), rng=self.rng)
        writer = Writer.draw(self.rng)
        calm = replace(writer, slant=writer.slant / 2, aspect=1.05, habit=writer.habit / 2, warp=writer.warp / 2)
        self.writer, self.pen, self.ink = replace(calm, tremor=writer.tremor / 2, variation_rate=0.0), pen, ink

    def write(self, text: str, left: int, foot: int, height: int, *, style: LineStyle = NEAT) -> None:
        """Write text with its feet at that row."""
        made = write_number(text, self.rng, height_px=height, style=style, author=(self.writer, self.pen))
        amount = np.zeros(self.page.shape[:2], np.uint8)
        region = amount[foot - round(made.base_px) :, left:]
        rows, columns = min(region.shape[0], made.coverage.shape[0]), min(region.shape[1], made.coverage.shape[1])
        region[:rows, :columns] = made.coverage[:rows, :columns]
        self.page = apply_ink(self.page, amount, pen=self.pen, colour=self.ink, rng=self.rng)

    def spell(self, text: str, left: int, top: int, height: int) -> None:
        """Write letters."""
        ink = write_text(text, self.writer, self.pen, self.rng)
        corner = ink.extent()[0]
        placed = ink.smooth().transformed(height, (left - corner[0] * height, top - corner[1] * height))
        rows, columns = self.page.shape[:2]
        self.page = apply_ink(self.page, coverage(placed, rows, columns), pen=self.pen, colour=self.ink, rng=self.rng)

    def print_text(self, text: str, left: int, foot: int, size: float) -> None:
        """Print words."""
        cv2.putText(self.page, text, (left, foot), cv2.FONT_HERSHEY_SIMPLEX, size, PRINT, 1, cv2.LINE_AA)

    def box(self, left: int, top: int, right: int, bottom: int, *, cells: int = 1) -> None:
        """Print a box, divided into cells."""
        for column in np.linspace(left, right, cells + 1).round().astype(int).tolist():
            cv2.line(self.page, (column, top), (column, bottom), PRINT, 1, cv2.LINE_AA)
        for row in (top, bottom):
            cv2.line(self.page, (left, row), (right, row), PRINT, 1, cv2.LINE_AA)

    def capture(self, camera: Camera = SCANNER) -> np.ndarray:
        """The page as captured by a camera."""
        return photograph(self.page, camera, self.rng)


def zip_code() -> np.ndarray:
    """A code on an envelope, photographed by a phone."""
    page = Sheet(23, (150, 380), paper=CREAM, pen=FELT)
    page.write("60115", 60, 100, 52)
    return page.capture(TELEPHONE)


def cheque() -> np.ndarray:
    """An amount over guilloche, closed by a dash."""
    page = Sheet(2, (120, 360))
    height, width = page.page.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    pattern = np.maximum(draw_waves(x, y, np.random.default_rng(5)), draw_waves(x, y, np.random.default_rng(9)))
    page.page = (page.page * (1 - 0.22 * pattern[..., None])).astype(np.uint8)
    page.write("15.728.-", 50, 80, 40)
    cv2.line(page.page, (20, 92), (340, 92), PRINT, 1)
    return page.capture(Camera(blur_px=0.6, noise=2, jpeg=80))


def year() -> np.ndarray:
    """Four digits on a ruled sheet."""
    page = Sheet(
        33, (110, 220), pen=PENCIL, ink=GREY, paper=Paper(ruling="ruled", spacing=1.6, print_colour=(150, 178, 214))
    )
    page.write("1987", 40, 76, 40)
    return page.capture()


def telephone() -> np.ndarray:
    """Ten digits between the teeth of a comb."""
    page = Sheet(4, (110, 560))
    for index, digit in enumerate("0176442085"):
        page.write(digit, 34 + 50 * index, 74, 38)
        cv2.line(page.page, (24 + 50 * index, 66), (24 + 50 * index, 86), PRINT, 1)
    cv2.line(page.page, (24, 86), (524, 86), PRINT, 1)
    cv2.line(page.page, (524, 66), (524, 86), PRINT, 1)
    return page.capture()


def touching() -> np.ndarray:
    """Touching digits."""
    page = Sheet(5, (110, 240), pen=FELT)
    page.write("35802", 40, 80, 46, style=TOUCHING)
    return page.capture()


def crossed_cells() -> np.ndarray:
    """Three cells, the first crossed out."""
    page = Sheet(6, (110, 240))
    page.box(30, 22, 210, 92, cells=3)
    for index, character in enumerate("x47"):
        page.write(character, 46 + 60 * index, 78, 40)
    return page.capture()


def blank_box() -> np.ndarray:
    """An empty field."""
    page = Sheet(7, (100, 240))
    page.box(30, 20, 210, 80)
    return page.capture()


def word() -> np.ndarray:
    """Letters instead of a number."""
    page = Sheet(8, (110, 260))
    page.spell("Kern", 50, 26, 46)
    return page.capture()


def scores() -> np.ndarray:
    """A column of scores on squared paper."""
    squared = Paper(colour=(250, 250, 247), ruling="squared", spacing=1.3, print_colour=(176, 196, 220))
    page = Sheet(11, (720, 520), paper=squared)
    for row, score in enumerate(SCORES):
        page.write(score, 330 + 4 * (row % 3), 110 + 84 * row, 40)
    return page.capture(Camera(uneven=0.15, blur_px=0.6, noise=2, jpeg=85))


def form() -> np.ndarray:
    """A page with print and fields of cells."""
    page = Sheet(12, (560, 900), paper=CREAM)
    for row, (label, text) in enumerate(FORM.items()):
        foot = 110 + 130 * row
        page.print_text(label, 60, foot - 12, 0.9)
        page.box(460, foot - 62, 460 + 64 * len(text), foot + 16, cells=len(text))
        for index, digit in enumerate(text):
            page.write(digit, 478 + 64 * index, foot, 42)
    return page.capture()


SCORES = ("87", "92", "45", "100", "73", "68", "9")
FORM = {"Votes, first list": "248", "Votes, second list": "097", "Invalid": "013", "Ballots handed out": "358"}


@dataclass(frozen=True)
class Expected:
    """A picture's drawing function, acceptable outcomes and texts."""

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
    """Draw all samples and write the expected results."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    for name, samples in (("numbers", NUMBERS), ("pages", PAGES)):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for file, sample in samples.items():
            drawn = Image.fromarray(sample.draw())
            if file.endswith(".jpg"):
                drawn.save(target / file, quality=72)
            else:
                drawn.quantize(64, dither=Image.Dither.NONE).save(target / file, optimize=True)
        expected = {
            file: {"outcome": list(sample.outcome), "texts": list(sample.texts)} for file, sample in samples.items()
        }
        (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
        print(f"{target}: {len(samples)} pictures, {sum(p.stat().st_size for p in target.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
