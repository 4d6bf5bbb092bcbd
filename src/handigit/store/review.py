"""Review: the next reading for a reviewer, their decisions, and the rest of the queue.

Everything here runs inside a writing transaction. There is one at a time, so two reviewers cannot get the same item.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, insert, select

from handigit.records import Outcome
from handigit.store.column_types import CLOCK_SKEW, UtcMicros
from handigit.store.errors import KeyReused, LeaseLost, NotInStore
from handigit.store.readings import get_corrections, get_reading, is_active, is_disputed, is_opinion, require_reading
from handigit.store.review_need import Opinions, hash01, margin_of, review_need
from handigit.store.tables import corrections, leases, queue, readings, undos
from handigit.store.truth import Truth
from handigit.store.types import Correction, Lease, Policy, Purpose, Waiting


def requeue(connection: Connection, reading: int, *, policy: Policy) -> None:
    """Update the queue after the opinions of a reading have changed."""
    row = connection.execute(_select_state().where(readings.c.id == reading)).one()
    opinions = Opinions(row.opinions, bool(row.disputed), bool(row.controlled))
    margin = margin_of(row.confidence, row.alternatives)
    need = review_need(reading, Outcome(row.outcome), margin, policy=policy, opinions=opinions)
    connection.execute(delete(queue).where(queue.c.reading == reading))
    if need:
        connection.execute(insert(queue).values(reading=reading, purpose=need.purpose, worth=need.priority))


@cache
def _select_state() -> Select[Any]:
    opinion, control = corrections.alias("state_opinion"), corrections.alias("state_control")
    count = select(func.count()).where(opinion.c.reading == readings.c.id, is_opinion(opinion)).scalar_subquery()
    controlled = (
        exists()
        .where(control.c.reading == readings.c.id, is_active(control))
        .where(control.c.lease == leases.c.id, leases.c.purpose == Purpose.CONTROL)
    )
    columns = (readings.c.outcome, readings.c.confidence, readings.c.alternatives)
    return select(
        *columns, count.label("opinions"), is_disputed().label("disputed"), controlled.label("controlled")
    ).select_from(readings)


def take(connection: Connection, reviewer: str, *, policy: Policy, now: datetime) -> Lease | None:
    """Lease the next item to a reviewer; None if nothing is available to them."""
    newest = connection.scalar(select(func.max(leases.c.id))) or 0
    control_first = hash01(policy, "turn", newest) < policy.control_turn
    rest = (Purpose.SECOND, Purpose.DOUBT)
    order = (Purpose.CONTROL, *rest) if control_first else (*rest, Purpose.CONTROL)
    for purpose in (Purpose.THIRD, *order):
        row = connection.execute(_select_free(purpose), _at(now) | {"reviewer": reviewer}).one_or_none()
        if row is not None:
            return _lease_item(connection, row, reviewer, policy=policy, now=now)
    return None


def renew(connection: Connection, lease: int, *, by: str, policy: Policy, now: datetime) -> Lease:
    """Lease an item again, for the same purpose, to the reviewer who held it before.

    Raises:
        NotInStore: no such lease of this reviewer.
        LeaseLost: another reviewer holds the item.
    """
    row = _get_lease(connection, lease, by)
    _check_lease(connection, lease, row.reading, by=by, now=now)
    return _lease_item(connection, row, by, policy=policy, now=now)


def _lease_item(connection: Connection, row: Any, reviewer: str, *, policy: Policy, now: datetime) -> Lease:
    """Lease the reading of a row of the queue or of an earlier lease."""
    purpose, until = Purpose(row.purpose), now + timedelta(seconds=policy.lease_seconds)
    lease = _add_lease(connection, row.reading, reviewer, purpose=purpose, at=now, until=until)
    return Lease(lease, get_reading(connection, row.reading), reviewer, purpose, until)


@cache
def _select_free(purpose: Purpose) -> Select[Any]:
    """The item of the highest priority that no one holds and that `:reviewer` has not decided."""
    query = select(queue).where(queue.c.purpose == purpose, ~_is_leased(queue.c.reading))
    if purpose is not Purpose.CONTROL:  # an item that waits as control has not been decided as control by anyone
        own = exists().where(
            corrections.c.reading == queue.c.reading,
            corrections.c.by == bindparam("reviewer"),
            is_active(corrections),
        )
        query = query.where(~own)
    return query.order_by(queue.c.worth.desc(), queue.c.reading.desc()).limit(1)


def _is_leased(reading: ColumnElement[int]) -> ColumnElement[bool]:
    """The last lease of a reading is in force at `:now`; only the last one counts."""
    lease, later = leases.alias("lease"), leases.alias("later_lease")
    overruled = exists().where(later.c.reading == lease.c.reading, later.c.id > lease.c.id)
    in_force = lease.c.until > bindparam("now", type_=UtcMicros), lease.c.at <= bindparam("soon", type_=UtcMicros)
    return exists().where(lease.c.reading == reading, *in_force, ~overruled)


def _at(now: datetime) -> dict[str, Any]:
    """The parameters of `_is_leased`."""
    return {"now": now, "soon": now + CLOCK_SKEW}


def _is_in_force(lease: Any, now: datetime) -> bool:
    """As `_is_leased`, of the last lease of a reading."""
    return bool(lease.until > now and lease.at <= now + CLOCK_SKEW)


def _add_lease(
    connection: Connection, reading: int, reviewer: str, *, purpose: Purpose, at: datetime, until: datetime
) -> int:
    values = {"reading": reading, "reviewer": reviewer, "purpose": purpose, "at": at, "until": until}
    return int(connection.execute(insert(leases).values(**values).returning(leases.c.id)).scalar_one())


def release(connection: Connection, lease: int, *, by: str, now: datetime) -> None:
    """End a lease by adding one that is over at once; a lease that has ended already is left alone.

    Raises:
        NotInStore: no such lease of this reviewer.
    """
    row = _get_lease(connection, lease, by)
    last = connection.execute(_select_last_lease(row.reading)).one()
    if last.id == lease and _is_in_force(last, now):
        _add_lease(connection, row.reading, by, purpose=Purpose(row.purpose), at=now, until=now)


def _get_lease(connection: Connection, lease: int, by: str) -> Any:
    row = connection.execute(select(leases).where(leases.c.id == lease, leases.c.reviewer == by)).one_or_none()
    if row is None:
        raise NotInStore(f"{by} has no lease {lease}; take the next item")
    return row


def _select_last_lease(reading: int) -> Any:
    return select(leases).where(leases.c.reading == reading).order_by(leases.c.id.desc()).limit(1)


def record(
    connection: Connection, reading: int, truth: Truth, *, by: str, key: str, lease: int | None, now: datetime
) -> tuple[Correction, bool]:
    """Add a correction; returns it and whether it is new, because the same key is recorded once.

    Raises:
        NotInStore, KeyReused, LeaseLost: as `Store.decide`.
    """
    known = get_corrections(connection, (corrections.c.by == by) & (corrections.c.key == key))
    if known:
        return _require_same(known[0], reading, truth), False
    require_reading(connection, reading)
    if lease is not None:
        _check_lease(connection, lease, reading, by=by, now=now)
        release(connection, lease, by=by, now=now)
    values = {
        "reading": reading,
        "lease": lease,
        "outcome": truth.outcome.value,
        "text": truth.text,
        "value": None if truth.value is None else str(truth.value),
        "canonical": truth.canonical,
    }
    statement = insert(corrections).values(**values, by=by, key=key, at=now).returning(corrections.c.id)
    correction = connection.execute(statement).scalar_one()
    return get_corrections(connection, corrections.c.id == correction)[0], True


def _require_same(known: Correction, reading: int, truth: Truth) -> Correction:
    if (known.reading, known.truth) != (reading, truth):
        raise KeyReused(
            f"key {known.key[:40]!r} was used for another decision, of reading {known.reading}; "
            "use a new key for each decision and the same one only to retry it"
        )
    return known


def _check_lease(connection: Connection, lease: int, reading: int, *, by: str, now: datetime) -> None:
    row = _get_lease(connection, lease, by)
    if row.reading != reading:
        raise LeaseLost(f"lease {lease} is for reading {row.reading}, not for {reading}; decide the leased one")
    last = connection.execute(_select_last_lease(reading)).one()
    if last.reviewer != by and _is_in_force(last, now):
        raise LeaseLost(
            f"the lease of reading {reading} has ended and another reviewer has the item; take the next one"
        )


def undo(connection: Connection, correction: int, *, by: str, now: datetime) -> Correction:
    """Mark a correction as undone; a second time changes nothing.

    Raises:
        NotInStore: no such correction.
    """
    if not get_corrections(connection, corrections.c.id == correction):
        raise NotInStore(f"no correction {correction}; its reading may have been deleted")
    if not connection.scalar(select(exists().where(undos.c.correction == correction))):
        connection.execute(insert(undos).values(correction=correction, by=by, at=now))
    return get_corrections(connection, corrections.c.id == correction)[0]


def count_waiting(connection: Connection, now: datetime) -> Waiting:
    """Queued items by purpose, and how many are leased."""
    rows = connection.execute(select(queue.c.purpose, func.count()).group_by(queue.c.purpose))
    counts = {row[0]: row[1] for row in rows}
    leased = select(func.count()).select_from(queue).where(_is_leased(queue.c.reading))
    return Waiting(
        doubts=counts.get(Purpose.DOUBT, 0),
        controls=counts.get(Purpose.CONTROL, 0),
        seconds=counts.get(Purpose.SECOND, 0),
        thirds=counts.get(Purpose.THIRD, 0),
        held=connection.scalar(leased, _at(now)) or 0,
    )
