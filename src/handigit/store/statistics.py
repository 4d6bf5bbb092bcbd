"""Statistics of reading quality, counted from people's decisions."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, case, exists, func, select, type_coerce

from handigit.records import Box, Outcome
from handigit.store.column_types import DAY, EPOCH, MICROSECOND
from handigit.store.database import Database
from handigit.store.readings import consensus, filter_clause, is_active, is_decided
from handigit.store.tables import corrections, inputs, leases, readings
from handigit.store.truth import Truth
from handigit.store.types import Filter, Purpose

_MAX_CHECKED: Final = 20_000
"""Checked readings per query; a fraction of that many is known to a third of a percentage point."""
_ANSWERED: Final = (Outcome.READ, Outcome.DOUBT)


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Readings that people have checked, and how many of them were wrong.

    `evaluate.clopper_pearson(wrong, checked)` gives the confidence interval of the error rate.
    """

    wrong: int = 0
    checked: int = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often the digit `read` was read where the truth is `truth`."""

    read: str
    truth: str
    count: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC): readings by outcome, mean confidence of `read` results, decided readings, the control sample."""

    day: date
    outcomes: dict[Outcome, int]
    confidence: float | None
    decided: int
    control: ErrorCount


@dataclass(frozen=True, slots=True)
class Statistics:
    """Reading quality over a selection of readings.

    `control` estimates the error rate of `read` results without bias, because its readings were chosen at random.
    `confusions` count all decided readings with as many digits as were read, most frequent first; `wrong_length`
    counts those with more or fewer.
    """

    outcomes: dict[Outcome, int]
    decided: int
    control: ErrorCount
    confusions: tuple[Confusion, ...]
    wrong_length: int
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """One checked reading: the reader's confidence, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Stratum:
    """All readings of one kind and outcome, and an unbiased sample of them that was checked.

    For `read` results only the control sample counts: other corrections were made because someone saw an error. For
    doubts all decided readings count.
    """

    kind: str
    outcome: Outcome
    readings: int
    checked: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Crop:
    """Where a number was read: the page's SHA-256, its size in pixels, and the box on it."""

    picture: str
    width: int
    height: int
    box: Box


@dataclass(frozen=True, slots=True)
class Misread:
    """A reading that people corrected; `crop` is None where no picture was stored."""

    reading: int
    read: str
    confidence: float
    truth: Truth
    crop: Crop | None


def compute_statistics(connection: Connection, filter: Filter) -> Statistics:  # noqa: A002
    """The statistics of the selected readings."""
    days = _days(connection, filter_clause(filter))
    confusions, wrong_length = _confusions(connection, filter_clause(filter))
    return Statistics(
        outcomes=_sum(day.outcomes for day in days),
        decided=sum(day.decided for day in days),
        control=ErrorCount(sum(day.control.wrong for day in days), sum(day.control.checked for day in days)),
        confusions=confusions,
        wrong_length=wrong_length,
        days=days,
    )


def _sum(outcomes: Iterable[dict[Outcome, int]]) -> dict[Outcome, int]:
    total = Counter(dict.fromkeys(Outcome, 0))
    for counts in outcomes:
        total.update(counts)
    return dict(total)


def _days(connection: Connection, condition: ColumnElement[bool]) -> tuple[Day, ...]:
    """Days with readings, oldest first."""
    day = _day_column().label("day")
    query = (
        select(
            day,
            readings.c.outcome,
            func.count().label("readings"),
            func.avg(readings.c.confidence).label("confidence"),
            func.sum(case((is_decided(), 1), else_=0)).label("decided"),
        )
        .where(condition)
        .group_by(day, readings.c.outcome)
        .order_by(day)
    )
    rows = connection.execute(query).all()
    control = _control(connection, condition)
    return tuple(
        _day(number, list(of_day), control.get(number, ErrorCount()))
        for number, of_day in itertools.groupby(rows, key=lambda row: int(row.day))
    )


def _day(number: int, rows: list[Any], control: ErrorCount) -> Day:
    return Day(
        day=_date(number),
        outcomes={Outcome(row.outcome): row.readings for row in rows},
        confidence=next((row.confidence for row in rows if row.outcome == Outcome.READ), None),
        decided=sum(int(row.decided) for row in rows),
        control=control,
    )


def _control(connection: Connection, condition: ColumnElement[bool]) -> dict[int, ErrorCount]:
    """Errors in the control sample by day number."""
    holding = corrections.alias("control_holding")
    day = _day_column().label("day")
    wrong = case((holding.c.canonical != readings.c.canonical, 1), else_=0)
    query = (
        select(day, func.sum(wrong), func.count())
        .select_from(readings)
        .join(holding, holding.c.id == consensus())
        .where(condition, _in_control())
        .group_by(day)
    )
    return {int(number): ErrorCount(int(wrong), count) for number, wrong, count in connection.execute(query)}


def _confusions(connection: Connection, condition: ColumnElement[bool]) -> tuple[tuple[Confusion, ...], int]:
    """Pairs of read and true digits, and how many numbers had more or fewer digits than were read."""
    holding = corrections.alias("confusion_holding")
    query = (
        select(readings.c.text, holding.c.text)
        .select_from(readings)
        .join(holding, holding.c.id == consensus())
        .where(condition, holding.c.canonical != readings.c.canonical, holding.c.text != "", readings.c.text != "")
    )
    pairs: Counter[tuple[str, str]] = Counter()
    wrong_length = 0
    for read, text in connection.execute(query):
        truth = Truth(text).digits
        if len(read) == len(truth):
            pairs.update(pair for pair in zip(read, truth, strict=True) if pair[0] != pair[1])
        else:
            wrong_length += 1
    return tuple(Confusion(*pair, count) for pair, count in pairs.most_common()), wrong_length


class Insights:
    """The queries behind the page Insights, for one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def strata(self, filter: Filter) -> tuple[Stratum, ...]:  # noqa: A002
        """Readings with the outcome `read` or `doubt` by kind and outcome, with the checked ones."""
        with self._database.reading() as connection:
            checked = _checked(connection, filter_clause(filter))
            query = (
                select(readings.c.kind, readings.c.outcome, func.count())
                .where(filter_clause(filter), readings.c.outcome.in_(_ANSWERED))
                .group_by(readings.c.kind, readings.c.outcome)
                .order_by(readings.c.kind, readings.c.outcome)
            )
            return tuple(
                Stratum(kind, Outcome(outcome), count, tuple(checked[kind, outcome]))
                for kind, outcome, count in connection.execute(query)
            )

    def digits(self, filter: Filter) -> dict[date, tuple[int, ...]]:  # noqa: A002
        """The count of each digit 0 to 9 in `read` results by day (UTC), oldest first."""
        text = readings.c.text
        counts = [func.sum(func.length(text) - func.length(func.replace(text, str(digit), ""))) for digit in range(10)]
        day = _day_column().label("day")
        query = select(day, *counts).where(filter_clause(filter), readings.c.outcome == Outcome.READ)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(day).order_by(day))
            return {_date(row[0]): tuple(int(count) for count in row[1:]) for row in rows}

    def crops(self, filter: Filter, *, per_day: int, largest_px: int) -> tuple[tuple[date, Crop], ...]:  # noqa: A002
        """The first `per_day` crops of each day from pages of at most `largest_px` pixels, oldest first."""
        rank = func.row_number().over(partition_by=_day_column(), order_by=readings.c.id).label("rank")
        numbered = (
            select(_day_column().label("day"), rank, readings.c.box, inputs.c.sha256, inputs.c.width, inputs.c.height)
            .select_from(readings)
            .join(inputs, inputs.c.sha256 == readings.c.input)
            .where(filter_clause(filter), readings.c.outcome.in_(_ANSWERED))
            .where(inputs.c.width * inputs.c.height <= largest_px)
            .subquery()
        )
        query = select(numbered).where(numbered.c.rank <= per_day).order_by(numbered.c.day, numbered.c.rank)
        with self._database.reading() as connection:
            crops = [(_date(row.day), _crop(row)) for row in connection.execute(query)]
        return tuple((day, crop) for day, crop in crops if crop)

    def misread(self, digests: tuple[str, ...], *, most: int) -> tuple[Misread, ...]:
        """The last `most` readings by these models that people corrected."""
        holding = corrections.alias("misread_holding")
        query = (
            select(readings, holding.c.text.label("truth_text"), holding.c.outcome.label("truth_outcome"))
            .add_columns(inputs.c.sha256, inputs.c.width, inputs.c.height)
            .select_from(readings)
            .join(holding, holding.c.id == consensus())
            .outerjoin(inputs, inputs.c.sha256 == readings.c.input)
            .where(readings.c.model_digest.in_(digests), holding.c.canonical != readings.c.canonical)
            .order_by(readings.c.id.desc())
            .limit(most)
        )
        with self._database.reading() as connection:
            return tuple(
                Misread(
                    row.id,
                    row.raw or row.text,
                    row.confidence,
                    Truth(row.truth_text, Outcome(row.truth_outcome)),
                    _crop(row),
                )
                for row in connection.execute(query)
            )


def _checked(connection: Connection, condition: ColumnElement[bool]) -> dict[tuple[str, str], list[Checked]]:
    """The newest checked readings by kind and outcome."""
    holding = corrections.alias("checked_holding")
    is_unbiased = case((readings.c.outcome == Outcome.READ, _in_control()), else_=True)
    right = (readings.c.canonical == holding.c.canonical).label("right")
    query = (
        select(readings.c.kind, readings.c.outcome, readings.c.confidence, right)
        .select_from(readings)
        .join(holding, holding.c.id == consensus())
        .where(condition, readings.c.outcome.in_(_ANSWERED), is_unbiased)
        .order_by(readings.c.id.desc())
        .limit(_MAX_CHECKED)
    )
    results: defaultdict[tuple[str, str], list[Checked]] = defaultdict(list)
    for row in connection.execute(query):
        results[row.kind, row.outcome].append(Checked(row.confidence, bool(row.right)))
    return results


def _in_control() -> ColumnElement[bool]:
    """A reading was chosen for the control sample and checked as part of it."""
    check = corrections.alias("control_check")
    by_lease = check.c.lease == leases.c.id
    return exists().where(
        check.c.reading == readings.c.id, is_active(check), by_lease, leases.c.purpose == Purpose.CONTROL
    )


def _day_column() -> ColumnElement[int]:
    return type_coerce(readings.c.at, BigInteger) // DAY


def _date(number: int) -> date:
    return (EPOCH + int(number) * DAY * MICROSECOND).date()


def _crop(row: Any) -> Crop | None:
    return Crop(row.sha256, row.width, row.height, Box(*row.box)) if row.sha256 and row.box else None
