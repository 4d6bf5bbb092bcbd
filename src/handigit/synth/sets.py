"""Sets of synthetic glyphs, digits or non-digits, by many writers. Equal seeds give equal bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from handigit.errors import DataError
from handigit.synth.ink import GLYPH_PX, glyph
from handigit.synth.nondigits import KINDS
from handigit.synth.strokes import parse_figure
from handigit.synth.writer import Pen, Writer, write


def scan(glyph: UInt8[np.ndarray, "28 28"], pen: Pen, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """The glyph with a scanner's defects; about one in three is unchanged."""
    coarse, soft, contrast = rng.random(3)
    if coarse < 0.18:
        glyph = _coarse(glyph, rng)
    if pen.grain > 0.15:
        glyph = _grainy(glyph, pen.grain, rng)
    if soft < 0.35:
        glyph = np.asarray(cv2.GaussianBlur(glyph, (5, 5), rng.uniform(0.4, 1.0)), np.uint8)
    if contrast < 0.35:
        glyph = cv2.convertScaleAbs(glyph, alpha=rng.uniform(0.65, 1.7)).astype(np.uint8, copy=False)
    return glyph


def _coarse(glyph: UInt8[np.ndarray, "28 28"], rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Downscaled and back; half of them forced to black or white, as by old scanners."""
    side = int(rng.integers(14, 25))
    small = cv2.resize(glyph, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = cv2.threshold(small, rng.uniform(0.25, 0.5) * small.max(), 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.resize(small, (28, 28), interpolation=cv2.INTER_LINEAR), np.uint8)


def _grainy(glyph: UInt8[np.ndarray, "28 28"], grain: float, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Ink missing where the paper is rough; bare paper stays bare."""
    loss = rng.random((28, 28), np.float32)
    return np.asarray(glyph * (1 - grain * loss), np.uint8)


GLYPHS_PER_WRITER = 10
"""Few, since two writers differ more than two glyphs of one writer."""
NONDIGITS_PER_WRITER = 3


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """Synthetic glyphs (0..255, ink bright) with their digits and kinds.

    `labels` is the digit, or -1; `kinds` names each glyph's allograph ("7 crossed") or kind of non-digit ("scribble").
    """

    glyphs: UInt8[np.ndarray, "n 28 28"]
    labels: Int64[np.ndarray, " n"]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def digits(n: int, *, seed: int) -> Synthetic:
    """`n` digits by many writers with many pens, all ten equally often, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10)
    glyphs, kinds = np.zeros((n, GLYPH_PX, GLYPH_PX), np.uint8), []
    for index, value in enumerate(labels.tolist()):
        if index % GLYPHS_PER_WRITER == 0:
            writer, pen = Writer.draw(rng), Pen.draw(rng)
        allograph = writer.allograph(value, rng)
        ink = write(parse_figure(allograph.strokes), writer, pen, rng)
        glyphs[index] = scan(glyph(ink), pen, rng)
        kinds.append(f"{value} {allograph.name}")
    return Synthetic(glyphs, labels.astype(np.int64), tuple(kinds))


def nondigits(n: int, *, seed: int, kinds: Sequence[str] = ()) -> Synthetic:
    """`n` non-digits of the given kinds, equally often; by default of all kinds but look-alikes, by their weights.

    Raises:
        DataError: an unknown kind.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise DataError(f"no kind of non-digit named {unknown[0]!r}; there are: {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    weights = np.array([float(name in kinds) if kinds else share for name, (_, share) in KINDS.items()])
    selected = [tuple(KINDS)[i] for i in rng.choice(len(KINDS), size=n, p=weights / weights.sum())]
    glyphs = np.zeros((n, GLYPH_PX, GLYPH_PX), np.uint8)
    for index, name in enumerate(selected):
        if index % NONDIGITS_PER_WRITER == 0:
            writer, pen = Writer.draw(rng), Pen.draw(rng)
        glyphs[index] = scan(glyph(KINDS[name][0](writer, pen, rng)), pen, rng)
    return Synthetic(glyphs, np.full(n, -1, np.int64), tuple(selected))


def contact_sheet(
    glyphs: UInt8[np.ndarray, "n 28 28"], *, columns: int, labels: Sequence[object] = ()
) -> UInt8[np.ndarray, "h w"]:
    """The glyphs in rows, dark on white, each above its label if labels are given."""
    cell = GLYPH_PX + 4
    height = cell + (10 if len(labels) else 0)
    rows = -(-len(glyphs) // columns)
    sheet = np.full((rows * height, columns * cell), 255, np.uint8)
    for index, picture in enumerate(glyphs):
        top, left = index // columns * height + 2, index % columns * cell + 2
        sheet[top : top + GLYPH_PX, left : left + GLYPH_PX] = 255 - picture
        if len(labels):
            place = (left, top + GLYPH_PX + 8)
            cv2.putText(sheet, str(labels[index]), place, cv2.FONT_HERSHEY_SIMPLEX, 0.3, 90, 1, cv2.LINE_AA)
    return sheet
