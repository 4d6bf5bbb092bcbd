"""Charts as data: shapes, a one-sentence summary, and the same figures as a table.

Shapes live in a 100 by 100 viewport with the origin at the top left. The page stretches the viewport, so text is
HTML beside it rather than SVG.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Generic, TypeVar

from handigit.records import percent
from handigit.web.wording import day_name

_MAX_BUCKETS: Final = 31
_GAP: Final = 0.18  # fraction of a column's width between two bars
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `style` is its CSS class, `strength` its opacity (0..1)."""

    x: float
    y: float
    width: float
    height: float
    style: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A polyline; `points` in SVG's notation."""

    points: str
    style: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A highlighted point."""

    x: float
    y: float
    style: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Axis labels: the left side from the top down, the bottom from the left."""

    left: tuple[str, ...]
    bottom: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A chart's figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """One chart.

    Attributes:
        summary: The chart in a sentence; for a chart without shapes, the missing data.
        help: The meaning of the chart, and the remedy.
        legend: Pairs of style and label.
        has_lines: Whether to draw horizontal grid lines.
    """

    title: str
    summary: str
    help: str = ""
    axis: Axis = Axis((), ())
    table: Table = Table((), ())
    bars: tuple[Bar, ...] = ()
    curves: tuple[Curve, ...] = ()
    dots: tuple[Dot, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    has_lines: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether the chart has no shapes."""
        return not (self.bars or self.curves or self.dots)


@dataclass(frozen=True, slots=True)
class Bucket(Generic[Value]):
    """Consecutive days and the values that fall on them."""

    first: date
    last: date
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The days as text: "3 May 2026" or "3 May 2026 to 9 May 2026"."""
        return day_name(self.first) if self.first == self.last else f"{day_name(self.first)} to {day_name(self.last)}"


def buckets(days: Sequence[tuple[date, Value]], *, maximum: int = _MAX_BUCKETS) -> list[Bucket[Value]]:
    """Split the days from first to last into at most `maximum` equal spans; a span without values is empty."""
    if not days:
        return []
    first, last = min(day for day, _ in days), max(day for day, _ in days)
    width = -(-((last - first).days + 1) // maximum)
    spans: dict[int, list[Value]] = {}
    for day, value in days:
        spans.setdefault((day - first).days // width, []).append(value)
    count = (last - first).days // width + 1
    return [
        Bucket(begin := first + timedelta(n * width), begin + timedelta(width - 1), tuple(spans.get(n, ())))
        for n in range(count)
    ]


def time_axis(spans: Sequence[Bucket[Value]]) -> tuple[str, ...]:
    """Labels for the first and the last day."""
    ends = [spans[0].first, spans[-1].last] if spans else []
    return tuple(dict.fromkeys(day_name(day) for day in ends))


def stacked_bars(columns: Sequence[Sequence[int]], styles: Sequence[str]) -> tuple[Bar, ...]:
    """Stacked columns, the first part at the bottom; the highest column fills the viewport."""
    highest = max((sum(column) for column in columns), default=0) or 1
    width = 100 / max(len(columns), 1)
    bars = []
    for index, column in enumerate(columns):
        top = 100.0
        for part, style in zip(column, styles, strict=True):
            height = 100 * part / highest
            top -= height
            if part:
                bars.append(_bar(index * width + width * _GAP / 2, top, width * (1 - _GAP), height, style))
    return tuple(bars)


def heat_map(columns: Sequence[Sequence[float]], *, style: str) -> tuple[Bar, ...]:
    """A grid of cells, one column per item, the first value at the top; the largest value is opaque."""
    largest = max((value for column in columns for value in column), default=0) or 1
    width = 100 / max(len(columns), 1)
    return tuple(
        _bar(x * width, y * 100 / len(column), width, 100 / len(column), style, value / largest)
        for x, column in enumerate(columns)
        for y, value in enumerate(column)
        if value > 0
    )


def curve(points: Sequence[tuple[float, float]], *, style: str) -> Curve:
    """A polyline through points in 0..1, y counted from the bottom."""
    return Curve(" ".join(f"{100 * x:.2f},{100 * (1 - y):.2f}" for x, y in points), style)


def dot(x: float, y: float, *, style: str) -> Dot:
    """A highlighted point, coordinates in 0..1, y counted from the bottom."""
    return Dot(round(100 * x, 2), round(100 * (1 - y), 2), style)


def rate(value: float) -> str:
    """A measured rate as a percentage; unlike a confidence, it can be exactly 0% or 100%."""
    return f"{value:.0%}" if value in (0, 1) else percent(value)


def _bar(x: float, y: float, width: float, height: float, style: str, strength: float = 1.0) -> Bar:
    return Bar(round(x, 2), round(y, 2), round(width, 2), round(height, 2), style, round(strength, 3))
