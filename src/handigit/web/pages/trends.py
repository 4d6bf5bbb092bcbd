"""Charts of reading over time (outcomes, confidence, digits, ink), and of errors against coverage.

Ink is measured on a few stored crops per day, each once; the results are cached in this process.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import cv2
import numpy as np

from handigit.errors import HandigitError
from handigit.images import open_pages
from handigit.records import Outcome
from handigit.store import Day
from handigit.store.statistics import Crop, Stratum
from handigit.web.pages.charts import (
    Axis,
    Bucket,
    Plot,
    Table,
    buckets,
    curve,
    dot,
    heat_map,
    rate,
    stacked_bars,
    time_axis,
)

MIN_DAYS: Final = 2
MIN_CHECKED: Final = 30  # with fewer checked readings the risk curve is mostly chance
_RECENT_DAYS: Final = 7
_CHANGE: Final = 0.02  # daily means of a hundred readings vary by less than half of this
# With these limits, a month of readings takes half a second.
MAX_PAGE_PX: Final = 400_000
CROPS_PER_DAY: Final = 6
_CACHED_CROPS: Final = 10_000
_MIN_CONTRAST: Final = 0.05  # below it, ink and paper cannot be separated


@dataclass(frozen=True, slots=True)
class Ink:
    """`cover`: fraction of the crop that is ink; `contrast`: how much darker the ink is than the paper, 0..1."""

    cover: float
    contrast: float


class InkMeter:
    """Measures crops; `load_picture` returns a stored page's bytes by its SHA-256."""

    def __init__(self, load_picture: Callable[[str], bytes]) -> None:
        self._load_picture = load_picture
        self.measure = lru_cache(_CACHED_CROPS)(self._measure)

    def _measure(self, crop: Crop) -> Ink | None:
        """The ink of one crop; None where the picture is missing or shows no ink."""
        try:
            page = next(iter(open_pages(self._load_picture(crop.picture))))
        except HandigitError:
            return None
        box = crop.box
        return _measure_pixels(page[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right])


def _measure_pixels(crop: np.ndarray) -> Ink | None:
    if crop.size == 0:
        return None
    border, dark = cv2.threshold(crop, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    cover = float(dark.mean())
    if not 0 < cover < 1:
        return None
    contrast = float(crop[crop > border].mean() - crop[crop <= border].mean()) / 255
    return Ink(cover, contrast) if contrast >= _MIN_CONTRAST else None


def outcomes_by_day(days: Sequence[Day]) -> Plot:
    """Stacked bars of readings by outcome."""
    spans = buckets([(day.day, day.outcomes) for day in days])
    columns = [[sum(day.get(outcome, 0) for day in span.values) for outcome in Outcome] for span in spans]
    totals = [sum(column) for column in columns]
    labels = [outcome.label for outcome in Outcome]
    busiest = totals.index(max(totals)) if spans else 0
    return Plot(
        title="Results by day",
        summary=f"{_count(sum(totals))}; busiest day {spans[busiest].name} ({totals[busiest]:,})." if spans else "",
        help="A sudden rise in doubts or non-numbers usually means a new form, another pen or a dirty scanner glass.",
        axis=Axis((f"{max(totals):,}", "0"), time_axis(spans)) if spans else Axis((), ()),
        table=_table_by_time(spans, [[f"{part:,}" for part in column] for column in columns], labels),
        bars=stacked_bars(columns, [outcome.value for outcome in Outcome]),
        legend=tuple((outcome.value, outcome.label) for outcome in Outcome),
    )


def confidence_by_day(days: Sequence[Day]) -> Plot:
    """The daily mean confidence of accepted readings, and its change over the last week."""
    title = "Confidence by day"
    daily = [(day.day, (day.confidence, day.outcomes[Outcome.READ])) for day in days if day.confidence is not None]
    if len(daily) < MIN_DAYS:
        return Plot(title, summary=_days_missing(len(daily)))
    spans = buckets(daily)
    means = [_weighted_mean(span.values) for span in spans]
    lowest = min(mean for mean in means if mean is not None)
    bottom = max(0.0, min(0.9, lowest - 0.02))
    rows = [["no data" if mean is None else rate(mean)] for mean in means]
    points = _points([None if mean is None else (mean - bottom) / (1 - bottom) for mean in means])
    return Plot(
        title,
        summary=_change(daily),
        help="Falling confidence is an early warning of errors. Look at recent readings and their pictures. If they "
        "look right but are marked unsure, correct some and train on the corrections.",
        axis=Axis(("100%", rate(bottom)), time_axis(spans)),
        table=_table_by_time(spans, rows, ["mean confidence"]),
        curves=(curve(points, style="mark"),),
        dots=tuple(dot(x, y, style="dot") for x, y in points),
    )


def digits_by_day(days: Mapping[date, Sequence[int]]) -> Plot:
    """A heat map of how often each digit is read."""
    title = "Digits read"
    if len(days) < MIN_DAYS:
        return Plot(title, summary=_days_missing(len(days)))
    spans = buckets(list(days.items()))
    counts = [[sum(day[digit] for day in span.values) for digit in range(10)] for span in spans]
    rates = [[count / max(sum(column), 1) for count in column] for column in counts]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    most, least = totals.index(max(totals)), totals.index(min(totals))
    total = max(sum(totals), 1)
    return Plot(
        title,
        summary=f"{most} is the most frequent digit ({rate(totals[most] / total)}), {least} the least frequent "
        f"({rate(totals[least] / total)}).",
        help="The mix depends on your documents: years begin with 19 or 20, amounts with small digits. A digit whose "
        "frequency changes without a reason is worth a look.",
        axis=Axis(tuple(map(str, range(10))), time_axis(spans)),
        table=_table_by_time(spans, [[rate(value) for value in column] for column in rates], map(str, range(10))),
        bars=heat_map(rates, style="dot"),
        has_lines=False,
    )


def ink_by_day(measured: Sequence[tuple[date, Ink]]) -> Plot:
    """Ink coverage and contrast of sampled crops."""
    title = "Ink strength"
    if (days := len({day for day, _ in measured})) < MIN_DAYS:
        return Plot(title, summary=f"{_days_missing(days)} Small stored pictures are measured.")
    spans = buckets(list(measured))
    cover = [_mean([ink.cover for ink in span.values]) for span in spans]
    contrast = [_mean([ink.contrast for ink in span.values]) for span in spans]
    rows = [
        ["no data" if value is None else rate(value) for value in pair] for pair in zip(cover, contrast, strict=True)
    ]
    change = _change([(day, (ink.contrast, 1)) for day, ink in measured])
    return Plot(
        title,
        summary=f"Contrast of {len(measured)} small pictures. {change}",
        help="Paler ink (falling contrast) means a drying pen, a worn scanner lamp or overexposure.",
        axis=Axis(("100%", "0%"), time_axis(spans)),
        table=_table_by_time(spans, rows, ["ink coverage", "contrast"]),
        curves=(curve(_points(contrast), style="mark"), curve(_points(cover), style="mark second")),
        legend=(("dot", "contrast of ink and paper"), ("doubt", "share of the crop covered by ink")),
    )


def _count(readings: int) -> str:
    return "1 reading" if readings == 1 else f"{readings:,} readings"


def _table_by_time(spans: Sequence[Bucket[Any]], rows: Sequence[Sequence[str]], headings: Iterable[str]) -> Table:
    return Table(("days", *headings), tuple((span.name, *row) for span, row in zip(spans, rows, strict=True)))


def _points(values: Sequence[float | None]) -> list[tuple[float, float]]:
    """Each value at the centre of its column; columns without one are skipped."""
    return [((index + 0.5) / len(values), value) for index, value in enumerate(values) if value is not None]


def _weighted_mean(values: Sequence[tuple[float, int]]) -> float | None:
    """The mean of daily means, weighted by each day's readings."""
    weight = sum(count for _, count in values)
    return sum(mean * count for mean, count in values) / weight if weight else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _change(days: Sequence[tuple[date, tuple[float, int]]]) -> str:
    """The last week compared with the time before it."""
    last = max(day for day, _ in days)
    recent = _weighted_mean([value for day, value in days if (last - day).days < _RECENT_DAYS])
    before = _weighted_mean([value for day, value in days if (last - day).days >= _RECENT_DAYS])
    assert recent is not None
    if before is None:
        return f"{rate(recent)} on average; compared with earlier days once there are more than {_RECENT_DAYS}."
    if abs(recent - before) < _CHANGE:
        return f"Steady: {rate(recent)} in the last {_RECENT_DAYS} days, {rate(before)} before."
    direction = "Rising" if recent > before else "Falling"
    return f"{direction}: {rate(recent)} in the last {_RECENT_DAYS} days, {rate(before)} before."


def _days_missing(days: int) -> str:
    missing = MIN_DAYS - days
    return f"Available after readings on {missing} more {'days' if missing > 1 else 'day'}."


@dataclass(frozen=True, slots=True)
class Point:
    """At this threshold: fraction of readings accepted (`coverage`), and error rate among them (`risk`)."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk-coverage curve of one kind of reading, strictest threshold first."""

    kind: str
    checked: int
    points: tuple[Point, ...]

    @property
    def missing(self) -> int:
        """Number of further reviews needed before the curve is shown."""
        return max(0, MIN_CHECKED - self.checked)

    def at(self, threshold: float) -> Point | None:
        """The point for a threshold; None where it accepts no reading."""
        return next((point for point in reversed(self.points) if point.threshold >= threshold), None)


def risks(strata: Sequence[Stratum]) -> list[Risk]:
    """One curve per kind."""
    return [_risk(kind, list(of_kind)) for kind, of_kind in groupby(strata, key=lambda stratum: stratum.kind)]


def _risk(kind: str, strata: Sequence[Stratum]) -> Risk:
    checked = sum(len(stratum.checked) for stratum in strata)
    # Accepted readings are the large majority; without a control sample their error rate is unknown.
    is_blind = any(stratum.outcome is Outcome.READ and not stratum.checked for stratum in strata)
    weighted = [
        (check.confidence, check.right, stratum.readings / len(stratum.checked))
        for stratum in strata
        for check in stratum.checked
    ]
    return Risk(kind, checked, () if is_blind else tuple(_risk_points(weighted)))


def _risk_points(weighted: Sequence[tuple[float, bool, float]]) -> Iterable[Point]:
    """The curve from (confidence, is right, weight); equal confidences are accepted together."""
    total = sum(weight for _, _, weight in weighted)
    accepted = wrong = 0.0
    for confidence, equal in groupby(sorted(weighted, key=lambda item: -item[0]), key=lambda item: item[0]):
        for _, right, weight in equal:
            accepted += weight
            wrong += 0 if right else weight
        yield Point(confidence, accepted / total, wrong / accepted)
