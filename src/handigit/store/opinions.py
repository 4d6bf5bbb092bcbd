"""What people say of readings, as queries: who still says what, and what most say.

It knows SQL expressions only, and runs none.

A person's *opinion* of a reading is their last correction of it that is not undone. The *ruling* is what most opinions
say; of equally many, what was said last. A reading is *disputed* while something else is said as often.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, exists, func, select

from handigit.store.tables import corrections, readings, undos


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
