"""How steady a reader is: its accuracy on corrupted and on varied pictures.

It knows a reader as a callable only: pictures in, answers out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from handigit.errors import BadDataFile, DataError
from handigit.evaluate.corruptions import CORRUPTIONS, corrupt
from handigit.evaluate.variations import GRIDS, Variation

Read = Callable[[UInt8[np.ndarray, "n h w"]], Int64[np.ndarray, " n"]]
"""Pictures (ink bright on dark unless they are inverted, 28 x 28 or 56 x 56) to digits; -1 for no answer."""


@dataclass(frozen=True, slots=True)
class RobustnessScores:
    """Shares of right answers: on the glyphs as they are, by corruption, and by grid and variation."""

    n: int
    seed: int
    clean: float
    corruptions: Mapping[str, float]
    grids: Mapping[str, Mapping[str, float]]

    @property
    def mean(self) -> float:
        """The mean over the corruptions, as MNIST-C reports it."""
        return sum(self.corruptions.values()) / len(self.corruptions)

    @property
    def hardest(self) -> str:
        """The corruption with the fewest right answers."""
        return min(self.corruptions, key=lambda name: self.corruptions[name])

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and dicts, ready for JSON; `from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RobustnessScores":
        """The scores that `as_dict` wrote.

        Raises:
            BadDataFile: a field is missing or too many.
        """
        try:
            return cls(**values)
        except TypeError as problem:
            raise BadDataFile(f"these are no robustness scores: {problem}; measure the model again") from None


def robustness(
    read: Read,
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    *,
    seed: int,
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    grids: Iterable[str] = tuple(GRIDS),
) -> RobustnessScores:
    """Read the glyphs as they are, under each corruption, and under each variation of each grid.

    Raises:
        DataError: no glyphs, or no corruption or grid of that name.
    """
    if len(labels) == 0:
        raise DataError("nothing to read: 0 glyphs; give at least one")

    def accuracy(pictures: UInt8[np.ndarray, "n h w"]) -> float:
        return float((read(pictures) == labels).mean())

    return RobustnessScores(
        n=len(labels),
        seed=seed,
        clean=accuracy(glyphs),
        corruptions={name: accuracy(corrupt(glyphs, name, seed=seed)) for name in corruptions},
        grids={name: {step.name: accuracy(step.apply(glyphs)) for step in grid(name)} for name in grids},
    )


def grid(name: str) -> tuple[Variation, ...]:
    """The variations of a grid.

    Raises:
        DataError: no grid of that name.
    """
    if name not in GRIDS:
        raise DataError(f"no grid named {name!r}; there are: {', '.join(GRIDS)}")
    return GRIDS[name]
