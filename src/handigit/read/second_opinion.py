"""What the digit model says of the digits in a line that touch no other: a second opinion where a number is a doubt.

The number model has learnt from all that surrounds digits, the digit model from digits alone, and knows those better.
It knows lines and hypotheses, nothing of pictures or outcomes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from handigit.images.glyph import normalised
from handigit.images.ink import Ink
from handigit.read.ctc import DIGITS, Hypothesis, align
from handigit.read.engine import Engine
from handigit.records import Box

DOUBTED: Final = 0.9
"""Probability below which the best text is a doubt; a second opinion makes no text surer than this."""
_WEIGHT: Final = 0.5
"""How much the digit model's word counts. Where it was asked about all digits that stand alone, of 1,500 strings of
held-out MNIST digits 92.5 % were right without it, 93.6 with it, 93.5 with 0.35 and 93.8 with 0.75; of 2,500 drawn
lines in real hands 83.0, 83.1, 83.2, 83.2; in our pens' 77.0, 76.9, 76.8, 76.5."""
_WORTH_ASKING: Final = 0.02
"""Share of the likeliest text's probability below which another is left alone."""
_LEAST: Final = 0.01
"""What no digit is less probable than, for a strange hand is no proof."""
_INKED: Final = 0.25
"""Strength from which ink holds together."""
_SPECK_PX: Final = 3
_NEAR_PX: Final = 12
"""So near to a character's middle may lie what belongs to it: the bar of a 5."""
_RIM: Final = 0.1
"""Strength of the palest ink that belongs to a digit."""
_LOWEST_PX: Final = 6
"""Height of the lowest digit that is looked at alone."""
_CLEAR: Final = 0.6
"""Strength that the ink of such a digit has somewhere."""

Pixels = Float32[np.ndarray, "32 _"]
Glyph = Float32[np.ndarray, "28 28"]


def reconsidered(
    engine: Engine,
    line: Pixels,
    shares: Float64[np.ndarray, "frames classes"],
    found: Sequence[Hypothesis],
    alphabet: str,
) -> Sequence[Hypothesis]:
    """The texts of a doubtful line, those held back in which the digit model sees other digits."""
    if not found or not 0 < found[0].probability < DOUBTED:
        return found
    least = _WORTH_ASKING * found[0].probability
    numbers = [one for one in found if one.is_number and one.probability >= least]
    alike = [same for same in _by_length(numbers) if len(same) > 1]
    if not alike:
        return found
    parts = _Parts.of(line)
    asked = {place: glyph for same in alike for place, glyph in _disputed(parts, shares, same, alphabet)}
    if not asked:
        return found
    beliefs = dict(zip(asked, engine.probabilities(np.stack(list(asked.values()))), strict=True))
    weights = {one.raw: one.probability * _agreement(one.raw, beliefs) for one in numbers}
    scale = sum(one.probability for one in numbers) / sum(weights.values())
    texts = [
        replace(one, probability=min(weights[one.raw] * scale, DOUBTED)) if one.raw in weights else one for one in found
    ]
    return sorted(texts, key=lambda one: -one.probability)


Place = tuple[int, int]
"""The length of a text, and the place of a character in it."""


def _agreement(raw: str, beliefs: Mapping[Place, Float64[np.ndarray, "10"]]) -> float:
    """How well a text goes with what the digit model says of its characters, 0..1."""
    share = 1.0
    for place, character in enumerate(raw):
        belief = beliefs.get((len(raw), place))
        if belief is not None and character in DIGITS:
            share *= max(float(belief[int(character)]), _LEAST)
    return float(share**_WEIGHT)


def _by_length(numbers: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    """The texts, those of one length together, the likeliest first."""
    lengths = {len(one.raw) for one in numbers}
    return [[one for one in numbers if len(one.raw) == length] for length in lengths]


def _disputed(
    parts: "_Parts", shares: Float64[np.ndarray, "frames classes"], same: Sequence[Hypothesis], alphabet: str
) -> Iterator[tuple[Place, Glyph]]:
    """The places at which texts of one length differ, each with what stands there alone.

    All have their characters where the likeliest has.
    """
    likeliest = same[0].raw
    places = [
        place
        for place, characters in enumerate(zip(*(one.raw for one in same), strict=True))
        if len(set(characters)) > 1
    ]
    spans = align(shares, [1 + alphabet.index(character) for character in likeliest])
    middles = spans.mean(axis=1) * (parts.line.shape[1] / len(shares))
    for place, glyph in parts.alone(middles, places):
        yield (len(likeliest), place), glyph


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The connected parts of a line's ink.

    `labels` has 1 + the place in `boxes` (left, top, width, height, area) where a part lies, 0 elsewhere.
    """

    line: Pixels
    labels: Int32[np.ndarray, "32 _"]
    boxes: Int32[np.ndarray, "n 5"]

    @classmethod
    def of(cls, line: Pixels) -> "_Parts":
        """The parts of a line."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats((line > _INKED).view(np.uint8), connectivity=8)
        return cls(line, np.asarray(labels), np.asarray(stats[1:]))

    def alone(self, middles_px: Float64[np.ndarray, " n"], places: Sequence[int]) -> Iterator[tuple[int, Glyph]]:
        """What stands alone around those of the middles that stand in these places, as the digit model takes it.

        Left out is where the ink reaches to another middle, or is none, too low or too pale.
        """
        lefts, rights = self.boxes[:, 0] - 1, self.boxes[:, 0] + self.boxes[:, 2]
        holds = (lefts[:, None] <= middles_px) & (middles_px <= rights[:, None])
        held = holds.sum(axis=1)
        away = np.abs((lefts + rights)[:, None] / 2 - middles_px)
        loose, nearest = (held == 0) & (self.boxes[:, 4] >= _SPECK_PX), away.argmin(axis=1)
        for place in places:
            own = holds[:, place]
            if own.any() and not (own & (held > 1)).any():
                glyph = self._glyph(own | (loose & (nearest == place) & (away[:, place] < _NEAR_PX)))
                if glyph is not None:
                    yield place, glyph

    def _glyph(self, chosen: Bool[np.ndarray, " n"]) -> Glyph | None:
        """These parts as one digit; None for what is too low or too pale."""
        boxes = self.boxes[chosen]
        left, right = max(int(boxes[:, 0].min()) - 1, 0), int((boxes[:, 0] + boxes[:, 2]).max()) + 1
        labels = self.labels[:, left:right]
        mask = np.concatenate([[False], chosen])[labels]
        rows = np.flatnonzero(mask.any(axis=1))
        near = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0  # with the soft rim of its strokes
        ink = np.where(near & (mask | (labels == 0)), self.line[:, left:right], np.float32(0))
        if np.ptp(rows) < _LOWEST_PX - 1 or ink.max() < _CLEAR:
            return None
        x, y, width, height = cv2.boundingRect((ink > _RIM).view(np.uint8))
        return normalised(Ink(ink, Box(x, y, x + width, y + height)))
