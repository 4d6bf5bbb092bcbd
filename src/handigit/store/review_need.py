"""The readings that people should see: doubts, random samples, and disagreements."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from handigit.records import Number, Outcome
from handigit.store.tables import queue
from handigit.store.types import Policy, Purpose


@dataclass(frozen=True, slots=True)
class Opinions:
    """Opinions of a reading: their number, whether two answers tie, and whether one is from the control sample."""

    count: int = 0
    disputed: bool = False
    controlled: bool = False


@dataclass(frozen=True, slots=True)
class ReviewNeed:
    """Why a reading needs review, and its priority (0..1) among those of the same purpose."""

    purpose: Purpose
    priority: float


NO_OPINIONS = Opinions()


def review_need(
    reading: int, outcome: Outcome, margin: float, *, policy: Policy, opinions: Opinions = NO_OPINIONS
) -> ReviewNeed | None:
    """The review that a reading still needs, if any.

    `margin`: how much likelier the best alternative is than the second. A control item stays in the sample when
    someone corrects it on their own initiative: otherwise errors that people notice would be missing from the
    measurement.
    """
    priority = 1 - margin
    in_control = outcome is Outcome.READ and hash01(policy, "control", reading) < policy.control_share
    if opinions.disputed:
        return ReviewNeed(Purpose.THIRD, priority)
    if in_control and not opinions.controlled:
        # Any order will do for the sample as long as it does not depend on the reader's confidence.
        return ReviewNeed(Purpose.CONTROL, hash01(policy, "order", reading))
    if opinions.count == 0:
        return ReviewNeed(Purpose.DOUBT, priority) if outcome is Outcome.DOUBT else None
    if opinions.count == 1 and (in_control or outcome is Outcome.DOUBT):
        seen_twice = hash01(policy, "second", reading) < policy.second_share
        return ReviewNeed(Purpose.SECOND, priority) if seen_twice else None
    return None


def hash01(policy: Policy, what: str, number: int) -> float:
    """A pseudorandom number in 0..1, always the same for the same seed, subject and number."""
    digest = hashlib.blake2b(f"{policy.seed}:{what}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def enqueue(connection: Connection, numbers: Mapping[int, Number], *, policy: Policy) -> None:
    """Queue those new readings, given by id, that need review."""
    needs = {
        reading: review_need(reading, number.outcome, margin_of(number.confidence, number.alternatives), policy=policy)
        for reading, number in numbers.items()
    }
    rows = [
        {"reading": reading, "purpose": need.purpose, "worth": need.priority} for reading, need in needs.items() if need
    ]
    if rows:
        connection.execute(insert(queue), rows)


def margin_of(confidence: float, alternatives: Sequence[Sequence[Any]]) -> float:
    """How much likelier the best alternative is than the second (Scheffer et al. 2001), 0..1."""
    second = max((probability for _, probability in alternatives), default=0.0)
    return max(0.0, min(1.0, confidence - second))
