"""A line and what the model says of it -> a number: its text, its digits with their boxes, its outcome.

It knows lines, frames and cards; nothing of files, and nothing of how a line was found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8

from handigit.card import Card
from handigit.images.line import INK_PX, LINE_PX, Line, find_line
from handigit.read.ctc import DIGITS, UNKNOWN, Constraint, Hypothesis, align
from handigit.read.hypotheses import Looked
from handigit.records import Box, Digit, Number, Outcome

_ALTERNATIVES: Final = 4
"""So many other texts are told at most."""
_WORTH_TELLING: Final = 1e-4
"""Probability of the least likely text that is told."""
_WIDEST: Final = 1.3
"""Width of a digit's box, in heights, beyond which ink at either end belongs to something else."""
_LEAD_OF_NONE: Final = 1.5
"""How much likelier than the best number it must be that there is none: a doubt costs a glance, a lost number more."""
_RATHER_RIGHT: Final = 0.5
"""Confidence from which a line is believed against cells that lack some of its digits."""
_INKED: Final = 0.3
"""Strength of ink in a line that a box is drawn around."""

BLANK: Final = Number(outcome=Outcome.BLANK, text="", confidence=0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a reading: the share of wrong answers among those read, and what numbers may be.

    `barred`: classes of the model that cannot be meant.
    """

    target_error: float = 0.01
    within: Constraint | None = None
    barred: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A crop, ink dark on light, and the line that was found in it; None where nothing is written."""

    line: Line | None
    crop: UInt8[np.ndarray, "height width"]

    @classmethod
    def on(cls, crop: UInt8[np.ndarray, "height width"]) -> "Seen":
        """Look for the line in a crop."""
        return cls(find_line(crop), crop)

    @property
    def size(self) -> tuple[int, int]:
        """The crop's height and width in pixels."""
        return self.crop.shape[0], self.crop.shape[1]


def number_on(seen: Seen, looked: Looked, card: Card, wanted: Wanted) -> Number:
    """The number on a line that was looked at; boxes are in pixels of the crop."""
    line, crop = seen.line, seen.size
    assert line is not None
    found, shares = looked.found, looked.shares
    numbers = _numbers_in(found)
    if not numbers:
        return _no_number(found, line, crop)
    best = numbers[0]
    confidence = card.confidence(best.probability)
    sure = confidence >= card.threshold(wanted.target_error)
    return Number(
        outcome=Outcome.READ if sure else Outcome.DOUBT,
        text=best.text,
        confidence=confidence,
        digits=_digits(best.raw, line, shares, card, crop),
        alternatives=_alternatives(numbers, confidence),
        raw=best.raw,
        box=_around(line, crop),
    )


def _alternatives(numbers: Sequence[Hypothesis], confidence: float) -> tuple[tuple[str, float], ...]:
    """The runners-up: they share what the best text's confidence leaves, and none is surer than that."""
    best, *others = numbers
    scale = (1 - confidence) / max(1 - best.probability, 1e-9)
    shares = [(one.text, min(one.probability * scale, confidence)) for one in others[:_ALTERNATIVES]]
    return tuple((text, share) for text, share in shares if share >= _WORTH_TELLING)


def in_cells(parts: Sequence[Number]) -> Number | None:
    """The number whose digits stand in cells side by side, each read for itself; None if they hold no digit or a word.

    It is as sure as all its parts together, and a doubt. Cells that are empty, or crossed out, are left out.
    """
    if any(UNKNOWN in part.raw for part in parts):
        return None
    boxes = [part.box for part in parts if part.text and part.box]
    written = sorted((part for part in parts if part.text and part.box), key=_left)
    if not written:
        return None
    text = "".join(part.text for part in written)
    return Number(
        outcome=Outcome.DOUBT,
        text=text,
        confidence=math.prod(part.confidence for part in written),
        digits=tuple(digit for part in written for digit in part.digits),
        raw=text,
        box=_around_all(boxes),
    )


def _left(number: Number) -> int:
    return number.box.left if number.box else 0


def surer(line: Number, cells: Number | None, wanted: Wanted, card: Card) -> Number:
    """Of a number read as a line and the same read cell by cell, the surer one.

    Where they differ it is a doubt, for a digit may have gone with the frame of its cell. Fewer digits are believed
    only where the line is rather wrong than right: what is taken for cells may be strokes.
    """
    if cells is None or (wanted.within is not None and not wanted.within.allows(cells.text)):
        return line
    if cells.text == line.text:
        confidence = max(cells.confidence, line.confidence)
        sure = confidence >= card.threshold(wanted.target_error)
        return replace(line, confidence=confidence, outcome=Outcome.READ if sure else Outcome.DOUBT)
    enough = _RATHER_RIGHT if len(cells.text) < len(line.text) else cells.confidence
    if line.text and line.confidence >= min(enough, cells.confidence):
        return replace(line, outcome=Outcome.DOUBT)
    return cells


def _around_all(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def best_number(found: Sequence[Hypothesis]) -> Hypothesis | None:
    """The likeliest number among the texts of a line, None where there probably is none."""
    return next(iter(_numbers_in(found)), None)


def _numbers_in(found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The numbers among the texts of a line, the likeliest first; none where there probably is none."""
    numbers = _by_text(found)
    is_one = numbers and _share_of_none(found) <= _LEAD_OF_NONE * numbers[0].probability
    return numbers if is_one else []


def _share_of_none(found: Sequence[Hypothesis]) -> float:
    """How probable it is that there is no number."""
    return min(1.0, sum(one.probability for one in found if not one.is_number))


def _by_text(found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The numbers among them, those that differ only in separators taken together; the likeliest first."""
    texts: dict[str, Hypothesis] = {}
    for one in found:
        if one.is_number:
            first = texts.get(one.text)
            raw, before = (first.raw, first.probability) if first else (one.raw, 0.0)
            texts[one.text] = Hypothesis(raw, min(1.0, before + one.probability))
    return sorted(texts.values(), key=lambda one: -one.probability)


def _no_number(found: Sequence[Hypothesis], line: Line, crop: tuple[int, int]) -> Number:
    """What holds no number: nothing at all, or something else."""
    if found and not found[0].raw:
        return BLANK
    return Number(
        outcome=Outcome.NOT_A_NUMBER,
        text="",
        confidence=_share_of_none(found),
        raw=found[0].raw if found else "",
        box=_around(line, crop),
    )


def _digits(
    raw: str, line: Line, shares: Float64[np.ndarray, "frames classes"], card: Card, crop: tuple[int, int]
) -> tuple[Digit, ...]:
    """Each digit of the text, with its box and how probable each of the ten is in its place."""
    classes = [1 + card.alphabet.index(character) for character in raw]
    spans = align(shares, classes)
    borders = _borders(line, spans * (line.width / len(shares)))
    digits = []
    for character, span, (left, right) in zip(raw, spans, borders, strict=True):
        if character in DIGITS:
            probabilities = _probabilities(shares[span[0] : span[1]], card.alphabet)
            digits.append(_digit(int(character), probabilities, line, (left, right), crop))
    return tuple(digits)


def _digit(
    value: int, probabilities: tuple[float, ...], line: Line, columns: tuple[int, int], crop: tuple[int, int]
) -> Digit:
    return Digit(
        outcome=Outcome.READ,
        value=value,
        confidence=probabilities[value],
        probabilities=probabilities,
        box=_tight_box(line, *columns, within=crop),
    )


def _probabilities(frames: Float64[np.ndarray, "n classes"], alphabet: str) -> tuple[float, ...]:
    """The ten digits' shares where the frames are least blank."""
    surest = frames[int(frames[:, 0].argmin())]
    shares = np.array([surest[1 + alphabet.index(digit)] for digit in DIGITS]) + 1e-9
    return tuple((shares / shares.sum()).tolist())


def _borders(line: Line, spans_px: Float64[np.ndarray, "characters 2"]) -> list[tuple[int, int]]:
    """The columns of each character: between two of them the cut goes where there is least ink."""
    ink = line.pixels.sum(axis=0)
    middles = spans_px.mean(axis=1)
    cuts = [
        int(first) + int(ink[int(first) : max(int(second), int(first)) + 1].argmin())
        for first, second in pairwise(middles.tolist())
    ]
    written = np.flatnonzero((line.pixels > _INKED).any(axis=0))
    reach = _WIDEST * INK_PX
    start = max(int(written[0]) if len(written) else 0, int(middles[0] - reach))
    stop = min(int(written[-1]) + 1 if len(written) else line.width, int(middles[-1] + reach))
    lefts, rights = [min(start, int(middles[0])), *cuts], [*cuts, max(stop, int(middles[-1]) + 1)]
    return [(left, max(right, left + 1)) for left, right in zip(lefts, rights, strict=True)]


def _tight_box(line: Line, left: int, right: int, *, within: tuple[int, int]) -> Box:
    """The box in the crop around the ink between these columns."""
    rows, columns = np.nonzero(line.pixels[:, left:right] > _INKED)
    if not len(rows):
        return line.box_of((left, 0, right, LINE_PX), within=within)
    edges = left + int(columns.min()), int(rows.min()), left + int(columns.max()) + 1, int(rows.max()) + 1
    return line.box_of(edges, within=within)


def _around(line: Line, crop: tuple[int, int]) -> Box:
    return _tight_box(line, 0, line.width, within=crop)
