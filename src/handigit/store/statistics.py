"""How well reading goes, counted from what people have said.

It knows counts; how far a counted share may lie from the true one is `evaluate.clopper_pearson`'s.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, case, exists, func, select, type_coerce

from handigit.records import Box, Outcome
from handigit.store.database import Database
from handigit.store.readings import decided, meant, ruling, stands
from handigit.store.tables import DAY, EPOCH, MICROSECOND, corrections, inputs, leases, readings
from handigit.store.types import Filter, Purpose, Truth


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Readings that people have checked, and those of them that were wrong.

    `evaluate.clopper_pearson(wrong, checked)` says how far the true share may lie from `wrong / checked`.
    """

    wrong: int = 0
    checked: int = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a digit was read where people say that another stands; `read` and `truth` are single digits."""

    read: str
    truth: str
    count: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC): readings by outcome, mean confidence of what was `read`, decided ones, the control sample's."""

    day: date
    outcomes: dict[Outcome, int]
    confidence: float | None
    decided: int
    control: ErrorCount


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the store knows about how well reading goes.

    `control` measures the error among what was `read` without bias, since chance chose what was checked. `confusions`
    come from all decided readings with as many digits as were read, most frequent first; `wrong_length` counts those
    with more or fewer.
    """

    outcomes: dict[Outcome, int]
    decided: int
    control: ErrorCount
    confusions: tuple[Confusion, ...]
    wrong_length: int
    days: tuple[Day, ...]


def compute_statistics(connection: Connection, filter: Filter) -> Statistics:  # noqa: A002
    """The figures of the readings that are meant."""
    days = _days(connection, meant(filter))
    pairs, wrong_length = _confusions(connection, meant(filter))
    return Statistics(
        outcomes=_sum(day.outcomes for day in days),
        decided=sum(day.decided for day in days),
        control=ErrorCount(sum(day.control.wrong for day in days), sum(day.control.checked for day in days)),
        confusions=pairs,
        wrong_length=wrong_length,
        days=days,
    )


def _sum(outcomes: Iterable[dict[Outcome, int]]) -> dict[Outcome, int]:
    total = Counter(dict.fromkeys(Outcome, 0))
    for counts in outcomes:
        total.update(counts)
    return dict(total)


def _days(connection: Connection, condition: ColumnElement[bool]) -> tuple[Day, ...]:
    """Oldest first; days on which nothing was read are left out."""
    day = (type_coerce(readings.c.at, BigInteger) // DAY).label("day")
    counted = (
        select(
            day,
            readings.c.outcome,
            func.count().label("readings"),
            func.avg(readings.c.confidence).label("confidence"),
            func.sum(case((decided(), 1), else_=0)).label("decided"),
        )
        .where(condition)
        .group_by(day, readings.c.outcome)
        .order_by(day)
    )
    rows = connection.execute(counted).all()
    control = _control(connection, condition)
    return tuple(
        _day(number, list(of_day), control.get(number, ErrorCount()))
        for number, of_day in itertools.groupby(rows, key=lambda row: int(row.day))
    )


def _day(number: int, rows: list[Any], control: ErrorCount) -> Day:
    return Day(
        day=(EPOCH + number * DAY * MICROSECOND).date(),
        outcomes={Outcome(row.outcome): row.readings for row in rows},
        confidence=next((row.confidence for row in rows if row.outcome == Outcome.READ), None),
        decided=sum(int(row.decided) for row in rows),
        control=control,
    )


def _control(connection: Connection, condition: ColumnElement[bool]) -> dict[int, ErrorCount]:
    """The control sample's outcome, by the number of the day on which was read."""
    seen, holding = corrections.alias("seen"), corrections.alias("control_holding")
    day = (type_coerce(readings.c.at, BigInteger) // DAY).label("day")
    checked = exists().where(
        seen.c.reading == readings.c.id,
        stands(seen),
        seen.c.lease == leases.c.id,
        leases.c.purpose == Purpose.CONTROL,
    )
    wrong = case((holding.c.text != readings.c.text, 1), else_=0)
    query = (
        select(day, func.sum(wrong), func.count())
        .select_from(readings)
        .join(holding, holding.c.id == ruling())
        .where(condition, checked)
        .group_by(day)
    )
    return {int(number): ErrorCount(int(wrong), count) for number, wrong, count in connection.execute(query)}


def _confusions(connection: Connection, condition: ColumnElement[bool]) -> tuple[tuple[Confusion, ...], int]:
    """Pairs of read and true digits, and how many numbers had more or fewer digits than were read."""
    holding = corrections.alias("confusion_holding")
    query = (
        select(readings.c.text, holding.c.text)
        .select_from(readings)
        .join(holding, holding.c.id == ruling())
        .where(condition, holding.c.text != readings.c.text, holding.c.text != "", readings.c.text != "")
    )
    pairs: Counter[tuple[str, str]] = Counter()
    wrong_length = 0
    for read, truth in connection.execute(query):
        if len(read) == len(truth):
            pairs.update(pair for pair in zip(read, truth, strict=True) if pair[0] != pair[1])
        else:
            wrong_length += 1
    return tuple(Confusion(*pair, count) for pair, count in pairs.most_common()), wrong_length


_MOST_CHECKED: Final = 20_000
"""Checked readings that are looked at: a share of so many is known to a third of a per cent."""
_ANSWERED: Final = (Outcome.READ, Outcome.DOUBT)


@dataclass(frozen=True, slots=True)
class Checked:
    """One reading that people have checked: how sure the reader was, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Stratum:
    """All readings of one kind and outcome, and those of them that were checked without choosing.

    Of what was `read` only the control sample counts: whatever else people correct there caught their eye because it
    is wrong. Of the doubts, all that were decided.
    """

    kind: str
    outcome: Outcome
    readings: int
    checked: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Crop:
    """Where something was read: the page's SHA-256 and size in pixels, and the box on it."""

    picture: str
    width: int
    height: int
    box: Box


@dataclass(frozen=True, slots=True)
class Misread:
    """A reading that people say is wrong; `crop` is None where no picture was kept."""

    reading: int
    read: str
    confidence: float
    truth: Truth
    crop: Crop | None


class Insights:
    """The questions, asked of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def strata(self, filter: Filter) -> tuple[Stratum, ...]:  # noqa: A002
        """What was read or doubted, by kind and outcome, with those that were checked."""
        with self._database.reading() as connection:
            checked = _checked(connection, meant(filter))
            counted = (
                select(readings.c.kind, readings.c.outcome, func.count())
                .where(meant(filter), readings.c.outcome.in_(_ANSWERED))
                .group_by(readings.c.kind, readings.c.outcome)
                .order_by(readings.c.kind, readings.c.outcome)
            )
            return tuple(
                Stratum(kind, Outcome(outcome), count, tuple(checked[kind, outcome]))
                for kind, outcome, count in connection.execute(counted)
            )

    def digits(self, filter: Filter) -> dict[date, tuple[int, ...]]:  # noqa: A002
        """How often each digit 0 to 9 stands in what was `read`, by day (UTC), oldest first."""
        text = readings.c.text
        counts = [func.sum(func.length(text) - func.length(func.replace(text, str(digit), ""))) for digit in range(10)]
        day = _day_column().label("day")
        query = (
            select(day, *counts).where(meant(filter), readings.c.outcome == Outcome.READ).group_by(day).order_by(day)
        )
        with self._database.reading() as connection:
            return {_date(row[0]): tuple(int(count) for count in row[1:]) for row in connection.execute(query)}

    def crops(self, filter: Filter, *, per_day: int, largest_px: int) -> tuple[tuple[date, Crop], ...]:  # noqa: A002
        """The first few crops of each day whose page has at most so many pixels, oldest first."""
        place = func.row_number().over(partition_by=_day_column(), order_by=readings.c.id).label("place")
        numbered = (
            select(_day_column().label("day"), place, readings.c.box, inputs.c.sha256, inputs.c.width, inputs.c.height)
            .select_from(readings)
            .join(inputs, inputs.c.sha256 == readings.c.input)
            .where(meant(filter), readings.c.outcome.in_(_ANSWERED), inputs.c.width * inputs.c.height <= largest_px)
            .subquery()
        )
        query = select(numbered).where(numbered.c.place <= per_day).order_by(numbered.c.day, numbered.c.place)
        with self._database.reading() as connection:
            found = [(_date(row.day), _crop(row)) for row in connection.execute(query)]
        return tuple((day, crop) for day, crop in found if crop)

    def misread(self, digests: tuple[str, ...], *, most: int) -> tuple[Misread, ...]:
        """The last readings by these models of which people say something else."""
        holding = corrections.alias("misread_holding")
        query = (
            select(readings, holding.c.text.label("said"), holding.c.outcome.label("said_outcome"))
            .add_columns(inputs.c.sha256, inputs.c.width, inputs.c.height)
            .select_from(readings)
            .join(holding, holding.c.id == ruling())
            .outerjoin(inputs, inputs.c.sha256 == readings.c.input)
            .where(readings.c.model_digest.in_(digests), holding.c.text != readings.c.text)
            .order_by(readings.c.id.desc())
            .limit(most)
        )
        with self._database.reading() as connection:
            return tuple(_misread(row) for row in connection.execute(query))


def _checked(connection: Connection, condition: ColumnElement[bool]) -> dict[tuple[str, str], list[Checked]]:
    """The newest checked readings, by kind and outcome."""
    holding = corrections.alias("checked_holding")
    counts = case((readings.c.outcome == Outcome.READ, _in_control()), else_=True)
    query = (
        select(
            readings.c.kind, readings.c.outcome, readings.c.confidence, readings.c.text, holding.c.text.label("said")
        )
        .select_from(readings)
        .join(holding, holding.c.id == ruling())
        .where(condition, readings.c.outcome.in_(_ANSWERED), counts)
        .order_by(readings.c.id.desc())
        .limit(_MOST_CHECKED)
    )
    found: defaultdict[tuple[str, str], list[Checked]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.kind, row.outcome].append(Checked(row.confidence, row.text == row.said))
    return found


def _in_control() -> ColumnElement[bool]:
    """Chance chose that the reading was to be checked, and it was."""
    seen = corrections.alias("checked_seen")
    leased = seen.c.lease == leases.c.id
    return exists().where(seen.c.reading == readings.c.id, stands(seen), leased, leases.c.purpose == Purpose.CONTROL)


def _day_column() -> ColumnElement[int]:
    return type_coerce(readings.c.at, BigInteger) // DAY


def _date(number: int) -> date:
    return (EPOCH + int(number) * DAY * MICROSECOND).date()


def _crop(row: Any) -> Crop | None:
    return Crop(row.sha256, row.width, row.height, Box(*row.box)) if row.sha256 and row.box else None


def _misread(row: Any) -> Misread:
    truth = Truth(row.said, Outcome(row.said_outcome))
    return Misread(row.id, row.text, row.confidence, truth, _crop(row))
