"""What several addresses take: numbers of things in the store, moments, filters, keys that make a retry harmless.

It knows which values make sense, so that what reaches the store does.
"""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handigit.records import Outcome
from handigit.store import Filter, Store, Truth
from handigit.web.problems import INVALID, UNAVAILABLE, Problem

_LARGEST: Final = 2**63 - 1
Number = Annotated[int, Path(ge=1, le=_LARGEST, description="The number it was given by the store")]
After = Annotated[int | None, Query(ge=1, le=_LARGEST, description="The `after` of the answer before")]
Several = Annotated[list[int], Query(min_length=1, max_length=1000, description="Readings by their numbers")]
_KEY: Final = r"^[A-Za-z0-9._-]{1,64}$"
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=_KEY, description="Sent again with the same key, it lands once"),
]
_TEXT: Final = r"^[^\x00-\x1f]*$"


class Said(BaseModel):
    """What a person says stands there."""

    text: str = Field(default="", max_length=64, description="The digits; empty where there is no number")
    outcome: Outcome = Field(default=Outcome.READ, description="read, or why there is no number")
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "0715", "outcome": "read"}]})

    def as_truth(self) -> Truth:
        """The store's noun.

        Raises:
            BadTruth: no number.
        """
        return Truth(self.text, self.outcome)


class Wanted(BaseModel):
    """Which readings are meant; what is not given does not narrow."""

    outcome: Outcome | None = Field(default=None, description="The reader's outcome")
    model: str | None = Field(default=None, max_length=200, pattern=_TEXT, description="The model by its name")
    since: AwareDatetime | None = Field(default=None, description="The first moment that counts")
    until: AwareDatetime | None = Field(default=None, description="The first moment that counts no more")
    contains: str | None = Field(default=None, max_length=64, pattern=r"^[0-9]*$", description="Digits within it")
    corrected: bool | None = Field(default=None, description="Whether people have decided")
    number: list[Annotated[int, Field(ge=1, le=_LARGEST)]] | None = Field(
        default=None, max_length=1000, description="Only these, by their numbers"
    )

    def as_filter(self) -> Filter:
        """The store's noun.

        Raises:
            Problem: a moment that no calendar of ours has in UTC.
        """
        fields = dict(self) | {"since": _utc(self.since), "until": _utc(self.until)}
        numbers = fields.pop("number")
        return Filter(**fields, ids=None if numbers is None else tuple(numbers))


Meant = Annotated[Wanted, Query()]


def fresh_key(key: str | None) -> str:
    """The caller's key, or one that nobody has used."""
    return key or uuid.uuid4().hex


def _store(request: Request) -> Store:
    store: Store | None = request.app.state.service.store
    if store is None:
        raise Problem(UNAVAILABLE, "this server keeps nothing; set HANDIGIT_STORE and start it anew")
    return store


TheStore = Annotated[Store, Depends(_store)]


def _utc(moment: datetime | None) -> datetime | None:
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError:
        raise Problem(INVALID, f"{moment}: lies outside the years 1 to 9999 in UTC; give another moment") from None
