"""The store's value types, frozen and without I/O. Every datetime is aware and in UTC."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from handigit.records import Number, Outcome
from handigit.store.truth import Truth, canonical_of


class Purpose(StrEnum):
    """Why a reading is shown to a reviewer."""

    DOUBT = "doubt"
    """The reader was unsure."""
    CONTROL = "control"
    """The reader was sure; part of the random sample that measures how often it is wrong."""
    SECOND = "second"
    """Part of the random sample that two reviewers decide independently."""
    THIRD = "third"
    """Two people decided differently."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much people review.

    Args:
        control_share: Fraction of `read` readings in the control sample.
        control_turn: Fraction of leases that are taken from the control sample first.
        second_share: Fraction of decided items that a second reviewer sees.
        lease_seconds: Duration of a lease.
        seed: Seed of the samples; they follow from it and a reading's id, so no one chooses them.
    """

    control_share: float = 0.02
    control_turn: float = 0.1
    second_share: float = 0.05
    lease_seconds: float = 300
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of readings: the source's name (text that is never opened), the model, and the request."""

    source: str
    model: str
    model_digest: str
    request_id: str = ""
    kind: Literal["digit", "number"] = "number"


@dataclass(frozen=True, slots=True)
class Reading:
    """One number as it was read, with the answer of people since.

    `number` is the reader's result and never changes. `truth` is the answer of most people (in a tie: the latest); None
    without one. `disputed`: another answer has as many votes. `picture` is the SHA-256 of the
    page, `place` the number's position on it in reading order, from 1.
    """

    id: int
    number: Number
    provenance: Provenance
    at: datetime
    picture: str | None = None
    truth: Truth | None = None
    disputed: bool = False
    place: int = 1
    corrected_by: str | None = None
    """The reviewer who gave `truth` last."""

    @property
    def outcome(self) -> Outcome:
        """The current outcome: a person's before the reader's."""
        return self.truth.outcome if self.truth else self.number.outcome

    @property
    def text(self) -> str:
        """The digits of the current number: a person's before the reader's."""
        return self.truth.digits if self.truth else self.number.text

    @property
    def raw(self) -> str:
        """The current number as it is written: a person's text before the reader's."""
        return self.truth.text if self.truth else self.number.raw

    @property
    def value(self) -> Decimal | date | None:
        """The current value: a person's before the reader's; None where it is not decidable."""
        return self.truth.value if self.truth else self.number.value

    @property
    def corrected(self) -> bool:
        """Whether people gave another number than the reader."""
        return self.truth is not None and self.truth.canonical != canonical_of(self.number)

    def as_dict(self) -> dict[str, Any]:
        """The number's JSON with `id`, `at`, `picture`, `request_id`, `truth` and `disputed`.

        `outcome`, `raw`, `text` and `value` are the reader's; `truth` is null or has those of people.
        """
        return {
            "id": self.id,
            "at": self.at.isoformat(timespec="milliseconds"),
            **self.number.as_dict(source=self.provenance.source, model=self.provenance.model),
            "place": self.place,
            "kind": self.provenance.kind,
            "model_digest": self.provenance.model_digest,
            "request_id": self.provenance.request_id,
            "picture": self.picture,
            "truth": self.truth.to_json() if self.truth else None,
            "disputed": self.disputed,
        }


@dataclass(frozen=True, slots=True)
class Correction:
    """One person's decision on one reading; it stays in the history when it is undone.

    `raw` is the reader's text, `model` the model that read it. `purpose` is that of the lease under which it
    was decided; None without a lease. `undone_by` and `undone_at` are None while it is active.
    """

    id: int
    reading: int
    raw: str
    truth: Truth
    by: str
    at: datetime
    model: str
    model_digest: str
    key: str
    purpose: Purpose | None = None
    undone_by: str | None = None
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A reading that one reviewer holds until `until`; no one else is given it before."""

    id: int
    reading: Reading
    reviewer: str
    purpose: Purpose
    until: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """A selection of readings; every field that is not None must hold.

    `outcome` is the reader's. `contains` is searched for in the current number, `source` in the source's name.
    `corrected`: whether people have decided. `since` is inclusive, `until` exclusive. `ids`: only these.
    """

    outcome: Outcome | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str | None = None
    corrected: bool | None = None
    ids: tuple[int, ...] | None = None
    source: str | None = None


Order = Literal["newest", "oldest", "confidence", "source"]
"""Orders of a list: by id, least confident first, or by file name."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some readings in the requested order; `after` continues the list, None at its end."""

    readings: tuple[Reading, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """How much was deleted."""

    readings: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Items in the review queue by purpose, and how many of all are leased at this moment."""

    doubts: int
    controls: int
    seconds: int
    thirds: int
    held: int
