"""What goes wrong, as callers are told: `application/problem+json` (RFC 9457).

Each problem says what is wrong, the value, and what to do; none shows a trace or a place on the server's disk. It knows
statuses and words, not where a problem was found.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from handigit.errors import HandigitError, ImageError, ImageTooLarge, ModelError, PatternError
from handigit.store import BadTruth, KeyReused, LeaseLost, NameTaken, NotInStore, StoreError

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of problem: its name in the `type` member, its HTTP status, its title."""

    name: str
    status: int
    title: str


BAD_REQUEST: Final = Kind("bad-request", 400, "The request cannot be understood")
WHO_ARE_YOU: Final = Kind("unauthorised", 401, "Who is asking is not known")
NOT_ALLOWED: Final = Kind("forbidden", 403, "This is not allowed")
NOT_FOUND: Final = Kind("not-found", 404, "There is nothing of that name")
BAD_METHOD: Final = Kind("method-not-allowed", 405, "This cannot be done here")
TOO_SLOW: Final = Kind("slow-upload", 408, "The request came too slowly")
CONFLICT: Final = Kind("conflict", 409, "This contradicts what is there")
MODEL_REFUSED: Final = Kind("model-refused", 409, "The model is not put to use")
TOO_LARGE: Final = Kind("too-large", 413, "The request is too large")
PICTURE_TOO_LARGE: Final = Kind("picture-too-large", 413, "The picture is too large")
UNREADABLE: Final = Kind("unreadable-picture", 422, "The picture cannot be read")
INVALID: Final = Kind("invalid", 422, "A value is not valid")
BUSY: Final = Kind("busy", 429, "The server has as much to do as it takes on")
TOO_MANY: Final = Kind("too-many-requests", 429, "Too many requests came from here")
BROKEN: Final = Kind("internal", 500, "The server has failed at this")
UNAVAILABLE: Final = Kind("unavailable", 503, "The server is not ready")
TOO_LATE: Final = Kind("deadline", 504, "There was no answer in time")

_BY_STATUS: Final = {kind.status: kind for kind in (BAD_REQUEST, WHO_ARE_YOU, NOT_ALLOWED, NOT_FOUND, BAD_METHOD)}
_BY_ERROR: Final[tuple[tuple[type[HandigitError], Kind], ...]] = (
    (ImageTooLarge, PICTURE_TOO_LARGE),
    (ImageError, UNREADABLE),
    (PatternError, INVALID),
    (NotInStore, NOT_FOUND),
    (BadTruth, INVALID),
    (KeyReused, CONFLICT),
    (LeaseLost, CONFLICT),
    (NameTaken, CONFLICT),
)
"""The errors whose words are meant for whoever sent the request."""


class Problem(HandigitError):
    """A request that is answered with a problem; `detail` says what, the value, and what to do."""

    def __init__(self, kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})

    def as_dict(self, request_id: str) -> dict[str, Any]:
        """The problem's JSON."""
        return {
            "type": f"urn:handigit:problem:{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
        }

    def as_response(self, request_id: str, more: Mapping[str, str] | None = None) -> Response:
        """The whole answer, with more members if need be."""
        body = json.dumps(self.as_dict(request_id) | dict(more or {}), ensure_ascii=False).encode()
        return Response(body, self.kind.status, headers=self.headers, media_type=MEDIA_TYPE)


def busy(retry_after_s: float) -> Problem:
    """A full queue."""
    seconds = max(1, round(retry_after_s))
    return Problem(
        BUSY,
        f"the queue is full; try again in {seconds} s, or send fewer requests at once",
        headers={"Retry-After": str(seconds)},
    )


def problem_of(error: Exception) -> Problem:
    """What a caller is told of an error; only errors meant for callers keep their words."""
    if isinstance(error, Problem):
        return error
    for family, kind in _BY_ERROR:
        if isinstance(error, family):
            return Problem(kind, str(error))
    if isinstance(error, ModelError):
        return Problem(UNAVAILABLE, "the model in use cannot read this; an admin can switch it, see /v1/models")
    if isinstance(error, StoreError):
        return Problem(UNAVAILABLE, "the store does not answer; try again later", headers={"Retry-After": "5"})
    return Problem(BROKEN, "this is our fault, not yours; report it with the request_id")


def problem_of_status(status: int, detail: str) -> Problem:
    """What a caller is told where the framework itself has refused."""
    return Problem(_BY_STATUS.get(status, BAD_REQUEST), detail)


def problem_of_fields(errors: Sequence[Mapping[str, Any] | Any]) -> Problem:
    """What a caller is told of fields that are not valid: each with its place and what is wrong with it."""
    told = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors[:5]]
    return Problem(INVALID, f"{'; '.join(told)}; correct these, as the OpenAPI description has them")
