"""Rows to readings and corrections, and the queries for lists of readings.

The current number is a query. A person's *opinion* of a reading is their last correction that is not undone. The
answer of most opinions holds. In a tie the latest answer holds and the reading is *disputed*. Two answers are the same
if their canonical forms are equal.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, exists, func, or_, select

from handigit.records import Number, Outcome
from handigit.store.errors import NotInStore
from handigit.store.tables import NUMBER_COLUMNS, corrections, leases, readings, undos
from handigit.store.truth import Truth
from handigit.store.types import Correction, Filter, Order, Page, Provenance, Purpose, Reading

MAX_PAGE: Final = 1000
"""Maximum number of readings per page of a list."""


def is_active(correction: FromClause) -> ColumnElement[bool]:
    """A correction is not undone."""
    return ~exists().where(undos.c.correction == correction.c.id)


def is_opinion(correction: FromClause) -> ColumnElement[bool]:
    """A correction is active, and the same person has no later active one of the same reading."""
    later = corrections.alias("later")
    superseded = exists().where(
        later.c.reading == correction.c.reading,
        later.c.by == correction.c.by,
        later.c.id > correction.c.id,
        is_active(later),
    )
    return and_(is_active(correction), ~superseded)


def is_decided(of: FromClause = readings) -> ColumnElement[bool]:
    """Someone has an opinion of a reading."""
    decision = corrections.alias("decision")
    return exists().where(decision.c.reading == of.c.id, is_active(decision))


def consensus(of: FromClause = readings) -> ColumnElement[int]:
    """The id of the last correction with the answer that holds; null where no one has an opinion."""
    opinion = corrections.alias("opinion")
    return _ranked(of, opinion, func.max(opinion.c.id), rank=0)


def is_disputed(of: FromClause = readings) -> ColumnElement[bool]:
    """Another answer has as many opinions as the consensus; never null."""
    first, second = corrections.alias("first"), corrections.alias("second")
    tie = _ranked(of, first, func.count(), rank=0) == _ranked(of, second, func.count(), rank=1)
    return func.coalesce(tie, False)


def _ranked(of: FromClause, opinion: FromClause, what: ColumnElement[Any], *, rank: int) -> ColumnElement[Any]:
    """An aggregate over the opinions that give the most frequent answer (rank 0) or the runner-up (rank 1)."""
    return (
        select(what)
        .where(opinion.c.reading == of.c.id, is_opinion(opinion))
        .group_by(opinion.c.outcome, opinion.c.canonical)
        .order_by(func.count().desc(), func.max(opinion.c.id).desc())
        .offset(rank)
        .limit(1)
        .correlate(of)
        .scalar_subquery()
    )


def get_reading(connection: Connection, reading: int) -> Reading:
    """One reading by id.

    Raises:
        NotInStore: no such reading.
    """
    row = connection.execute(_select_readings().where(readings.c.id == reading)).one_or_none()
    if row is None:
        raise _no_reading(reading)
    return _to_reading(row)


def list_readings(
    connection: Connection,
    filter: Filter,  # noqa: A002
    *,
    after: int | None,
    limit: int,
    order: Order = "newest",
) -> Page:
    """The readings that follow the one with the id `after` in an order; `Page.after` is None on the last page.

    Raises:
        NotInStore: that reading has been deleted, and the order is not by id.
    """
    limit = max(1, min(limit, MAX_PAGE))
    keys = _SORT_KEYS[order]
    ids = select(readings.c.id).where(filter_clause(filter)).order_by(*keys).limit(limit + 1)
    if after is not None:
        ids = ids.where(_follows(connection, order, after))
    # The ids first: the consensus of each reading is a query of its own, too expensive for all that are sorted.
    query = _select_readings().where(readings.c.id.in_(ids)).order_by(*keys)
    results = [_to_reading(row) for row in connection.execute(query)]
    return Page(tuple(results[:limit]), after=results[limit - 1].id if len(results) > limit else None)


_SORT_KEYS: Final[dict[Order, tuple[ColumnElement[Any], ...]]] = {
    "newest": (readings.c.id.desc(),),
    "oldest": (readings.c.id,),
    "confidence": (readings.c.confidence, readings.c.id),
    "source": (readings.c.source, readings.c.id),
}


def _follows(connection: Connection, order: Order, after: int) -> ColumnElement[bool]:
    """The condition for a reading to follow the one with the id `after`."""
    if order == "newest":
        return readings.c.id < after
    if order == "oldest":
        return readings.c.id > after
    require_reading(connection, after)
    column = _SORT_KEYS[order][0]
    last = select(column).where(readings.c.id == after).scalar_subquery()
    return or_(column > last, and_(column == last, readings.c.id > after))


def list_in_order(connection: Connection, filter: Filter, *, after: int) -> tuple[Reading, ...]:  # noqa: A002
    """Up to `MAX_PAGE` readings with ids above `after`, in the order in which they were read."""
    query = _select_readings().where(filter_clause(filter), readings.c.id > after)
    rows = connection.execute(query.order_by(readings.c.id).limit(MAX_PAGE))
    return tuple(_to_reading(row) for row in rows)


def filter_clause(filter: Filter) -> ColumnElement[bool]:  # noqa: A002
    """The SQL condition of a filter."""
    conditions: list[ColumnElement[bool]] = []
    if filter.outcome is not None:
        conditions.append(readings.c.outcome == filter.outcome.value)
    if filter.model is not None:
        conditions.append(readings.c.model == filter.model)
    if filter.since is not None:
        conditions.append(readings.c.at >= filter.since)
    if filter.until is not None:
        conditions.append(readings.c.at < filter.until)
    if filter.corrected is not None:
        conditions.append(is_decided() if filter.corrected else ~is_decided())
    if filter.ids is not None:
        conditions.append(readings.c.id.in_(filter.ids))
    if filter.contains:
        conditions.append(_current_number_contains(filter.contains))
    if filter.source:
        conditions.append(readings.c.source.icontains(filter.source, autoescape=True))
    return and_(True, *conditions)


def _current_number_contains(part: str) -> ColumnElement[bool]:
    holding = corrections.alias("holding")
    corrected = select(holding.c.text).where(holding.c.id == consensus()).correlate(readings).scalar_subquery()
    as_read = or_(
        readings.c.text.contains(part, autoescape=True),
        readings.c.raw.contains(part, autoescape=True),
    )
    return case((is_decided(), corrected.contains(part, autoescape=True)), else_=as_read)


@cache
def _select_readings() -> Select[Any]:
    """Every column of a reading with its consensus; cached, because building the query costs more than running it."""
    holding = corrections.alias("holding")
    return (
        select(
            readings,
            holding.c.text.label("truth_text"),
            holding.c.outcome.label("truth_outcome"),
            holding.c.by.label("corrected_by"),
            is_disputed().label("disputed"),
        )
        .select_from(readings)
        .outerjoin(holding, holding.c.id == consensus())
    )


def _to_reading(row: Any) -> Reading:
    return Reading(
        id=row.id,
        number=Number.from_json({name: getattr(row, name) for name in NUMBER_COLUMNS}),
        provenance=Provenance(row.source, row.model, row.model_digest, row.request_id, row.kind),
        at=row.at,
        picture=row.input,
        truth=None if row.truth_text is None else Truth(row.truth_text, Outcome(row.truth_outcome)),
        disputed=bool(row.disputed),
        place=row.place,
        corrected_by=row.corrected_by,
    )


def require_reading(connection: Connection, reading: int) -> None:
    """Check that a reading exists.

    Raises:
        NotInStore: no such reading.
    """
    if not connection.scalar(select(exists().where(readings.c.id == reading))):
        raise _no_reading(reading)


def _no_reading(reading: int) -> NotInStore:
    return NotInStore(f"no reading {reading}; it never existed, or was deleted")


def get_corrections(connection: Connection, condition: ColumnElement[bool]) -> tuple[Correction, ...]:
    """The corrections for which a condition holds, oldest first."""
    return tuple(_to_correction(row) for row in connection.execute(_select_corrections().where(condition)))


@cache
def _select_corrections() -> Select[Any]:
    """Every column of a correction with its reading and whether it was undone."""
    return (
        select(
            corrections,
            readings.c.raw,
            readings.c.model,
            readings.c.model_digest,
            leases.c.purpose,
            undos.c.by.label("undone_by"),
            undos.c.at.label("undone_at"),
        )
        .select_from(corrections)
        .join(readings, readings.c.id == corrections.c.reading)
        .outerjoin(leases, leases.c.id == corrections.c.lease)
        .outerjoin(undos, undos.c.correction == corrections.c.id)
        .order_by(corrections.c.id)
    )


def _to_correction(row: Any) -> Correction:
    return Correction(
        id=row.id,
        reading=row.reading,
        raw=row.raw,
        truth=Truth(row.text, Outcome(row.outcome)),
        by=row.by,
        at=row.at,
        model=row.model,
        model_digest=row.model_digest,
        key=row.key,
        purpose=None if row.purpose is None else Purpose(row.purpose),
        undone_by=row.undone_by,
        undone_at=row.undone_at,
    )


def count_readings(connection: Connection) -> int:
    """The number of readings."""
    return connection.scalar(select(func.count()).select_from(readings)) or 0
