"""How reading changes over the days, as plots: outcomes, confidence, the mix of digits, ink.

It turns the store's figures into plots and plain words; what a plot looks like is `plots`'.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final

from handigit.records import Outcome
from handigit.store import Day
from handigit.store.statistics import Stratum
from handigit.web.pages.charts import (
    Axis,
    Bucket,
    Plot,
    Table,
    buckets,
    cells,
    curve,
    dot,
    middle,
    share,
    stacked,
    time_axis,
)
from handigit.web.pages.ink_stats import Ink
from handigit.web.wording import WORDS

LEAST_DAYS: Final = 2
"""Days below which nothing has changed over time."""
_RECENT: Final = 7
_CHANGE: Final = 0.02
"""Change of the mean confidence worth a word: daily means of a hundred readings move by less than half of it."""


def outcomes_by_day(days: Sequence[Day]) -> Plot:
    """How many readings there were, and what became of them."""
    found = buckets([(day.day, day.outcomes) for day in days])
    columns = [[sum(day.get(one, 0) for day in bucket.values) for one in Outcome] for bucket in found]
    total = sum(map(sum, columns))
    most = max(range(len(found)), key=lambda index: sum(columns[index])) if found else 0
    return Plot(
        title="What became of the readings",
        says=f"{total:,} readings; the most, {sum(columns[most]):,}, on {found[most].name}." if found else "",
        help="A sudden share of doubts or non-numbers usually means a new form, another pen or a dirty scanner glass.",
        axis=Axis((f"{max(map(sum, columns)):,}", "0"), time_axis(found)) if found else Axis((), ()),
        table=_by_time(found, [[f"{part:,}" for part in column] for column in columns], list(WORDS.values())),
        bars=stacked(columns, [one.value for one in Outcome]),
        legend=tuple((one.value, word) for one, word in WORDS.items()),
    )


def confidence_by_day(days: Sequence[Day]) -> Plot:
    """The mean confidence of what was read, and how it moved against the weeks before."""
    title = "Confidence from day to day"
    sure = [(day.day, (day.confidence, day.outcomes[Outcome.READ])) for day in days if day.confidence is not None]
    if len(sure) < LEAST_DAYS:
        return Plot(title, says=_more_days(len(sure)))
    found = buckets(sure)
    means = [_mean(bucket.values) for bucket in found]
    lowest = min(mean for mean in means if mean is not None)
    bottom = max(0.0, min(0.9, lowest - 0.02))
    points = _points([None if mean is None else (mean - bottom) / (1 - bottom) for mean in means])
    return Plot(
        title,
        says=_drift(sure),
        help="Falling confidence comes before errors: look at some of the last readings, and at the pictures behind "
        "them. If they look right and are doubted, correct some and train on the corrections.",
        axis=Axis(("100 %", share(bottom)), time_axis(found)),
        table=_by_time(found, [["-" if mean is None else share(mean)] for mean in means], ["mean confidence"]),
        curves=(curve(points, look="mark"),),
        dots=tuple(dot(x, y, look="dot") for x, y in points),
    )


def digits_by_day(days: Mapping[date, Sequence[int]]) -> Plot:
    """Which digits were read when."""
    title = "Which digits are read"
    if len(days) < LEAST_DAYS:
        return Plot(title, says=_more_days(len(days)))
    found = buckets(list(days.items()))
    counts = [[sum(day[digit] for day in bucket.values) for digit in range(10)] for bucket in found]
    shares = [[count / max(sum(column), 1) for count in column] for column in counts]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    most, least = totals.index(max(totals)), totals.index(min(totals))
    everything = max(sum(totals), 1)
    return Plot(
        title,
        says=f"{most} is read most often ({share(totals[most] / everything)} of all digits), {least} least often "
        f"({share(totals[least] / everything)}).",
        help="The mix follows what you scan: years begin with 19 or 20, amounts with small digits. A digit that comes "
        "or goes without a reason is worth a look.",
        axis=Axis(tuple(map(str, range(10))), time_axis(found)),
        table=_by_time(found, [[share(one) for one in column] for column in shares], list(map(str, range(10)))),
        bars=cells(shares, look="dot"),
        has_lines=False,
    )


def ink_by_day(measured: Sequence[tuple[date, Ink]]) -> Plot:
    """How much of the crops is ink, and how dark it is."""
    title = "Ink"
    if len({day for day, _ in measured}) < LEAST_DAYS:
        return Plot(title, says=f"{_more_days(len({day for day, _ in measured}))} Small kept pictures are measured.")
    found = buckets(list(measured))
    cover = [_plain_mean([one.cover for one in bucket.values]) for bucket in found]
    contrast = [_plain_mean([one.contrast for one in bucket.values]) for bucket in found]
    contrasts = [(day, (one.contrast, 1)) for day, one in measured]
    rows = [["-" if value is None else share(value) for value in pair] for pair in zip(cover, contrast, strict=True)]
    return Plot(
        title,
        says=f"Contrast on {len(measured)} small pictures. {_drift(contrasts)}",
        help="Paler ink (a lower line of contrast) means a drying pen, a worn scanner lamp or too much exposure.",
        axis=Axis(("100 %", "0 %"), time_axis(found)),
        table=_by_time(found, rows, ["share of the crop that is ink", "contrast"]),
        curves=(curve(_points(contrast), look="mark"), curve(_points(cover), look="mark second")),
        legend=(("dot", "contrast of ink and paper"), ("doubt", "share of the crop that is ink")),
    )


def _by_time(found: Sequence[Bucket[Any]], rows: Sequence[Sequence[str]], headings: Sequence[str]) -> Table:
    named = [(bucket.name, *row) for bucket, row in zip(found, rows, strict=True)]
    return Table(("days", *headings), tuple(named))


def _points(values: Sequence[float | None]) -> list[tuple[float, float]]:
    """Each value at the middle of its place; days without one are passed over."""
    return [(middle(index, len(values)), value) for index, value in enumerate(values) if value is not None]


def _mean(values: Sequence[tuple[float, int]]) -> float | None:
    """The mean of daily means, each as heavy as its day's readings."""
    weight = sum(count for _, count in values)
    return sum(mean * count for mean, count in values) / weight if weight else None


def _plain_mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _drift(days: Sequence[tuple[date, tuple[float, int]]]) -> str:
    """The last week against what was before it."""
    last = max(day for day, _ in days)
    recent = _mean([value for day, value in days if (last - day).days < _RECENT])
    before = _mean([value for day, value in days if (last - day).days >= _RECENT])
    assert recent is not None
    if before is None:
        return f"{share(recent)} on the whole; with more than {_RECENT} days they are compared with those before."
    moved = recent - before
    if abs(moved) < _CHANGE:
        return f"Steady: {share(recent)} in the last {_RECENT} days, {share(before)} before."
    way = "Risen" if moved > 0 else "Fallen"
    return f"{way}: {share(recent)} in the last {_RECENT} days against {share(before)} before."


def _more_days(days: int) -> str:
    missing = LEAST_DAYS - days
    return f"Shown once there are readings of {missing} more {'days' if missing > 1 else 'day'}."


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
    return Risk(kind, checked, () if blind else tuple(_risk_points(weighed)))


def _risk_points(weighed: Sequence[tuple[float, bool, float]]) -> Iterable[Point]:
    """The curve; answers of the same confidence are accepted together."""
    everything = sum(weight for _, _, weight in weighed)
    accepted = wrong = 0.0
    for confidence, equal in groupby(sorted(weighed, key=lambda one: -one[0]), key=lambda one: one[0]):
        for _, right, weight in equal:
            accepted += weight
            wrong += 0 if right else weight
        yield Point(confidence, accepted / everything, wrong / accepted)
