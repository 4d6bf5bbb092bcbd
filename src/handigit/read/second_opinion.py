"""Rescore an uncertain line: the digit model votes on digits that stand apart.

The number model has learnt lines with all that surrounds digits; the digit model has learnt digits only, and knows
those better.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from handigit.images.glyph import normalise
from handigit.images.ink import Ink
from handigit.read.ctc import DIGITS, Hypothesis, align
from handigit.read.engine import Engine
from handigit.records import Box

UNCERTAIN_BELOW: Final = 0.9
"""Probability below which the best text is rescored; rescoring raises no text above it."""
_WEIGHT: Final = 0.5
"""Exponent on the digit model's probabilities. Of 1,500 strings of held-out MNIST digits 92.5 % were right without
rescoring, 93.6 with 0.5, 93.5 with 0.35 and 93.8 with 0.75; of 2,500 drawn lines in real hands 83.0, 83.1, 83.2, 83.2;
with our own strokes 77.0, 76.9, 76.8, 76.5."""
_MIN_FRACTION: Final = 0.02
"""Texts below this fraction of the best text's probability are not rescored."""
_MIN_PROBABILITY: Final = 0.01
"""Lower bound of the digit model's probabilities: an unfamiliar hand is no proof."""
_INKED: Final = 0.25
"""Ink strength from which pixels are connected."""
_SPECK_PX: Final = 3
_NEAR_PX: Final = 12
"""Maximum distance of a loose part from its character's middle: the bar of a 5."""
_RIM: Final = 0.1
"""Strength of the palest ink that belongs to a digit."""
_MIN_HEIGHT_PX: Final = 6
_MIN_STRENGTH: Final = 0.6
"""Minimum of a digit's strongest ink; a paler one is not classified alone."""

Pixels = Float32[np.ndarray, "32 _"]
Glyph = Float32[np.ndarray, "28 28"]
Position = tuple[int, int]
"""The length of a text, and the index of a character in it."""


def rescore_with_digit_model(
    engine: Engine,
    line: Pixels,
    probs: Float64[np.ndarray, "frames classes"],
    hypotheses: Sequence[Hypothesis],
    alphabet: str,
) -> Sequence[Hypothesis]:
    """The texts of an uncertain line reranked by the digit model where they differ in digits that stand apart."""
    if not hypotheses or not 0 < hypotheses[0].probability < UNCERTAIN_BELOW:
        return hypotheses
    floor = _MIN_FRACTION * hypotheses[0].probability
    numbers = [hypothesis for hypothesis in hypotheses if hypothesis.is_number and hypothesis.probability >= floor]
    rivals = [same_length for same_length in _by_length(numbers) if len(same_length) > 1]
    if not rivals:
        return hypotheses
    parts = _Parts.of(line)
    glyphs = {position: glyph for texts in rivals for position, glyph in _disputed(parts, probs, texts, alphabet)}
    if not glyphs:
        return hypotheses
    votes = dict(zip(glyphs, engine.probabilities(np.stack(list(glyphs.values()))), strict=True))
    weights = {number.raw: number.probability * _agreement(number.raw, votes) for number in numbers}
    scale = sum(number.probability for number in numbers) / sum(weights.values())
    rescored = [
        replace(hypothesis, probability=min(weights[hypothesis.raw] * scale, UNCERTAIN_BELOW))
        if hypothesis.raw in weights
        else hypothesis
        for hypothesis in hypotheses
    ]
    return sorted(rescored, key=lambda hypothesis: -hypothesis.probability)


def _agreement(raw: str, votes: Mapping[Position, Float64[np.ndarray, "10"]]) -> float:
    """How well a text agrees with the digit model, 0..1."""
    product = 1.0
    for index, character in enumerate(raw):
        vote = votes.get((len(raw), index))
        if vote is not None and character in DIGITS:
            product *= max(float(vote[int(character)]), _MIN_PROBABILITY)
    return float(product**_WEIGHT)


def _by_length(numbers: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    """The texts grouped by length, best first."""
    lengths = {len(number.raw) for number in numbers}
    return [[number for number in numbers if len(number.raw) == length] for length in lengths]


def _disputed(
    parts: "_Parts", probs: Float64[np.ndarray, "frames classes"], texts: Sequence[Hypothesis], alphabet: str
) -> Iterator[tuple[Position, Glyph]]:
    """The positions where texts of one length differ, each with the glyph there if it stands apart.

    The characters of all texts are assumed to be where those of the best one are.
    """
    best = texts[0].raw
    differing = [
        index
        for index, characters in enumerate(zip(*(text.raw for text in texts), strict=True))
        if len(set(characters)) > 1
    ]
    spans = align(probs, [1 + alphabet.index(character) for character in best])
    middles = spans.mean(axis=1) * (parts.line.shape[1] / len(probs))
    for index, glyph in parts.isolated(middles, differing):
        yield (len(best), index), glyph


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The connected parts of a line's ink.

    `labels` is 1 + the row in `boxes` (left, top, width, height, area) of each pixel's part, 0 for none.
    """

    line: Pixels
    labels: Int32[np.ndarray, "32 _"]
    boxes: Int32[np.ndarray, "n 5"]

    @classmethod
    def of(cls, line: Pixels) -> "_Parts":
        """The parts of a line."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats((line > _INKED).view(np.uint8), connectivity=8)
        return cls(line, np.asarray(labels), np.asarray(stats[1:]))

    def isolated(self, middles_px: Float64[np.ndarray, " n"], indices: Sequence[int]) -> Iterator[tuple[int, Glyph]]:
        """The glyph of each of these characters that touches no other.

        Characters whose ink reaches another's middle are left out, and those without ink, too low or too pale.
        """
        lefts, rights = self.boxes[:, 0] - 1, self.boxes[:, 0] + self.boxes[:, 2]
        covers = (lefts[:, None] <= middles_px) & (middles_px <= rights[:, None])
        covered = covers.sum(axis=1)
        distance = np.abs((lefts + rights)[:, None] / 2 - middles_px)
        loose, nearest = (covered == 0) & (self.boxes[:, 4] >= _SPECK_PX), distance.argmin(axis=1)
        for index in indices:
            own = covers[:, index]
            if own.any() and not (own & (covered > 1)).any():
                glyph = self._glyph(own | (loose & (nearest == index) & (distance[:, index] < _NEAR_PX)))
                if glyph is not None:
                    yield index, glyph

    def _glyph(self, selected: Bool[np.ndarray, " n"]) -> Glyph | None:
        """These parts as one digit; None if too low or too pale."""
        boxes = self.boxes[selected]
        left, right = max(int(boxes[:, 0].min()) - 1, 0), int((boxes[:, 0] + boxes[:, 2]).max()) + 1
        labels = self.labels[:, left:right]
        mask = np.concatenate([[False], selected])[labels]
        rows = np.flatnonzero(mask.any(axis=1))
        near = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0  # includes the soft rim of strokes
        ink = np.where(near & (mask | (labels == 0)), self.line[:, left:right], np.float32(0))
        if np.ptp(rows) < _MIN_HEIGHT_PX - 1 or ink.max() < _MIN_STRENGTH:
            return None
        x, y, width, height = cv2.boundingRect((ink > _RIM).view(np.uint8))
        return normalise(Ink(ink, Box(x, y, x + width, y + height)))
