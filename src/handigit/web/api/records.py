"""`/v1/records`: stored records of forms, listed, corrected, checked again, placed by hand, exported and deleted."""

from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from tempfile import TemporaryFile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from handigit.forms import RecordOutcome
from handigit.web.exports import file_response
from handigit.web.form_service import stored_dict
from handigit.web.form_templates import form_problems
from handigit.web.openapi import TOO_LONG, problem_response
from handigit.web.params import Cursor, IdempotencyKey, RowId, TheStore, Writes, key_or_new
from handigit.web.record_export import add_crops, write_stored
from handigit.web.routes import AsAdmin, AsReader, AsReviewer, AuthenticatedRoute
from handigit.web.state import state_of

router = APIRouter(prefix="/v1/records", tags=["forms"], route_class=AuthenticatedRoute)
_MISSING = problem_response(404, "No such record") | problem_response(409, "Conflict with an earlier change")
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
Limit = Annotated[int, Query(ge=1, le=1000)]
BatchName = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f]*$", description="Only this batch")]
TemplateName = Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00-\x1f]*$", description="Only this form")]
FieldName = Annotated[str, Path(max_length=200, pattern=r"^[^\x00-\x1f]+$")]
RecordIds = Annotated[list[int], Query(min_length=1, max_length=1000, description="Ids of records")]


class FieldBody(BaseModel):
    """The content of a field, as a person sees it."""

    text: str | None = Field(max_length=64, description="As written: 36.8, yes; empty: blank; null: the reader's text")


class PlaceBody(BaseModel):
    """Where a form is on its page."""

    template: str = Field(max_length=64)
    page: int = Field(default=1, ge=1, le=1000, description="Page of the form")
    corners: list[tuple[float, float]] = Field(
        min_length=4, max_length=4, description="Left top, right top, right bottom, left bottom of the sheet, in pixels"
    )


@router.get("")
def list_records(
    _user: AsReader, store: TheStore, template: TemplateName = None, outcome: RecordOutcome | None = None,
    batch: BatchName = None, after: Cursor = None, limit: Limit = 100,
) -> dict[str, Any]:  # fmt: skip
    """List records, newest first."""
    found = store.forms.list(template=template, outcome=outcome, batch=batch, after=after, limit=limit)
    return {"records": [stored_dict(one) for one in found], "after": found[-1].id if len(found) == limit else None}


@router.get("/batches")
def list_batches(_user: AsReader, store: TheStore) -> dict[str, Any]:
    """List the newest batches with their counts by outcome."""
    found = store.forms.batches()
    return {"batches": [asdict(one) | {"at": one.at.isoformat(), "records": one.records} for one in found]}


@router.get("/export", responses=TOO_LONG, response_class=Response)
def export(
    request: Request, _user: AsReader, store: TheStore, template: TemplateName = None, batch: BatchName = None,
    format: Literal["xlsx", "csv", "jsonl", "parquet"] = "xlsx",  # noqa: A002
    bom: Annotated[bool, Query(description="Begin CSV with a byte order mark, for Excel")] = True,
    crops: Annotated[bool, Query(description="Add a picture of each field to XLSX")] = False,
) -> Response:  # fmt: skip
    """Export records, oldest first: XLSX with Records, Fields and Problems, or a row per record; safe in spreadsheets.

    At most 20,000 records, or 20,000 pictures of fields; select a batch or a template where there are more.
    """
    found = store.forms.all(template=template, batch=batch, oldest_first=True)
    with state_of(request).exports.admit() as guard, form_problems(), ExitStack() as on_error:
        file = on_error.enter_context(TemporaryFile())
        with_crops = partial(add_crops, store) if crops and format == "xlsx" else None
        write_stored(guard(found), file, format, bom=bom, guard=guard, with_crops=with_crops)
        on_error.pop_all()
    return file_response(file, media_type=_MEDIA_TYPES[format], name=f"records.{format}")


@router.post("/check", responses=_MISSING)
def check_again(
    request: Request, user: AsReviewer, store: TheStore,
    batch: Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")],
) -> dict[str, int]:  # fmt: skip
    """Apply the checks and lists of the current templates to a batch again, without a new scan."""
    return state_of(request).forms.recheck(store, batch, by=user.name)


@router.get("/{number:int}", responses=_MISSING)
def get_record(_user: AsReader, store: TheStore, number: RowId) -> dict[str, Any]:
    """Get one record with its history: every revision, and every change that a person made."""
    stored = store.forms.get(number)
    revisions = [{"at": at.isoformat(), "by": by, "outcome": content["outcome"]}
                 for at, by, content in store.forms.revisions(number)]  # fmt: skip
    changes = [
        {"field": change.field, "text": change.text, "by": change.by, "at": change.at.isoformat()}
        for change in stored.changes
    ]
    return stored_dict(stored) | {"revisions": revisions, "changes": changes}


@router.post("/{number}/fields/{field}", responses=_MISSING)
async def correct_field(
    request: Request, user: AsReviewer, store: TheStore, writes: Writes, number: RowId, field: FieldName,
    body: Annotated[FieldBody, Body()], key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    """Correct a field; the checks are applied again, so that other fields may be decided by it."""
    forms = state_of(request).forms
    correct = partial(forms.correct, store, number, field, body.text, by=user.name, key=key_or_new(key))
    return stored_dict(await writes.run(correct))


@router.post("/{number}/place", responses=_MISSING)
def place(
    request: Request, user: AsReviewer, store: TheStore, number: RowId, body: Annotated[PlaceBody, Body()]
) -> dict[str, Any]:
    """Read a page again whose place could not be found, from the corners of its sheet."""
    forms = state_of(request).forms
    stored = forms.place(store, number, body.corners, template=body.template, page=body.page, by=user.name)
    return stored_dict(stored)


@router.delete("", responses=_MISSING)
async def delete(_user: AsAdmin, store: TheStore, writes: Writes, number: RecordIds) -> dict[str, int]:
    """Delete records permanently, with their history and unused pictures."""
    deleted = await writes.run(partial(store.forms.delete, number))
    return {"records": deleted.readings, "pictures": deleted.pictures}
