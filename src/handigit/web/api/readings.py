"""`/v1/readings`: stored readings, listed, filtered, corrected, exported and deleted."""

from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from handigit.store import Correction, Filter, Order, Store
from handigit.store.spreadsheet import export_xlsx
from handigit.web.exports import MAX_PICTURES, Exports, at_most, file_response
from handigit.web.openapi import TOO_LONG, problem_response
from handigit.web.params import (
    CorrectionBody,
    Cursor,
    Digest,
    FilterQuery,
    IdempotencyKey,
    ReadingIds,
    RowId,
    TheStore,
    Writes,
    key_or_new,
)
from handigit.web.routes import AsAdmin, AsReader, AsReviewer, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(prefix="/v1", tags=["readings"], route_class=AuthenticatedRoute)
_MISSING = problem_response(404, "No such reading") | problem_response(409, "Conflict with an earlier correction")
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MAX_ROWS = 2**20 - 1
"""Rows of a sheet, without its headings."""
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/readings", responses=problem_response(404, "The reading `after` was deleted"))
def list_readings(
    _user: AsReader,
    store: TheStore,
    query: FilterQuery,
    after: Cursor = None,
    limit: Limit = 100,
    sort: Annotated[Order, Query(description="By id, least confident first, or by file name")] = "newest",
) -> dict[str, Any]:
    """List readings; new ones do not shift later pages."""
    page = store.readings(query.as_filter(), after=after, limit=limit, order=sort)
    return {"readings": [reading.as_dict() for reading in page.readings], "after": page.after}


@router.get("/readings/export", responses=TOO_LONG, response_class=Response)
def export(
    request: Request,
    _user: AsReader,
    store: TheStore,
    query: FilterQuery,
    format: Literal["csv", "full", "jsonl", "xlsx"] = "csv",  # noqa: A002
    bom: Annotated[bool, Query(description="Begin CSV with a byte order mark, for Excel")] = False,
    crops: Annotated[bool, Query(description="Add a picture of each number to XLSX")] = False,
) -> Response:
    """Export every selected reading as CSV (`full`: with every column), JSON lines or XLSX, safe in spreadsheets."""
    selection, extension = query.as_filter(), "csv" if format == "full" else format
    if format == "xlsx":
        file = _workbook(state_of(request).exports, store, selection, crops=crops)
        return file_response(file, media_type=_MEDIA_TYPES["xlsx"], name="readings.xlsx")
    headers = {"Content-Disposition": f'attachment; filename="readings.{extension}"'}
    lines = store.export(selection, format=format, bom=bom)
    return StreamingResponse(lines, media_type=_MEDIA_TYPES[extension], headers=headers)


def _workbook(exports: Exports, store: Store, selection: Filter, *, crops: bool) -> IO[bytes]:
    """A temporary file with the workbook."""
    most, what = (
        (MAX_PICTURES, "pictures; select fewer readings") if crops else (_MAX_ROWS, "rows, as a sheet can hold")
    )
    with exports.admit() as guard, ExitStack() as on_error:
        file = on_error.enter_context(TemporaryFile())
        export_xlsx(store, file, selection, crops=crops, guard=lambda rows: at_most(most, guard(rows), what=what))
        on_error.pop_all()
    return file


@router.get("/readings/{number}", responses=_MISSING)
def get_reading(_user: AsReader, store: TheStore, number: RowId) -> dict[str, Any]:
    """Get one reading with all its corrections."""
    reading, history = store.reading(number), store.history(number)
    return reading.as_dict() | {"history": [correction_dict(correction) for correction in history]}


@router.get("/pictures/{digest}", responses=_MISSING | {304: {"description": "Unchanged"}}, response_class=Response)
def get_picture(request: Request, _user: AsReader, store: TheStore, digest: Digest) -> Response:
    """Get a stored page as PNG, without metadata."""
    # A browser asks again each time, so that its copy is not shown to who has signed out.
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{digest}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(store.picture(digest), media_type="image/png", headers=headers)


@router.post("/readings/{number}/corrections", status_code=201, responses=_MISSING)
async def correct(
    user: AsReviewer, store: TheStore, writes: Writes, number: RowId, body: CorrectionBody, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Correct a reading. The automatic result and earlier corrections stay in its history."""
    decide = partial(store.decide, number, body.as_truth(), by=user.name, key=key_or_new(key))
    return correction_dict(await writes.run(decide))


@router.post("/corrections/{number}/undo", responses=_MISSING)
async def undo(user: AsReviewer, store: TheStore, writes: Writes, number: RowId) -> dict[str, Any]:
    """Undo a correction; repeating it has no further effect."""
    return correction_dict(await writes.run(partial(store.undo, number, by=user.name)))


@router.delete("/readings", responses=_MISSING)
async def delete(_user: AsAdmin, store: TheStore, writes: Writes, number: ReadingIds) -> dict[str, int]:
    """Delete readings permanently, with their corrections and unused pictures."""
    return asdict(await writes.run(partial(store.delete, number)))


def correction_dict(correction: Correction) -> dict[str, Any]:
    """A correction's JSON."""
    truth = {"text": correction.truth.text, "outcome": correction.truth.outcome.value}
    return asdict(correction) | truth | {"truth": truth}
