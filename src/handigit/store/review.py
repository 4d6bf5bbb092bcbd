"""Review: who is shown what, what they decide, and what remains to be seen.

It knows the queue and the leases. Everything here runs inside a writing transaction, of which there is one at a time;
that is why two reviewers cannot be given the same item.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, insert, select

from handigit.records import Number, Outcome
from handigit.store.errors import KeyReused, LeaseLost, NotInStore
from handigit.store.readings import disputed, get_corrections, get_reading, is_opinion, require_reading, stands
from handigit.store.tables import UtcMicros, corrections, leases, queue, readings, undos
from handigit.store.types import Correction, Lease, Policy, Purpose, Truth, Waiting


@dataclass(frozen=True, slots=True)
class Opinions:
    """What is said of a reading: by how many, whether a runner-up is said as often, whether as part of the control."""

    count: int = 0
    disputed: bool = False
    controlled: bool = False


@dataclass(frozen=True, slots=True)
class ReviewNeed:
    """That a reading is to be seen by a person: why, and how much it is worth (0..1) among those of its purpose."""

    purpose: Purpose
    worth: float


NOTHING_SAID = Opinions()


def review_need(
    reading: int, outcome: Outcome, margin: float, *, policy: Policy, said: Opinions = NOTHING_SAID
) -> ReviewNeed | None:
    """What a reading still needs of a person; None for nothing.

    `margin`: by how much the best answer is likelier than the second. A control stays wanted when somebody has
    corrected it of their own accord: else the errors that somebody noticed would be missing from the measure.
    """
    worth = 1 - margin
    control = outcome is Outcome.READ and hash01(policy, "control", reading) < policy.control_share
    if said.disputed:
        return ReviewNeed(Purpose.THIRD, worth)
    if control and not said.controlled:
        # Of the sample any order will do that says nothing of how sure the reader was.
        return ReviewNeed(Purpose.CONTROL, hash01(policy, "order", reading))
    if said.count == 0:
        return ReviewNeed(Purpose.DOUBT, worth) if outcome is Outcome.DOUBT else None
    if said.count == 1 and (control or outcome is Outcome.DOUBT):
        twice = hash01(policy, "second", reading) < policy.second_share
        return ReviewNeed(Purpose.SECOND, worth) if twice else None
    return None


def hash01(policy: Policy, what: str, number: int) -> float:
    """A share in 0..1 that looks random and is always the same for the same seed, purpose and number."""
    digest = hashlib.blake2b(f"{policy.seed}:{what}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def enqueue(connection: Connection, numbers: Mapping[int, Number], *, policy: Policy) -> None:
    """Queue what a person is to see of readings that have just come, by their ids."""
    wanted = {
        reading: review_need(reading, number.outcome, _margin(number.confidence, number.alternatives), policy=policy)
        for reading, number in numbers.items()
    }
    rows = [{"reading": reading, "purpose": one.purpose, "worth": one.worth} for reading, one in wanted.items() if one]
    if rows:
        connection.execute(insert(queue), rows)


def requeue(connection: Connection, reading: int, *, policy: Policy) -> None:
    """Bring the queue up to what people say of a reading by now."""
    row = connection.execute(_state().where(readings.c.id == reading)).one()
    said = Opinions(row.opinions, bool(row.disputed), bool(row.controlled))
    margin = _margin(row.confidence, row.alternatives)
    wanted = review_need(reading, Outcome(row.outcome), margin, policy=policy, said=said)
    connection.execute(delete(queue).where(queue.c.reading == reading))
    if wanted:
        connection.execute(insert(queue).values(reading=reading, purpose=wanted.purpose, worth=wanted.worth))


@cache
def _state() -> Select[Any]:
    said, seen = corrections.alias("state_said"), corrections.alias("seen")
    opinions = select(func.count()).where(said.c.reading == readings.c.id, is_opinion(said)).scalar_subquery()
    controlled = (
        exists()
        .where(seen.c.reading == readings.c.id, stands(seen))
        .where(seen.c.lease == leases.c.id, leases.c.purpose == Purpose.CONTROL)
    )
    columns = (readings.c.outcome, readings.c.confidence, readings.c.alternatives)
    return select(
        *columns, opinions.label("opinions"), disputed().label("disputed"), controlled.label("controlled")
    ).select_from(readings)


def _margin(confidence: float, alternatives: Sequence[Sequence[Any]]) -> float:
    """How much likelier the best answer is than the second (Scheffer et al. 2001), 0..1."""
    second = max((share for _, share in alternatives), default=0.0)
    return max(0.0, min(1.0, confidence - second))


def take(connection: Connection, reviewer: str, *, policy: Policy, now: datetime) -> Lease | None:
    """Lease the next item to a reviewer; None if nothing is free for them."""
    newest = connection.scalar(select(func.max(leases.c.id))) or 0
    control_first = hash01(policy, "turn", newest) < policy.control_turn
    found = next((row for purpose in _order(control_first) if (row := _best(connection, purpose, reviewer, now))), None)
    if found is None:
        return None
    until = now + timedelta(seconds=policy.lease_seconds)
    return _hold(connection, found, reviewer, at=now, until=until)


def renew(connection: Connection, lease: int, *, by: str, policy: Policy, now: datetime) -> Lease:
    """Hold once more, and for the same purpose, what this reviewer was given before.

    Raises:
        NotInStore: no such lease of this reviewer.
        LeaseLost: another reviewer has it.
    """
    row = _lease(connection, lease, by)
    _check_lease(connection, lease, row.reading, by=by, now=now)
    return _hold(connection, row, by, at=now, until=now + timedelta(seconds=policy.lease_seconds))


def _hold(connection: Connection, row: Any, reviewer: str, *, at: datetime, until: datetime) -> Lease:
    """Lease what a row of the queue, or of an earlier lease, is about."""
    purpose = Purpose(row.purpose)
    lease = _append(connection, row.reading, reviewer, purpose=purpose, at=at, until=until)
    return Lease(lease, get_reading(connection, row.reading), reviewer, purpose, until)


def _order(control_first: bool) -> tuple[Purpose, ...]:
    rest = (Purpose.SECOND, Purpose.DOUBT)
    return (Purpose.THIRD, Purpose.CONTROL, *rest) if control_first else (Purpose.THIRD, *rest, Purpose.CONTROL)


def _best(connection: Connection, purpose: Purpose, reviewer: str, now: datetime) -> Any:
    """The item of most worth that nobody holds and that this reviewer has not decided; None if there is none."""
    return connection.execute(_free(purpose), {"reviewer": reviewer, "now": now}).one_or_none()


@cache
def _free(purpose: Purpose) -> Select[Any]:
    query = select(queue).where(queue.c.purpose == purpose, ~_held(queue.c.reading))
    if purpose is not Purpose.CONTROL:  # what is wanted as control has not been decided as control by anybody
        said = corrections.c
        own = exists().where(said.reading == queue.c.reading, said.by == bindparam("reviewer"), stands(corrections))
        query = query.where(~own)
    return query.order_by(queue.c.worth.desc(), queue.c.reading.desc()).limit(1)


def _held(reading: ColumnElement[int]) -> ColumnElement[bool]:
    """Some lease of a reading is in force at `:now`: the last one rules, and it ends at its `until`."""
    lease, later = leases.alias("lease"), leases.alias("later_lease")
    overruled = exists().where(later.c.reading == lease.c.reading, later.c.id > lease.c.id)
    return exists().where(lease.c.reading == reading, lease.c.until > bindparam("now", type_=UtcMicros), ~overruled)


def _append(
    connection: Connection, reading: int, reviewer: str, *, purpose: Purpose, at: datetime, until: datetime
) -> int:
    values = {"reading": reading, "reviewer": reviewer, "purpose": purpose, "at": at, "until": until}
    return int(connection.execute(insert(leases).values(**values).returning(leases.c.id)).scalar_one())


def give_back(connection: Connection, lease: int, *, by: str, now: datetime) -> None:
    """End a reviewer's lease, by a later row that is over at once; one that is over already stays so.

    Raises:
        NotInStore: no such lease of this reviewer.
    """
    row = _lease(connection, lease, by)
    last = connection.execute(_last_lease(row.reading)).one()
    if last.id == lease and last.until > now:
        _append(connection, row.reading, by, purpose=Purpose(row.purpose), at=now, until=now)


def _lease(connection: Connection, lease: int, by: str) -> Any:
    row = connection.execute(select(leases).where(leases.c.id == lease, leases.c.reviewer == by)).one_or_none()
    if row is None:
        raise NotInStore(f"{by} has no lease {lease}; take the next item")
    return row


def _last_lease(reading: int) -> Any:
    return select(leases).where(leases.c.reading == reading).order_by(leases.c.id.desc()).limit(1)


def record(
    connection: Connection, reading: int, truth: Truth, *, by: str, key: str, lease: int | None, now: datetime
) -> tuple[Correction, bool]:
    """Append what somebody says; the correction, and whether it is new: a key lands once.

    Raises:
        NotInStore, KeyReused, LeaseLost: as `Store.decide`.
    """
    known = get_corrections(connection, (corrections.c.by == by) & (corrections.c.key == key))
    if known:
        return _same(known[0], reading, truth), False
    require_reading(connection, reading)
    if lease is not None:
        _check_lease(connection, lease, reading, by=by, now=now)
        give_back(connection, lease, by=by, now=now)
    values = {"reading": reading, "lease": lease, "outcome": truth.outcome.value, "text": truth.text}
    adding = insert(corrections).values(**values, by=by, key=key, at=now).returning(corrections.c.id)
    number = connection.execute(adding).scalar_one()
    return get_corrections(connection, corrections.c.id == number)[0], True


def _same(known: Correction, reading: int, truth: Truth) -> Correction:
    if (known.reading, known.truth) != (reading, truth):
        raise KeyReused(
            f"key {known.key[:40]!r} stands for another decision, of reading {known.reading}; "
            "take a new key for each decision and the same one only to retry it"
        )
    return known


def _check_lease(connection: Connection, lease: int, reading: int, *, by: str, now: datetime) -> None:
    row = _lease(connection, lease, by)
    if row.reading != reading:
        raise LeaseLost(f"lease {lease} is of reading {row.reading}, not of {reading}; decide what was leased")
    last = connection.execute(_last_lease(reading)).one()
    if last.reviewer != by and last.until > now:
        raise LeaseLost(f"the lease of reading {reading} is over and another reviewer has it; take the next item")


def take_back(connection: Connection, correction: int, *, by: str, now: datetime) -> Correction:
    """Append that a correction does not count; done twice it is done once.

    Raises:
        NotInStore: no such correction.
    """
    if not get_corrections(connection, corrections.c.id == correction):
        raise NotInStore(f"no correction {correction}; its reading may have been deleted")
    if not connection.scalar(select(exists().where(undos.c.correction == correction))):
        connection.execute(insert(undos).values(correction=correction, by=by, at=now))
    return get_corrections(connection, corrections.c.id == correction)[0]


def count_waiting(connection: Connection, now: datetime) -> Waiting:
    """How much is queued, by purpose, and how much of it is held."""
    counted = connection.execute(select(queue.c.purpose, func.count()).group_by(queue.c.purpose))
    counts = {row[0]: row[1] for row in counted}
    holding = select(func.count()).select_from(queue).where(_held(queue.c.reading))
    return Waiting(
        doubts=counts.get(Purpose.DOUBT, 0),
        controls=counts.get(Purpose.CONTROL, 0),
        seconds=counts.get(Purpose.SECOND, 0),
        thirds=counts.get(Purpose.THIRD, 0),
        held=connection.scalar(holding, {"now": now}) or 0,
    )
