"""Questions about many readings at once, for people who ask how reading goes: what was checked, seen, misread.

It knows rows and counts; what a share means, and how it is shown, is others' work. `figures` has the plain counts.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, case, exists, func, select, type_coerce

from handigit.records import Box, Outcome
from handigit.store.database import Database
from handigit.store.nouns import Filter, Purpose, Truth
from handigit.store.opinions import ruling, stands
from handigit.store.rows import meant
from handigit.store.tables import DAY, EPOCH, MICROSECOND, corrections, inputs, leases, readings

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
        day = _day().label("day")
        query = (
            select(day, *counts).where(meant(filter), readings.c.outcome == Outcome.READ).group_by(day).order_by(day)
        )
        with self._database.reading() as connection:
            return {_date(row[0]): tuple(int(count) for count in row[1:]) for row in connection.execute(query)}

    def crops(self, filter: Filter, *, per_day: int, largest_px: int) -> tuple[tuple[date, Crop], ...]:  # noqa: A002
        """The first few crops of each day whose page has at most so many pixels, oldest first."""
        place = func.row_number().over(partition_by=_day(), order_by=readings.c.id).label("place")
        numbered = (
            select(_day().label("day"), place, readings.c.box, inputs.c.sha256, inputs.c.width, inputs.c.height)
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


def _day() -> ColumnElement[int]:
    return type_coerce(readings.c.at, BigInteger) // DAY


def _date(number: int) -> date:
    return (EPOCH + int(number) * DAY * MICROSECOND).date()


def _crop(row: Any) -> Crop | None:
    return Crop(row.sha256, row.width, row.height, Box(*row.box)) if row.sha256 and row.box else None


def _misread(row: Any) -> Misread:
    truth = Truth(row.said, Outcome(row.said_outcome))
    return Misread(row.id, row.text, row.confidence, truth, _crop(row))
