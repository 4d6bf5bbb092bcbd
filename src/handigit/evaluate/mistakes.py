"""Misread digits as a page shows them: the picture itself, and ten bars for its probabilities.

It knows nothing of the page around them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import Float, Int64, UInt8
from PIL import Image

from handigit.evaluate.pages import data_uri

BAR_PX, FLOOR_PX, FULL_PX = 10, 25, 24
"""Of the bars' drawing: the width of one with its gap, the height of the floor, and the height of certainty."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misread digit; `rest`, `truth_bar` and `answer_bar` are SVG paths, `words` the same in words."""

    index: int
    truth: int
    answer: int
    confidence: float
    disputed: bool
    image: str
    rest: str
    truth_bar: str
    answer_bar: str
    words: str


def describe_mistakes(
    indices: Sequence[int],
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n 10"],
    *,
    disputed: Sequence[int],
) -> list[Mistake]:
    """The digits at these indices, in this order."""
    return [
        _describe(index, glyphs[index], int(labels[index]), probabilities[index], disputed=index in disputed)
        for index in indices
    ]


def _describe(
    index: int, glyph: UInt8[np.ndarray, "28 28"], truth: int, probabilities: Float[np.ndarray, "10"], *, disputed: bool
) -> Mistake:
    answer = int(probabilities.argmax())
    ranked = [int(digit) for digit in np.argsort(-probabilities, kind="stable") if probabilities[digit] >= 0.0005]
    return Mistake(
        index=index,
        truth=truth,
        answer=answer,
        confidence=float(probabilities[answer]),
        disputed=disputed,
        image=data_uri(_picture(glyph)),
        rest=_bars((digit for digit in range(10) if digit not in (truth, answer)), probabilities),
        truth_bar=_bars([truth], probabilities),
        answer_bar=_bars([answer], probabilities),
        words="Probabilities: " + ", ".join(f"{digit} {probabilities[digit]:.1%}" for digit in ranked),
    )


def _bars(digits: Iterable[int], probabilities: Float[np.ndarray, "10"]) -> str:
    """Bars that stand on the floor; the faintest probability still shows as a line."""
    heights = ((digit, max(float(probabilities[digit]) * FULL_PX, 0.3)) for digit in digits)
    return "".join(
        f"M{digit * BAR_PX + 1} {FLOOR_PX}v-{height:.1f}h{BAR_PX - 2}v{height:.1f}z" for digit, height in heights
    )


def _picture(glyph: UInt8[np.ndarray, "28 28"]) -> bytes:
    """The glyph as a PNG in 16 shades: what the eye needs, in half of the bytes."""
    file = BytesIO()
    Image.fromarray(glyph // 17 * 17).quantize(16).save(file, "PNG", optimize=True)
    return file.getvalue()
