"""What to believe of a page that can be seen in several ways.

The digit as it was cut out is read first. Where the model is sure of it and it is no oddly large one, or where the page
has no other view, that is all. Else the other views are read too, and each has a say by how far its probabilities are
from flat: 1 less their entropy over that of ten equal ones, squared; an oddly large digit has a quarter of it. So a
model that has learnt to answer flatly what is no digit passes over the views that show none. The belief is the mean,
never the surest: views that contradict one another end in doubt, and no value is likelier than its likeliest view has
it. A page without ink stays blank unless its frame is read surely.
It knows probabilities, nothing of how views come about or of outcomes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from handigit.images import Views
from handigit.read.engine import Engine
from handigit.records import Box

_SURE: Final = 0.97
"""Probability from which the first view is believed alone."""
_ODD_SHARE: Final = 0.25
"""What the say of a digit is worth that was cut out oddly large: between a tenth and a half it makes no difference."""
_SURE_OF_FRAME: Final = 0.9
"""Probability from which a frame without ink is believed: of 2,000 empty ones with grain, fog or slopes, one."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """How probable each digit is, the glyph that weighed most, and the box around the ink."""

    shares: Float64[np.ndarray, " 10"]
    glyph: Float32[np.ndarray, "28 28"]
    box: Box


def beliefs(engine: Engine, views: Sequence[Views]) -> list[Belief | None]:
    """What the model believes of each page; None for a blank one."""
    believed = _first_beliefs(engine, views)
    others = {n: glyphs for n, first in enumerate(believed) if (glyphs := _to_be_read(first, views[n]))}
    if others:
        shares = iter(engine.probabilities(np.stack([glyph for glyphs in others.values() for glyph in glyphs])))
        for n, glyphs in others.items():
            read = [Belief(next(shares), glyph, _whole(glyph)) for glyph in glyphs]
            believed[n] = _reconsidered(believed[n], read, odd=views[n].odd)
    return believed


def _first_beliefs(engine: Engine, views: Sequence[Views]) -> list[Belief | None]:
    """What the digits say that were cut out."""
    found = [one.found for one in views]
    inked = [one.glyph for one in found if one is not None]
    shares: Iterator[np.ndarray] = iter(engine.probabilities(np.stack(inked)) if inked else ())
    return [None if one is None else Belief(next(shares), one.glyph, one.box) for one in found]


def _to_be_read(first: Belief | None, views: Views) -> tuple[Float32[np.ndarray, "28 28"], ...]:
    """The other views, if the first does not settle it."""
    settled = first is not None and first.shares.max() >= _SURE and not views.odd
    return () if settled else views.others()


def _reconsidered(first: Belief | None, others: Sequence[Belief], *, odd: bool) -> Belief | None:
    """The first belief together with those of the other views."""
    every = [first, *others] if first else others
    weights = np.array([_say(one.shares) for one in every])
    if odd:
        weights[0] *= _ODD_SHARE
    mean = weights @ np.stack([one.shares for one in every]) / weights.sum()
    if first is None and mean.max() < _SURE_OF_FRAME:
        return None
    return Belief(mean, every[int(weights.argmax())].glyph, every[0].box)


def _say(shares: Float64[np.ndarray, " 10"]) -> float:
    """How much a view has to say: 1 if it is certain, next to nothing if it is flat."""
    entropy = -float(shares @ np.log(np.maximum(shares, 1e-12)))
    return max(1 - entropy / math.log(len(shares)), 1e-6) ** 2


def _whole(glyph: Float32[np.ndarray, "28 28"]) -> Box:
    height, width = glyph.shape
    return Box(0, 0, width, height)
