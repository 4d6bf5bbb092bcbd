"""Readings to rows and back, and the questions that lists of readings answer.

It knows how a noun lies in the tables, and nothing of review.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import UInt8
from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, case, exists, func, insert, select

from handigit.records import Box, Digit, Number, Outcome
from handigit.store.errors import NotInStore
from handigit.store.pictures import Picture
from handigit.store.tables import corrections, inputs, leases, readings, undos
from handigit.store.types import Correction, Filter, Page, Provenance, Purpose, Reading, Truth


def stands(correction: FromClause) -> ColumnElement[bool]:
    """A correction is not undone."""
    return ~exists().where(undos.c.correction == correction.c.id)


def is_opinion(correction: FromClause) -> ColumnElement[bool]:
    """A correction stands, and the same person has said nothing later of the same reading that stands."""
    later = corrections.alias("later")
    superseded = exists().where(
        later.c.reading == correction.c.reading,
        later.c.by == correction.c.by,
        later.c.id > correction.c.id,
        stands(later),
    )
    return and_(stands(correction), ~superseded)


def decided(of: FromClause = readings) -> ColumnElement[bool]:
    """Somebody has an opinion of a reading."""
    said = corrections.alias("said")
    return exists().where(said.c.reading == of.c.id, stands(said))


def ruling(of: FromClause = readings) -> ColumnElement[int]:
    """The number of the last correction that says what holds; null where nobody has an opinion."""
    said = corrections.alias("said")
    return _said(of, said, func.max(said.c.id), rank=0)


def disputed(of: FromClause = readings) -> ColumnElement[bool]:
    """Something else is said as often as the ruling; never null."""
    first, second = corrections.alias("first"), corrections.alias("second")
    return func.coalesce(_said(of, first, func.count(), rank=0) == _said(of, second, func.count(), rank=1), False)


def _said(of: FromClause, opinions: FromClause, what: ColumnElement[Any], *, rank: int) -> ColumnElement[Any]:
    """A figure on what is said of a reading: of what most say at rank 0, of the runner-up at rank 1."""
    return (
        select(what)
        .where(opinions.c.reading == of.c.id, is_opinion(opinions))
        .group_by(opinions.c.outcome, opinions.c.text)
        .order_by(func.count().desc(), func.max(opinions.c.id).desc())
        .offset(rank)
        .limit(1)
        .correlate(of)
        .scalar_subquery()
    )


LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class NewPage:
    """What was read from one page, to be kept: all of it or nothing.

    `page` is the decoded picture, grey (height, width) or colour (height, width, 3), or None to keep none.
    """

    numbers: Sequence[Number]
    provenance: Provenance
    page: UInt8[np.ndarray, "..."] | None = None


def insert_pictures(connection: Connection, pictures: Sequence[Picture], at: datetime) -> None:
    """A row for each picture that has none."""
    new = {picture.sha256: picture for picture in pictures}
    for known in connection.scalars(select(inputs.c.sha256).where(inputs.c.sha256.in_(new))):
        del new[known]
    rows = [
        {"sha256": digest, "at": at, "width": one.width, "height": one.height, "size_bytes": len(one.content)}
        for digest, one in new.items()
    ]
    if rows:
        connection.execute(insert(inputs), rows)


def insert_readings(
    connection: Connection, entries: Sequence[tuple[NewPage, Picture | None]], at: datetime
) -> list[tuple[int, ...]]:
    """A row for each number of each entry; their ids, in order."""
    rows = [
        shared | _row_of(number)
        for entry, picture in entries
        for shared in [_shared(entry.provenance, picture) | {"at": at}]
        for number in entry.numbers
    ]
    adding = insert(readings).returning(readings.c.id, sort_by_parameter_order=True)
    added = iter(connection.scalars(adding, rows).all() if rows else ())
    return [tuple(islice(added, len(entry.numbers))) for entry, _ in entries]


def _shared(provenance: Provenance, picture: Picture | None) -> dict[str, Any]:
    """What the rows of one page have in common."""
    return {
        "input": picture.sha256 if picture else None,
        "kind": provenance.kind,
        "source": provenance.source,
        "model": provenance.model,
        "model_digest": provenance.model_digest,
        "request_id": provenance.request_id,
    }


def _row_of(number: Number) -> dict[str, Any]:
    return {
        "page": number.page,
        "outcome": number.outcome.value,
        "text": number.text,
        "raw": number.raw,
        "confidence": number.confidence,
        "box": number.box.as_list() if number.box else None,
        "digits": [_digit_row(digit) for digit in number.digits],
        "alternatives": [list(other) for other in number.alternatives],
    }


def _digit_row(digit: Digit) -> dict[str, Any]:
    return {
        "outcome": digit.outcome.value,
        "value": digit.value,
        "confidence": round(digit.confidence, 6),
        "probabilities": [round(share, 6) for share in digit.probabilities],
        "box": digit.box.as_list() if digit.box else None,
    }


def get_reading(connection: Connection, reading: int) -> Reading:
    """One reading.

    Raises:
        NotInStore: no such reading.
    """
    row = connection.execute(_selected().where(readings.c.id == reading)).one_or_none()
    if row is None:
        raise _no_reading(reading)
    return _reading_of(row)


def list_readings(connection: Connection, filter: Filter, *, after: int | None, limit: int) -> Page:  # noqa: A002
    """The newest readings before `after`; `Page.after` is None when these are the last."""
    limit = max(1, min(limit, LARGEST_PAGE))
    query = _selected().where(meant(filter)).order_by(readings.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(readings.c.id < after)
    found = [_reading_of(row) for row in connection.execute(query)]
    more = len(found) > limit
    return Page(tuple(found[:limit]), after=found[limit - 1].id if more else None)


def meant(filter: Filter) -> ColumnElement[bool]:  # noqa: A002
    """The condition that a filter states."""
    asked = {
        readings.c.outcome: filter.outcome and filter.outcome.value,
        readings.c.model: filter.model,
    }
    conditions = [column == value for column, value in asked.items() if value is not None]
    if filter.since is not None:
        conditions.append(readings.c.at >= filter.since)
    if filter.until is not None:
        conditions.append(readings.c.at < filter.until)
    if filter.corrected is not None:
        conditions.append(decided() if filter.corrected else ~decided())
    if filter.ids is not None:
        conditions.append(readings.c.id.in_(filter.ids))
    if filter.contains:
        conditions.append(_text_now().contains(filter.contains, autoescape=True))
    return and_(True, *conditions)


def _text_now() -> ColumnElement[str]:
    said = corrections.alias("holding")
    text = select(said.c.text).where(said.c.id == ruling()).correlate(readings).scalar_subquery()
    return case((decided(), text), else_=readings.c.text)


@cache
def _selected() -> Select[Any]:
    """Every column of a reading, and what people say of it; made once, since to make it takes longer than to ask it."""
    said = corrections.alias("holding")
    return (
        select(readings, said.c.text.label("said"), said.c.outcome.label("said_outcome"), disputed().label("disputed"))
        .select_from(readings)
        .outerjoin(said, said.c.id == ruling())
    )


def _reading_of(row: Any) -> Reading:
    return Reading(
        id=row.id,
        number=_number_of(row),
        provenance=Provenance(row.source, row.model, row.model_digest, row.request_id, row.kind),
        at=row.at,
        picture=row.input,
        truth=None if row.said is None else Truth(row.said, Outcome(row.said_outcome)),
        disputed=bool(row.disputed),
    )


def _number_of(row: Any) -> Number:
    return Number(
        outcome=Outcome(row.outcome),
        text=row.text,
        confidence=row.confidence,
        digits=tuple(map(Digit.of, row.digits)),
        alternatives=tuple((text, confidence) for text, confidence in row.alternatives),
        raw=row.raw,
        box=Box.of(row.box),
        page=row.page,
    )


def require_reading(connection: Connection, reading: int) -> None:
    """Nothing, if a reading is there.

    Raises:
        NotInStore: no such reading.
    """
    if not connection.scalar(select(exists().where(readings.c.id == reading))):
        raise _no_reading(reading)


def _no_reading(reading: int) -> NotInStore:
    return NotInStore(f"no reading {reading}; it never was, or has been deleted")


def get_corrections(connection: Connection, condition: ColumnElement[bool]) -> tuple[Correction, ...]:
    """The corrections for which a condition holds, oldest first."""
    return tuple(_correction_of(row) for row in connection.execute(_selected_corrections().where(condition)))


@cache
def _selected_corrections() -> Select[Any]:
    """Every column of a correction, with what it corrects, and whether it was undone."""
    return (
        select(
            corrections,
            readings.c.text.label("raw"),
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


def _correction_of(row: Any) -> Correction:
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
    """How many readings there are."""
    return connection.scalar(select(func.count()).select_from(readings)) or 0
