"""Refusals as `application/problem+json` (RFC 9457).

Each problem names the fault, the value, and the remedy. None shows a traceback or a path on the server.
"""

import errno
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from handigit.errors import HandigitError, ImageError, ImageTooLarge, ModelError, PatternError
from handigit.store import (
    BadTruth,
    KeyReused,
    LastAdmin,
    LeaseLost,
    NameTaken,
    NotInStore,
    StoreBusy,
    StoreError,
    StoreFull,
    TooManyAttempts,
)
from handigit.workers import WorkerUnavailable

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A sort of problem: its name in the `type` member, its HTTP status, its title."""

    name: str
    status: int
    title: str


BAD_REQUEST: Final = ProblemType("bad-request", 400, "The request cannot be understood")
UNAUTHORISED: Final = ProblemType("unauthorised", 401, "Sign-in required")
FORBIDDEN: Final = ProblemType("forbidden", 403, "Not allowed")
NOT_FOUND: Final = ProblemType("not-found", 404, "Not found")
METHOD_NOT_ALLOWED: Final = ProblemType("method-not-allowed", 405, "Method not allowed")
SLOW_UPLOAD: Final = ProblemType("slow-upload", 408, "The request arrived too slowly")
CONFLICT: Final = ProblemType("conflict", 409, "Conflict with the current state")
MODEL_REJECTED: Final = ProblemType("model-refused", 409, "The model was not activated")
TOO_LARGE: Final = ProblemType("too-large", 413, "The request is too large")
PICTURE_TOO_LARGE: Final = ProblemType("picture-too-large", 413, "The picture is too large")
UNREADABLE: Final = ProblemType("unreadable-picture", 422, "The picture cannot be read")
INVALID: Final = ProblemType("invalid", 422, "A value is not valid")
BUSY: Final = ProblemType("busy", 429, "The server is at capacity")
TOO_MANY: Final = ProblemType("too-many-requests", 429, "Too many requests")
INTERNAL: Final = ProblemType("internal", 500, "Internal error")
UNAVAILABLE: Final = ProblemType("unavailable", 503, "The server is not ready")
DEADLINE: Final = ProblemType("deadline", 504, "No answer in time")

_BY_STATUS: Final = {
    kind.status: kind for kind in (BAD_REQUEST, UNAUTHORISED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED)
}
_BY_ERROR: Final[tuple[tuple[type[HandigitError], ProblemType], ...]] = (
    (ImageTooLarge, PICTURE_TOO_LARGE),
    (ImageError, UNREADABLE),
    (PatternError, INVALID),
    (NotInStore, NOT_FOUND),
    (BadTruth, INVALID),
    (KeyReused, CONFLICT),
    (LeaseLost, CONFLICT),
    (NameTaken, CONFLICT),
    (LastAdmin, CONFLICT),
)
"""Errors whose message is written for the client."""
_OUT_OF_RESOURCES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""System errors that pass: a full disk, no file descriptors, no memory."""


class Problem(HandigitError):
    """A request that is answered with a problem; `detail` names the fault, the value, and the remedy."""

    def __init__(self, kind: ProblemType, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
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

    def as_response(self, request_id: str, extra: Mapping[str, str] | None = None) -> Response:
        """The complete response; `extra` adds members to the JSON."""
        body = json.dumps(self.as_dict(request_id) | dict(extra or {}), ensure_ascii=False).encode()
        return Response(body, self.kind.status, headers=self.headers, media_type=MEDIA_TYPE)


def busy(retry_after_s: float, detail: str = "the queue is full") -> Problem:
    """A refusal for lack of capacity, with `Retry-After`."""
    seconds = max(1, round(retry_after_s))
    return Problem(
        BUSY,
        f"{detail}; try again in {seconds} s, or send fewer requests at once",
        headers={"Retry-After": str(seconds)},
    )


def unavailable(detail: str, *, retry_after_s: int = 5) -> Problem:
    """A 503 with `Retry-After`."""
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(retry_after_s)})


def problem_of(error: Exception) -> Problem:
    """The problem for an error; only errors written for clients keep their message."""
    if isinstance(error, Problem):
        return error
    for family, kind in _BY_ERROR:
        if isinstance(error, family):
            return Problem(kind, str(error))
    if isinstance(error, ModelError):
        return Problem(UNAVAILABLE, "the active model cannot read this; an admin can switch it, see /v1/models")
    if isinstance(error, WorkerUnavailable):
        return unavailable("the reading process was interrupted; try again", retry_after_s=1)
    if isinstance(error, TooManyAttempts):
        return Problem(TOO_MANY, str(error), headers={"Retry-After": str(max(1, math.ceil(error.retry_after_s)))})
    if isinstance(error, StoreFull):
        return unavailable("the disk of the store is full; an admin can delete readings", retry_after_s=60)
    if isinstance(error, StoreBusy):
        return unavailable("the store is busy; try again in a few seconds")
    if isinstance(error, StoreError):
        return unavailable("the store does not answer; try again later")
    if isinstance(error, OSError) and error.errno in _OUT_OF_RESOURCES:
        return unavailable("the server is out of disk space or other resources; try again later")
    return Problem(INTERNAL, "this is a fault of the server; report it with the request_id")


def problem_of_status(status: int, detail: str) -> Problem:
    """The problem for a status that the framework itself answers with."""
    return Problem(_BY_STATUS.get(status, BAD_REQUEST), detail)


def problem_of_fields(errors: Sequence[Mapping[str, Any] | Any]) -> Problem:
    """The problem for invalid fields: each with its place and its message."""
    details = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors[:5]]
    return Problem(INVALID, f"{'; '.join(details)}; see /openapi.json for what is accepted")
