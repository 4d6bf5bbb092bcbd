"""The page at /forms: forms to print, fields over a blank, and a template tried on a scan.

The browser keeps the template and its blank until it downloads them or saves them on the server.
"""

import asyncio
import base64
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import cv2
import numpy as np
from fastapi import APIRouter, Body, Query, Request
from PIL import Image
from starlette.responses import Response

from handigit import forms
from handigit.forms.pile import Document
from handigit.forms.reader import ReadForm
from handigit.forms.specs import Area, FieldSpec, Kind
from handigit.forms.template import Template
from handigit.images import open_pages
from handigit.read import Reader
from handigit.records import percent
from handigit.web.form_templates import form_problems, vetted
from handigit.web.pages.layout import AsReader, render
from handigit.web.problems import INVALID, Problem
from handigit.web.routes import AsReader as Caller
from handigit.web.routes import AuthenticatedRoute
from handigit.web.state import state_of
from handigit.web.uploads import Upload, uploads_of

router = APIRouter()
api = APIRouter(prefix="/forms", route_class=AuthenticatedRoute)
_MAX_SHOWN_PX: Final = 1600
_MAX_TEMPLATE: Final = 200_000  # characters
_PATTERNS: Final = {Kind.DATE: "DDMMYYYY", Kind.TIME: "HHMM"}  # until the user writes another into the template
_FIELD_KINDS: Final = (Kind.NUMBER, Kind.DECIMAL, Kind.DATE, Kind.TIME, Kind.MARK, Kind.PRESENT, Kind.IGNORE)


@router.get("/forms")
def show(request: Request, user: AsReader) -> Response:
    """The page."""
    templates = state_of(request).forms.templates
    ready = [(one.name, one.title or one.name, len(one.fields)) for one in map(templates.get, templates.names)]
    return render(request, "forms.html", user, forms=ready, kinds=[kind.value for kind in _FIELD_KINDS])


@api.post("/proposals")
async def proposals(
    request: Request, _user: Caller, name: Annotated[str, Query(min_length=1, max_length=200)]
) -> dict[str, Any]:
    """The fields found on the blank in the body, as a template and as boxes."""
    async with uploads_of(request, max_files=1, name=name) as (blank,):
        return await asyncio.to_thread(_propose, blank, name)


@api.post("/template")
def edit(
    _user: Caller,
    template: Annotated[str, Body(max_length=_MAX_TEMPLATE)],
    fields: Annotated[list[dict[str, Any]], Body(max_length=1000)],
    tables: Annotated[list[dict[str, Any]], Body(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
) -> dict[str, str]:
    """The template with these fields instead of its own, and these tables added; comments and order stay."""
    with form_problems():
        return {"template": _with_fields(template, fields, tables)}


@router.post("/forms/try")
async def try_out(request: Request, user: AsReader, template: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Scans of a form as read: of one on this server by `template`, or with files `template.toml` and its blank."""
    state = state_of(request)
    state.service.check_capacity("page")
    form = state.forms.templates.get(template) if template else None
    async with uploads_of(request, max_files=12, name="scan") as uploads:
        records = await asyncio.to_thread(_read, uploads, form, state.service.models.active.reader)
    return render(request, "trial.html", user, records=records, percent=percent)


router.include_router(api)


def _propose(blank: Upload, name: str) -> dict[str, Any]:
    with form_problems(), TemporaryDirectory() as folder:
        path = Path(folder) / f"blank{Path(name).suffix.lower()}"
        path.write_bytes(blank.read())
        text = forms.propose(path, name=Path(name).stem)
        template = Template.parse(text, folder=folder)
        page = next(open_pages(path))
    text = text.replace(f'"{path.name}"', f'"{Path(name).name}"')
    return {
        "template": text,
        "name": template.name,
        "size": template.pages[0].size,
        "image": _data_url(page),
        "fields": _boxes(template),
    }


def _with_fields(text: str, entries: Sequence[dict[str, Any]], tables: Sequence[dict[str, Any]]) -> str:
    """The template with these fields. Its blanks are set aside, because they are in the browser, not here."""
    import tomlkit

    from handigit.forms.save import add_tables, update_template

    document = tomlkit.parse(text)
    blanks = [page.pop("blank", None) for page in document.get("page", [])]
    bare = tomlkit.dumps(document)
    known = Template.parse(bare).by_name
    updated = tomlkit.parse(
        add_tables(
            update_template(bare, [_field(entry, known.get(str(entry.get("name")))) for entry in entries]),
            [_table(entry) for entry in tables],
        )
    )
    for page, blank in zip(updated.get("page", []), blanks, strict=True):
        if blank:
            page["blank"] = blank
    return tomlkit.dumps(updated)


def _boxes(template: Template) -> list[dict[str, Any]]:
    """The fields of the first page, in its units."""
    return [
        {"name": spec.name, "kind": spec.kind.value, "box": spec.box.as_list(), "label": spec.label}
        for spec in template.fields_on(1)
    ]


def _field(entry: dict[str, Any], known: FieldSpec | None) -> FieldSpec:
    """A field from the page.

    Raises:
        Problem: a name, kind or box that is not valid.
    """
    try:
        kind, box = Kind(entry["kind"]), Area(*map(float, entry["box"]))
        name = str(entry["name"])
    except (KeyError, TypeError, ValueError) as problem:
        raise Problem(INVALID, f"field {str(entry)[:80]}: {problem}; give name, kind and box") from None
    if known and known.kind is kind:
        return replace(known, box=box)
    spec = replace(known, kind=kind, box=box) if known else FieldSpec(name, kind, box)
    return replace(spec, pattern=_PATTERNS.get(kind))


def _table(entry: dict[str, Any]) -> dict[str, Any]:
    """A table from the page, with the patterns that its kinds need.

    Raises:
        Problem: a key is missing, or kinds that are not valid.
    """
    try:
        kinds = [Kind(kind) for kind in entry["kinds"]]
        patterns = [_PATTERNS.get(kind, "") for kind in kinds]
        table = {key: entry[key] for key in ("name", "rows", "columns", "names")}
    except (KeyError, TypeError, ValueError) as problem:
        raise Problem(INVALID, f"table {str(entry)[:80]}: {problem}; give name, rows, columns, names, kinds") from None
    return table | {"kinds": [kind.value for kind in kinds]} | ({"patterns": patterns} if any(patterns) else {})


def _read(uploads: Sequence[Upload], form: Template | None, reader: Reader) -> list[dict[str, Any]]:
    """The records of the scans, each with its first page as a picture."""
    with TemporaryDirectory() as folder, form_problems(folder):
        scans = list(uploads)
        chosen = form or _own_template(scans, Path(folder))
        form_reader = forms.FormReader(chosen, reader=reader)
        pile = [Document(scan.name, partial(open_pages, scan.source(), limits=reader.limits)) for scan in scans]
        return [_shown(form) for form in form_reader.forms(pile)]


def _shown(form: ReadForm) -> dict[str, Any]:
    page = form.pictures[0] if form.pictures else np.full((60, 60), 255, np.uint8)
    height, width = page.shape
    facts = {"problems": form.record.problems, "image": _data_url(page, scale=False), "width": width, "height": height}
    return form.record.to_json() | facts


def _own_template(uploads: list[Upload], folder: Path) -> Template:
    """Take the template and its blanks out of the uploads; the rest are scans.

    Raises:
        Problem: no template among them.
    """
    text = _take(uploads, "template.toml")
    if text is None:
        raise Problem(INVALID, "no template: choose a ready-made form, or send template.toml with its blank")
    content = vetted(text)
    pages = tomllib.loads(content).get("page", [])
    for name in dict.fromkeys(Path(str(page.get("blank"))).name for page in pages):
        blank = _take(uploads, name)
        if blank is not None:
            (folder / name).write_bytes(blank)
    return Template.parse(content, folder=folder)


def _take(uploads: list[Upload], name: str) -> bytes | None:
    """Remove the first file of this name, and return its content."""
    found = next((upload for upload in uploads if Path(upload.name).name == name), None)
    if found is None:
        return None
    uploads.remove(found)
    return found.read()


def _data_url(page: np.ndarray, *, scale: bool = True) -> str:
    """A page as a JPEG in a data URL, reduced for the screen unless boxes refer to its own pixels."""
    factor = min(1.0, _MAX_SHOWN_PX / max(page.shape)) if scale else 1.0
    shown = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else page
    content = BytesIO()
    Image.fromarray(np.asarray(shown)).save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
