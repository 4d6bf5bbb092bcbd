"""Parameters that several routes share: ids in the store, times, filters, idempotency keys.

They are validated here, so that the store receives only values that it accepts.
"""

import re
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from handigit.records import Outcome
from handigit.store import Filter, Store, Truth
from handigit.store.truth import NUMBER_AS_WRITTEN
from handigit.web.problems import INVALID, UNAVAILABLE, Problem
from handigit.web.state import state_of
from handigit.web.write_pool import WritePool

MAX_ID: Final = 2**53 - 1
"""The largest integer that JSON and JavaScript hold exactly; no store has as many rows."""
RowId = Annotated[int, Path(ge=1, le=MAX_ID, description="The id that the store assigned")]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the picture")]
Cursor = Annotated[int | None, Query(ge=1, le=MAX_ID, description="The `after` of the previous answer")]
ReadingIds = Annotated[list[int], Query(min_length=1, max_length=1000, description="Ids of readings")]
_KEY: Final = r"^[A-Za-z0-9._-]{1,64}$"
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=_KEY, description="A request repeated with the same key has one effect"),
]
KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": _KEY},
    "description": "A request repeated with the same key stores its readings once and answers with the same ids",
}
"""The OpenAPI parameter of `idempotency_key`."""
_TEXT: Final = r"^[^\x00-\x1f]*$"
_ISO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


TEXT_OR_REASON: Final[dict[str, Any]] = {
    "anyOf": [
        {"required": ["text"], "properties": {"outcome": {"const": "read"}, "text": {"pattern": NUMBER_AS_WRITTEN}}},
        {
            "required": ["outcome"],
            "properties": {"outcome": {"enum": ["blank", "not_a_number"]}, "text": {"const": ""}},
        },
    ]
}
"""JSON Schema: a number, or the reason for none."""


class CorrectionBody(BaseModel):
    """The value that a person sees in the picture."""

    text: str = Field(default="", max_length=64, description="The digits; empty if there is no number")
    outcome: Literal[Outcome.READ, Outcome.BLANK, Outcome.NOT_A_NUMBER] = Field(
        default=Outcome.READ, description="read, or why there is no number"
    )
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "0715", "outcome": "read"}], **TEXT_OR_REASON})

    def as_truth(self) -> Truth:
        """The store's type.

        Raises:
            BadTruth: not a number.
        """
        return Truth(self.text, self.outcome)


def _require_iso_time(value: Any) -> Any:
    """Reject bare numbers, which pydantic takes for seconds since 1970."""
    if isinstance(value, str) and not _ISO_TIME.match(value):
        raise ValueError("write a time such as 2026-05-12T08:00:00Z")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_require_iso_time, json_schema_input_type=AwareDatetime)]


class ReadingFilter(BaseModel):
    """Selects readings; a field that is not given does not narrow the selection."""

    outcome: Outcome | None = Field(default=None, description="The reader's outcome")
    model: str | None = Field(default=None, max_length=200, pattern=_TEXT, description="The model by its name")
    since: Time | None = Field(default=None, description="From this time on")
    until: Time | None = Field(default=None, description="Before this time")
    contains: str | None = Field(
        default=None, max_length=64, pattern=r"^[0-9 .,:/'+$€£%-]*$", description="Text in the number"
    )
    source: str | None = Field(default=None, max_length=200, pattern=_TEXT, description="Text in the file name")
    corrected: bool | None = Field(default=None, description="Whether a person has checked it")
    number: list[Annotated[int, Field(ge=1, le=MAX_ID)]] | None = Field(
        default=None, max_length=1000, description="Only these ids"
    )

    def as_filter(self) -> Filter:
        """The store's type.

        Raises:
            Problem: a time outside the years 1 to 9999 in UTC.
        """
        fields = dict(self) | {"since": _utc(self.since), "until": _utc(self.until)}
        ids = fields.pop("number")
        return Filter(**fields, ids=None if ids is None else tuple(ids))


FilterQuery = Annotated[ReadingFilter, Query()]


def idempotency_key(request: Request) -> str:
    """The `Idempotency-Key` of a request that FastAPI does not parse.

    Raises:
        Problem: it is not one.
    """
    key = request.headers.get("idempotency-key", "")
    if not re.match(_KEY, key):
        raise Problem(INVALID, "Idempotency-Key: give 1 to 64 letters, digits, dots, dashes or underscores")
    return key


def key_or_new(key: str | None) -> str:
    """The client's idempotency key, or a random one."""
    return key or uuid.uuid4().hex


def _store(request: Request) -> Store:
    store = state_of(request).service.store
    if store is None:
        raise Problem(UNAVAILABLE, "this server stores nothing; set HANDIGIT_STORE and restart it")
    return store


TheStore = Annotated[Store, Depends(_store)]


def _writes(request: Request) -> WritePool:
    return state_of(request).writes


Writes = Annotated[WritePool, Depends(_writes)]


def _utc(time: datetime | None) -> datetime | None:
    try:
        return time.astimezone(UTC) if time else None
    except OverflowError:
        raise Problem(INVALID, f"{time}: is outside the years 1 to 9999 in UTC; give another time") from None
