"""Writers whose pen strokes were recorded: numbers in one writer's own digits, drawn with a pen of any width."""

import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from handigit.errors import BadDataFile
from handigit.synth.real_digits import Trusts, crop_to_ink

Strokes = tuple[Float64[np.ndarray, "_ 2"], ...]
"""Points of each stroke, y downward, in any unit."""
_DRAWN_PX: Final = 144
"""Height at which strokes are drawn, before they are reduced by `_REDUCTION`."""
_REDUCTION: Final = 2
_SUBPIXEL_BITS: Final = 4
_HELD_OUT_EVERY: Final = 8
"""One writer in this many is never trained on."""
_PEN: Final = (0.03, 0.17)
"""Thinnest and thickest stroke, in heights of a digit."""
_MEDIUM_PEN: Final = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class PenWriters:
    """Recorded digits by writer and value; `weight`: how often they write, relative to other hands."""

    writers: tuple[dict[str, tuple[Strokes, ...]], ...]
    weight: float

    def hand(self, rng: np.random.Generator) -> "PenHand":
        """A random writer with a random pen."""
        digits = self.writers[int(rng.integers(len(self.writers)))]
        return PenHand(digits, float(np.exp(rng.uniform(*np.log(_PEN)))))

    def only(self, trusts: Trusts) -> "PenWriters":
        """The same writers without digits that are not trusted."""

        def kept(value: str, recorded: Sequence[Strokes]) -> tuple[Strokes, ...]:
            pictures = [draw_strokes(strokes, pen=_MEDIUM_PEN) for strokes in recorded]
            return tuple(itertools.compress(recorded, trusts(pictures, int(value))))

        writers = ({value: kept(value, some) for value, some in digits.items()} for digits in self.writers)
        return PenWriters(tuple(writers), self.weight)


@dataclass(frozen=True, slots=True, eq=False)
class PenHand:
    """One writer's digits, with a stroke `pen` heights wide."""

    digits: dict[str, tuple[Strokes, ...]]
    pen: float
    mixed: bool = False

    def digit(self, value: int, rng: np.random.Generator) -> UInt8[np.ndarray, "_ _"] | None:
        """A digit of this value, ink bright, cropped to its box; None if the writer has none."""
        recorded = self.digits.get(str(value))
        if not recorded:
            return None
        return draw_strokes(recorded[int(rng.integers(len(recorded)))], pen=self.pen)


def draw_strokes(strokes: Strokes, *, pen: float) -> UInt8[np.ndarray, "_ _"]:
    """Strokes about 72 pixels high, ink bright, cropped to it; `pen`: width of a stroke in heights."""
    points = np.concatenate(strokes)
    corner = points.min(0)
    width, height = np.ptp(points, axis=0).tolist()
    scale = _DRAWN_PX / max(height, 0.5 * width, 1e-6)
    thick = max(1, round(pen * _DRAWN_PX))
    margin = thick + 2
    canvas = np.zeros((round(height * scale) + 2 * margin, round(width * scale) + 2 * margin), np.uint8)
    for stroke in strokes:
        grid = np.rint(((stroke - corner) * scale + margin) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(canvas, [grid], False, 255, thick, cv2.LINE_AA, _SUBPIXEL_BITS)
    size = max(1, canvas.shape[1] // _REDUCTION), max(1, canvas.shape[0] // _REDUCTION)
    return crop_to_ink(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))


def read_strokes(file: Path) -> Iterator[tuple[str, str, Strokes]]:
    """Label, writer and strokes of each recording in a `.jsonl.gz` file.

    Raises:
        BadDataFile: a line that is not a recording.
    """
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                item = json.loads(line)
                strokes = tuple(np.array(stroke, float).reshape(-1, 2) for stroke in item["strokes"] if len(stroke))
                recording = str(item["label"]), str(item["writer"]), strokes
            except (ValueError, KeyError, TypeError) as problem:
                raise BadDataFile(f"{file}, line {number}: not a recording of pen strokes ({problem!r})") from None
            yield recording


def load_pen_writers(files: Sequence[Path], *, held_out: bool) -> PenWriters:
    """The writers in these files: the eighth that is never trained on, or the others.

    Raises:
        BadDataFile: as `read_strokes`.
    """
    writers: dict[str, dict[str, list[Strokes]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        for label, writer, strokes in read_strokes(file):
            if label.isdecimal() and strokes:
                writers[f"{file.stem}/{writer}"][label].append(strokes)
    kept = [name for index, name in enumerate(sorted(writers)) if (index % _HELD_OUT_EVERY == 3) == held_out]
    digits = tuple({label: tuple(some) for label, some in writers[name].items()} for name in kept)
    return PenWriters(digits, weight=12.0 * len(digits) ** 0.5)
