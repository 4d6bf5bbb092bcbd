"""What goes into the store and what comes out of it, frozen, without I/O.

They know nothing of tables. Every moment is an aware datetime in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from handigit.records import Number, Outcome
from handigit.store.errors import BadTruth

LONGEST_NUMBER = 64
"""Digits that a corrected number may have."""


class Purpose(StrEnum):
    """Why a reading is shown to a reviewer."""

    DOUBT = "doubt"
    """The reader was not sure of it."""
    CONTROL = "control"
    """The reader was sure; it is one of the random sample that measures how often it is wrong."""
    SECOND = "second"
    """One of the random sample that two reviewers decide without knowing of each other."""
    THIRD = "third"
    """Two people have decided differently."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much of the work people see.

    `control_share` of what was `read` is queued as control sample and every `control_turn`-th lease or so is taken
    from it; `second_share` of what is queued is shown to two reviewers. The samples follow from `seed` and a reading's
    number alone, so that nobody chooses them.
    """

    control_share: float = 0.02
    control_turn: float = 0.1
    second_share: float = 0.05
    lease_seconds: float = 300
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where readings came from: the source's name (text only, never opened), the model and the request."""

    source: str
    model: str
    model_digest: str
    request_id: str = ""
    kind: Literal["digit", "number"] = "number"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a person says stands there: digits (`read`), or that there is no number (`blank`, `not_a_number`).

    Raises:
        BadTruth: text that is not of 1 to 64 digits, or text where there is said to be no number.
    """

    text: str = ""
    outcome: Outcome = Outcome.READ

    def __post_init__(self) -> None:
        if self.outcome is Outcome.DOUBT:
            raise BadTruth("a correction cannot be a doubt; say what stands there, or skip it")
        if self.outcome is not Outcome.READ and self.text:
            raise BadTruth(f"{self.outcome} says that there is no number, so its text must be empty")
        digits = self.text.isascii() and self.text.isdigit() and len(self.text) <= LONGEST_NUMBER
        if self.outcome is Outcome.READ and not digits:
            shown = self.text[:LONGEST_NUMBER]
            raise BadTruth(f"{shown!r} is not a number of 1 to {LONGEST_NUMBER} digits; write its digits only")


@dataclass(frozen=True, slots=True)
class Reading:
    """One number as it was read, and what people have said of it since.

    `number` is the reader's answer and never changes. `truth` is what most people say (of equally many: the last);
    None while nobody has said anything. `disputed`: as many say otherwise. `picture` is the SHA-256 of the page.
    """

    id: int
    number: Number
    provenance: Provenance
    at: datetime
    picture: str | None = None
    truth: Truth | None = None
    disputed: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome as of now: a person's word before the reader's."""
        return self.truth.outcome if self.truth else self.number.outcome

    @property
    def text(self) -> str:
        """The number as of now: a person's word before the reader's."""
        return self.truth.text if self.truth else self.number.text

    @property
    def corrected(self) -> bool:
        """Whether people say something else than the reader said."""
        return self.truth is not None and self.truth.text != self.number.text

    def as_dict(self) -> dict[str, Any]:
        """The answer's JSON as everywhere, with `id`, `at`, `picture`, `request_id`, `corrected_text` and `disputed`.

        `outcome` and `text` stay the reader's; `truth` is null, or `{"text", "outcome"}`.
        """
        answer = self.number.as_dict(source=self.provenance.source, model=self.provenance.model)
        truth = {"text": self.truth.text, "outcome": self.truth.outcome.value} if self.truth else None
        return {
            "id": self.id,
            "at": self.at.isoformat(timespec="milliseconds"),
            **answer,
            "kind": self.provenance.kind,
            "model_digest": self.provenance.model_digest,
            "request_id": self.provenance.request_id,
            "picture": self.picture,
            "truth": truth,
            "disputed": self.disputed,
        }


@dataclass(frozen=True, slots=True)
class Correction:
    """What one person said of one reading, once; it stays when it is undone.

    `raw` is what the reader had said, `model` who that was. `purpose` is that of the lease under which it was
    decided, None where nobody had leased it. `undone_by` and `undone_at` are None while it counts.
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
    """A reading that one reviewer holds until a moment; nobody else is given it before."""

    id: int
    reading: Reading
    reviewer: str
    purpose: Purpose
    until: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which readings are meant; what is None does not narrow. All that is given must hold.

    `outcome` is the reader's; `contains` is looked for in the text as of now; `corrected` is whether people have
    decided (any way); `since` is inside, `until` just outside; `ids` are the only ones that may be meant.
    """

    outcome: Outcome | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str | None = None
    corrected: bool | None = None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some readings, newest first; `after` continues the list, None at its end."""

    readings: tuple[Reading, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What has gone for good."""

    readings: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in the review queue: how many of each purpose, and how many of all are held at this moment."""

    doubts: int
    controls: int
    seconds: int
    thirds: int
    held: int
