"""Figures for people: what is drawn, what it says in one sentence, and the same figures as a table.

A plot's shapes lie in a field of 100 by 100 with the origin at the top left; the page stretches it, and writes every
word beside it in letters of its own. It knows shapes and numbers, not what they are about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Generic, TypeVar

_MOST_BUCKETS: Final = 31
_THIN: Final = "\u202f"
"""A space at which no line is broken."""
_GAP: Final = 0.18
"""Share of a bar's place that stays empty."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `look` names its colour, `strength` (0..1) how solid it is."""

    x: float
    y: float
    width: float
    height: float
    look: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, written as SVG has them."""

    points: str
    look: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point that is to be seen."""

    x: float
    y: float
    look: str


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands beside a plot: the left side's words from the top down, the bottom's from the left."""

    left: tuple[str, ...]
    bottom: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The plot's figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure. `says` tells in a sentence what is to be seen, `help` what it means and what to do about it.

    `legend` is pairs of look and word; `has_lines`: whether lines are drawn to read heights by. A plot without shapes
    is empty; `says` then tells what is missing.
    """

    title: str
    says: str
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
        """Whether there is nothing to draw yet."""
        return not (self.bars or self.curves or self.dots)


@dataclass(frozen=True, slots=True)
class Bucket(Generic[Value]):
    """Some consecutive days, and what was seen on them."""

    first: date
    last: date
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The days as text: "3 May", "3 May to 9 May"."""
        return day_name(self.first) if self.first == self.last else f"{day_name(self.first)} to {day_name(self.last)}"


def day_name(day: date) -> str:
    """A day as people write it."""
    return f"{day.day} {day:%b %Y}"


def buckets(days: Sequence[tuple[date, Value]], *, most: int = _MOST_BUCKETS) -> list[Bucket[Value]]:
    """The days from the first to the last in at most so many equal spans; a span without anything is empty."""
    if not days:
        return []
    first, last = min(day for day, _ in days), max(day for day, _ in days)
    width = -(-((last - first).days + 1) // most)
    spans: dict[int, list[Value]] = {}
    for day, value in days:
        spans.setdefault((day - first).days // width, []).append(value)
    count = (last - first).days // width + 1
    return [
        Bucket(begin := first + timedelta(n * width), begin + timedelta(width - 1), tuple(spans.get(n, ())))
        for n in range(count)
    ]


def time_axis(found: Sequence[Bucket[Value]]) -> tuple[str, ...]:
    """The first day and the last."""
    ends = [found[0].first, found[-1].last] if found else []
    return tuple(dict.fromkeys(day_name(day) for day in ends))


def stacked(columns: Sequence[Sequence[int]], looks: Sequence[str]) -> tuple[Bar, ...]:
    """Columns of parts, the first part at the bottom; the highest column fills the field."""
    highest = max((sum(column) for column in columns), default=0) or 1
    place = 100 / max(len(columns), 1)
    bars = []
    for index, column in enumerate(columns):
        top = 100.0
        for part, look in zip(column, looks, strict=True):
            height = 100 * part / highest
            top -= height
            if part:
                bars.append(_bar(index * place + place * _GAP / 2, top, place * (1 - _GAP), height, look))
    return tuple(bars)


def cells(columns: Sequence[Sequence[float]], *, look: str) -> tuple[Bar, ...]:
    """A field of cells, a column each, the first value at the top; the largest value is solid."""
    largest = max((value for column in columns for value in column), default=0) or 1
    place = 100 / max(len(columns), 1)
    return tuple(
        _bar(x * place, y * 100 / len(column), place, 100 / len(column), look, value / largest)
        for x, column in enumerate(columns)
        for y, value in enumerate(column)
        if value > 0
    )


def curve(points: Sequence[tuple[float, float]], *, look: str) -> Curve:
    """A line through points whose x and y are shares of the field, y counted from the bottom."""
    return Curve(" ".join(f"{100 * x:.2f},{100 * (1 - y):.2f}" for x, y in points), look)


def dot(x: float, y: float, *, look: str) -> Dot:
    """A point at shares of the field."""
    return Dot(round(100 * x, 2), round(100 * (1 - y), 2), look)


def middle(index: int, count: int) -> float:
    """Where the middle of one of so many equal places lies, as a share."""
    return (index + 0.5) / count


def share(value: float) -> str:
    """A share as per cent; never 100 % or 0 % where it is not, as the scripts have it."""
    if 0.9995 < value < 1:
        return f">{_THIN}99.9{_THIN}%"
    if 0 < value < 0.0005:
        return f"<{_THIN}0.1{_THIN}%"
    return f"{100 * value:.1f}".removesuffix(".0") + f"{_THIN}%"


def _bar(x: float, y: float, width: float, height: float, look: str, strength: float = 1.0) -> Bar:
    return Bar(round(x, 2), round(y, 2), round(width, 2), round(height, 2), look, round(strength, 3))
