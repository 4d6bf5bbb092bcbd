"""What a threshold of confidence buys: how many readings are accepted, and how many of those are wrong.

Each checked reading stands for the unchecked ones of its kind and outcome, so that doubts, which are looked at more
often, do not count for more than they are (stratified sampling). It knows shares, nothing of plots.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from handigit.records import Outcome
from handigit.store.insights import Stratum

LEAST_CHECKED: Final = 30
"""Checked readings below which a curve would show chance alone."""


@dataclass(frozen=True, slots=True)
class Point:
    """At this threshold: the share of readings accepted, and the share of the accepted that is wrong."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class Risk:
    """All thresholds of one kind, strictest first, and how many checked readings they come from."""

    kind: str
    checked: int
    points: tuple[Point, ...]

    @property
    def missing(self) -> int:
        """How many more must be checked before there is something to show."""
        return max(0, LEAST_CHECKED - self.checked)

    def at(self, threshold: float) -> Point | None:
        """What a chosen threshold buys; None where it accepts nothing."""
        return next((point for point in reversed(self.points) if point.threshold >= threshold), None)


def risks(strata: Sequence[Stratum]) -> list[Risk]:
    """One curve for each kind that was read."""
    return [_risk(kind, list(of_kind)) for kind, of_kind in groupby(strata, key=lambda one: one.kind)]


def _risk(kind: str, strata: Sequence[Stratum]) -> Risk:
    checked = sum(len(one.checked) for one in strata)
    # Without a control sample nothing is known of what was read, which is most of it.
    blind = any(one.outcome is Outcome.READ and not one.checked for one in strata)
    weighed = [(each.confidence, each.right, one.readings / len(one.checked)) for one in strata for each in one.checked]
    return Risk(kind, checked, () if blind else tuple(_points(weighed)))


def _points(weighed: Sequence[tuple[float, bool, float]]) -> Iterable[Point]:
    """The curve; answers of the same confidence are accepted together."""
    everything = sum(weight for _, _, weight in weighed)
    accepted = wrong = 0.0
    for confidence, equal in groupby(sorted(weighed, key=lambda one: -one[0]), key=lambda one: one[0]):
        for _, right, weight in equal:
            accepted += weight
            wrong += 0 if right else weight
        yield Point(confidence, accepted / everything, wrong / accepted)
