"""`/v1/readings`: what was read, filtered, looked at, corrected, exported, deleted for good.

It knows the store's verbs and their addresses.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from handigit.store import Correction
from handigit.web.auth import AsAdmin, AsReader, AsReviewer
from handigit.web.openapi import problem
from handigit.web.params import After, Key, Meant, Number, Said, Several, TheStore, fresh_key

router = APIRouter(prefix="/v1", tags=["readings"])
_MISSING = problem(404, "No such reading") | problem(409, "It contradicts what was said before")
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
_FOR_A_WHILE = {"Cache-Control": "private, max-age=300"}
"""A page is shown in several places at once; its name is that of its bytes, so that what is kept is never old."""
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the picture")]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/readings")
def list_readings(
    _user: AsReader, store: TheStore, wanted: Meant, after: After = None, limit: Limit = 100
) -> dict[str, Any]:
    """Readings, newest first, by pages that stay put while new ones arrive."""
    page = store.readings(wanted.as_filter(), after=after, limit=limit)
    return {"readings": [one.as_dict() for one in page.readings], "after": page.after}


@router.get("/readings/export", response_class=Response)
def export(
    _user: AsReader,
    store: TheStore,
    wanted: Meant,
    format: Literal["csv", "jsonl"] = "csv",  # noqa: A002
) -> Response:
    """Every reading that is meant, as CSV (safe to open in a spreadsheet) or JSON lines."""
    lines: Iterator[str] = store.export(wanted.as_filter(), format=format)
    named = {"Content-Disposition": f'attachment; filename="readings.{format}"'}
    return StreamingResponse(lines, media_type=_TYPES[format], headers=named)


@router.get("/readings/{number}", responses=_MISSING)
def get_reading(_user: AsReader, store: TheStore, number: Number) -> dict[str, Any]:
    """One reading, with all that people have said of it."""
    reading, history = store.reading(number), store.history(number)
    return reading.as_dict() | {"history": [told(one) for one in history]}


@router.get("/pictures/{digest}", responses=_MISSING, response_class=Response)
def get_picture(_user: AsReader, store: TheStore, digest: Digest) -> Response:
    """A kept page as PNG, without anything but its pixels."""
    return Response(store.picture(digest), media_type="image/png", headers=_FOR_A_WHILE)


@router.post("/readings/{number}/corrections", status_code=201, responses=_MISSING)
def correct(user: AsReviewer, store: TheStore, number: Number, said: Said, key: Key = None) -> dict[str, Any]:
    """Say what stands there. What was read stays, and so does what others have said."""
    return told(store.decide(number, said.as_truth(), by=user.name, key=fresh_key(key)))


@router.post("/corrections/{number}/undo", responses=_MISSING)
def undo(user: AsReviewer, store: TheStore, number: Number) -> dict[str, Any]:
    """Take a correction back; undone twice is undone once."""
    return told(store.undo(number, by=user.name))


@router.delete("/readings", responses=_MISSING)
def delete(_user: AsAdmin, store: TheStore, number: Several) -> dict[str, int]:
    """Delete readings for good, with what was said of them and pictures that nothing else was read from."""
    return asdict(store.delete(number))


def told(correction: Correction) -> dict[str, Any]:
    """A correction's JSON."""
    truth = {"text": correction.truth.text, "outcome": correction.truth.outcome.value}
    return asdict(correction) | truth | {"truth": truth}
