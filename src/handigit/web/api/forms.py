"""`/v1/forms`: the templates of this server, and scans read with them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from handigit.forms.template import Template
from handigit.web.api.read import cancel_on_disconnect
from handigit.web.form_service import FormRequest
from handigit.web.form_templates import TEMPLATE_FILE, form_problems
from handigit.web.openapi import (
    FORM_BODY,
    JSON_LINES,
    PICTURE_BODY,
    TOO_LONG,
    problem_response,
    records_responses,
)
from handigit.web.problems import Problem
from handigit.web.routes import AsReader, AsReviewer, AuthenticatedRoute
from handigit.web.state import state_of
from handigit.web.uploads import uploads_of

router = APIRouter(prefix="/v1/forms", tags=["forms"], route_class=AuthenticatedRoute)
Name = Annotated[str, Path(max_length=64, description="A form's name; auto: each page finds its own")]
Batch = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Name of what belongs together [default: the request's id]"),
]
_MISSING = problem_response(404, "No such form")
_MAX_TEMPLATE_FILES = 32


@router.get("")
def list_forms(request: Request, _user: AsReader) -> dict[str, Any]:
    """List the forms that this server reads: those saved on it, then the ready ones."""
    templates = state_of(request).forms.templates
    return {"forms": [_summary(templates.get(name), is_saved=templates.is_saved(name)) for name in templates.names]}


@router.get("/{name}", responses=_MISSING)
def get_form(request: Request, _user: AsReader, name: Name) -> dict[str, Any]:
    """Get one form: its fields and checks."""
    templates = state_of(request).forms.templates
    template = templates.get(name)
    fields = [{"name": field.name, "kind": field.kind.value, "page": field.page, "required": field.required,
               "box": field.box.as_list()} for field in template.fields]  # fmt: skip
    checks = [{"says": check.says, "fields": list(check.fields)} for check in template.checks]
    return _summary(template, is_saved=templates.is_saved(name)) | {"fields": fields, "checks": checks}


@router.put("/{name}", openapi_extra=FORM_BODY, responses=problem_response(409, "Changed fields, the same version"))
async def save_form(
    request: Request,
    _user: AsReviewer,
    name: Name,
    raise_version: Annotated[bool, Query(description="Give changed fields the next version")] = False,
) -> dict[str, Any]:
    """Save a template: the files `form.toml`, its blank and its lists, as parts of a form."""
    templates = state_of(request).forms.templates
    async with uploads_of(request, max_files=_MAX_TEMPLATE_FILES, name=TEMPLATE_FILE) as uploads:
        files = {upload.name: upload.read() for upload in uploads}
    template = await asyncio.to_thread(templates.save, name, files, raise_version=raise_version)
    return _summary(template, is_saved=True)


@router.get("/{name}/form.pdf", responses=_MISSING | TOO_LONG, response_class=Response)
def print_form(
    request: Request, _user: AsReader, name: Name, copies: Annotated[int, Query(ge=1, le=200)] = 1
) -> Response:
    """The form as a PDF with markers and a code, to be filled in and scanned."""
    from handigit.forms.printing import print_copies

    state = state_of(request)
    with state.exports.admit() as guard, form_problems():
        numbered: Iterator[tuple[str, dict[str, str]]] = guard((str(copy), {}) for copy in range(1, copies + 1))
        content = print_copies(state.forms.templates.get(name), numbered)
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.post(
    "/{name}/records", openapi_extra=PICTURE_BODY, responses=_MISSING | records_responses(), response_class=Response
)
async def read_records(
    request: Request,
    _user: AsReader,
    name: Name,
    keep: Annotated[bool, Query(description="Store the records and their pages")] = True,
    within: Annotated[float | None, Query(gt=0, le=3600, description="Time limit of each page in seconds")] = None,
    file: Annotated[str, Query(alias="name", max_length=200, description="File name of a body that is one file")] = "",
    target_error: Annotated[float, Query(gt=0, lt=1, description="Accept about this fraction of errors")] = 0.01,
    batch: Batch = None,
) -> Response:
    """Read scans of a form: pictures, documents and archives; every page is in one record, those not placed too."""
    state = state_of(request)
    state.service.check_capacity("page")
    keeps = keep and state.settings.keep_readings and state.service.store is not None
    within_s = min(within or state.settings.deadline_s, state.settings.deadline_s)
    request_id = request.state.request_id
    how = FormRequest(name, batch or request_id, request_id, keeps, within_s, target_error)
    async with AsyncExitStack() as files:
        uploads = await files.enter_async_context(uploads_of(request, max_files=state.settings.max_files, name=file))
        records = state.forms.read(uploads, how)
        if JSON_LINES not in request.headers.get("accept", ""):
            found = await cancel_on_disconnect(request, _collect(records))
            return Response(_dump({"request_id": request_id, "batch": how.batch, "records": found}),
                            media_type="application/json")  # fmt: skip
        first = await cancel_on_disconnect(request, _first(records))  # while the status can still report an error
        return StreamingResponse(_lines(first, records, request_id, files.pop_all()), media_type=JSON_LINES)


async def _collect(records: AsyncGenerator[dict[str, Any], None]) -> list[dict[str, Any]]:
    async with aclosing(records):
        return [record async for record in records]


async def _first(records: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any] | None:
    return await anext(records, None)


async def _lines(
    first: dict[str, Any] | None,
    records: AsyncGenerator[dict[str, Any], None],
    request_id: str,
    files: AsyncExitStack,
) -> AsyncGenerator[bytes, None]:
    """A line per record; a problem on the way is the last line."""
    async with files, aclosing(records):
        try:
            if first is not None:
                yield _dump(first) + b"\n"
            async for record in records:
                yield _dump(record) + b"\n"
        except Problem as problem:
            yield _dump({"problem": problem.as_dict(request_id)}) + b"\n"


def _dump(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _summary(template: Template, *, is_saved: bool) -> dict[str, Any]:
    return {
        "name": template.name,
        "title": template.title,
        "version": template.version,
        "pages": len(template.pages),
        "fields": len(template.fields),
        "saved": is_saved,
    }
