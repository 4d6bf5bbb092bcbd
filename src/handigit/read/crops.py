"""Crops as number models see them, and the first reading of each by one or two models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8

from handigit.images.strip import Strip, make_strip
from handigit.read.ctc import Constraint
from handigit.read.hypotheses import Reading, read_strips
from handigit.read.number_engine import NumberEngine

_SURE: Final = 0.7
"""Probability of the best text below which the first model reads a wider strip too, because its frames of 8 pixels are
too long for cramped digits; the more probable of the two readings counts.

Of 1,177 held-out crops 1,011 are right with one look, 1,025 with a wider one."""
_WIDER: Final = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class CropStrips:
    """A crop of `size` (height, width), and the strip that number models see; None without ink."""

    size: tuple[int, int]
    strip: Strip | None

    @classmethod
    def of(cls, crop: UInt8[np.ndarray, "height width"], *, size: tuple[int, int] | None = None) -> "CropStrips":
        """The strip of a crop, ink dark on light; `size` is that of the crop as given, if this one was reduced."""
        size = size or (crop.shape[0], crop.shape[1])
        strip = make_strip(crop, size=size)
        return cls(size, strip if strip.has_ink else None)


@dataclass(frozen=True, slots=True, eq=False)
class PairReading:
    """The readings of a crop by the first model and, if there is one, the second."""

    first: Reading
    second: Reading | None


def read_crops(
    engine: NumberEngine,
    second: NumberEngine | None,
    crops: Sequence[CropStrips],
    *,
    constraint: Constraint | None = None,
) -> list[PairReading | None]:
    """Read crops with one or two models; None for a crop without ink."""
    strips = [crop.strip for crop in crops if crop.strip is not None]
    firsts = read_strips(engine, strips, constraint=constraint)
    unsure = [index for index, reading in enumerate(firsts) if _best_probability(reading) < _SURE]
    wider = read_strips(engine, [strips[index].widened(_WIDER) for index in unsure], constraint=constraint)
    for index, reading in zip(unsure, wider, strict=True):
        firsts[index] = max(firsts[index], reading, key=_best_probability)
    seconds = read_strips(second, strips, constraint=constraint) if second else [None] * len(strips)
    pairs = iter([PairReading(first, other) for first, other in zip(firsts, seconds, strict=True)])
    return [None if crop.strip is None else next(pairs) for crop in crops]


def _best_probability(reading: Reading) -> float:
    return reading.hypotheses[0].probability if reading.hypotheses else 0.0
