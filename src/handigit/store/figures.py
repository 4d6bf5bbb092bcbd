"""How well reading goes, counted from what people have said.

It knows counts; how far a counted share may lie from the true one is `evaluate.clopper_pearson`'s.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, case, exists, func, select, type_coerce

from handigit.records import Outcome
from handigit.store.nouns import Filter, Purpose
from handigit.store.opinions import decided, ruling, stands
from handigit.store.rows import meant
from handigit.store.tables import DAY, EPOCH, MICROSECOND, corrections, leases, readings


@dataclass(frozen=True, slots=True)
class Measured:
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
    control: Measured


@dataclass(frozen=True, slots=True)
class Figures:
    """What the store knows about how well reading goes.

    `control` measures the error among what was `read` without bias, since chance chose what was checked. `confusions`
    come from all decided readings with as many digits as were read, most frequent first; `wrong_length` counts those
    with more or fewer.
    """

    outcomes: dict[Outcome, int]
    decided: int
    control: Measured
    confusions: tuple[Confusion, ...]
    wrong_length: int
    days: tuple[Day, ...]


def figures(connection: Connection, filter: Filter) -> Figures:  # noqa: A002
    """The figures of the readings that are meant."""
    days = _days(connection, meant(filter))
    pairs, wrong_length = _confusions(connection, meant(filter))
    return Figures(
        outcomes=_sum(day.outcomes for day in days),
        decided=sum(day.decided for day in days),
        control=Measured(sum(day.control.wrong for day in days), sum(day.control.checked for day in days)),
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
        _day(number, list(of_day), control.get(number, Measured()))
        for number, of_day in itertools.groupby(rows, key=lambda row: int(row.day))
    )


def _day(number: int, rows: list[Any], control: Measured) -> Day:
    return Day(
        day=(EPOCH + number * DAY * MICROSECOND).date(),
        outcomes={Outcome(row.outcome): row.readings for row in rows},
        confidence=next((row.confidence for row in rows if row.outcome == Outcome.READ), None),
        decided=sum(int(row.decided) for row in rows),
        control=control,
    )


def _control(connection: Connection, condition: ColumnElement[bool]) -> dict[int, Measured]:
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
    return {int(number): Measured(int(wrong), count) for number, wrong, count in connection.execute(query)}


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
