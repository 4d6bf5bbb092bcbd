"""The page at /forms: ready-made forms to print, fields over a blank, and a template tried on a scan.

Nothing is stored: the browser keeps the template and its blank, and downloads them.
"""

import asyncio
import base64
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
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
from handigit.forms.errors import FormError
from handigit.forms.specs import Area, FieldSpec, Kind
from handigit.forms.template import Template
from handigit.images import open_pages
from handigit.read import Reader
from handigit.web.pages.layout import AsReader, render
from handigit.web.problems import INVALID, NOT_FOUND, UNAVAILABLE, Problem
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
    ready = [(name, template.title or name, len(template.fields)) for name, template in _gallery().items()]
    return render(request, "forms.html", user, forms=ready, kinds=[kind.value for kind in _FIELD_KINDS])


@api.get("/print/{name}.pdf")
def print_one(_user: Caller, name: str, copies: Annotated[int, Query(ge=1, le=200)] = 1) -> Response:
    """A ready-made form as a PDF."""
    with _form_problems():
        content = forms.print_form(_ready_made(name), copies=copies)
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


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
) -> dict[str, str]:
    """The template with these fields instead of its own; comments and order stay."""
    with _form_problems():
        return {"template": _with_fields(template, fields)}


@api.post("/try")
async def try_out(
    request: Request, _user: Caller, template: Annotated[str, Query(max_length=200)] = ""
) -> dict[str, Any]:
    """Read scans of a form: of a ready-made one by `template`, or with files `template.toml` and its blank."""
    reader = state_of(request).service.models.active.reader
    async with uploads_of(request, max_files=12, name="scan") as uploads:
        return await asyncio.to_thread(_read, uploads, template, reader)


router.include_router(api)


@contextmanager
def _form_problems() -> Iterator[None]:
    """Errors of forms as problems: a faulty template, or a missing package of the extra."""
    try:
        yield
    except ModuleNotFoundError as problem:
        raise Problem(UNAVAILABLE, f"this needs {problem.name}: pip install 'handigit[forms]'") from None
    except FormError as problem:
        raise Problem(INVALID, str(problem)) from None


@cache
def _gallery() -> dict[str, Template]:
    return {name: Template.load(path) for name, path in forms.gallery().items()}


def _ready_made(name: str) -> Template:
    if name not in _gallery():
        raise Problem(NOT_FOUND, f"no form named {name[:40]!r}; there are: {', '.join(_gallery())}")
    return _gallery()[name]


def _propose(blank: Upload, name: str) -> dict[str, Any]:
    with _form_problems(), TemporaryDirectory() as folder:
        path = Path(folder) / f"blank{Path(name).suffix.lower()}"
        path.write_bytes(blank.read())
        text = forms.propose(path, name=Path(name).stem)
        template = Template.parse(text, folder=folder)
        page = next(open_pages(path))
    text = text.replace(f'"{path.name}"', f'"{Path(name).name}"')
    return {"template": text, "size": template.pages[0].size, "image": _data_url(page), "fields": _boxes(template)}


def _with_fields(text: str, entries: Sequence[dict[str, Any]]) -> str:
    """The template with these fields. Its blanks are set aside, because they are in the browser, not here."""
    import tomlkit

    from handigit.forms.save import update_template

    document = tomlkit.parse(text)
    blanks = [page.pop("blank", None) for page in document.get("page", [])]
    bare = tomlkit.dumps(document)
    known = Template.parse(bare).by_name
    updated = tomlkit.parse(
        update_template(bare, [_field(entry, known.get(str(entry.get("name")))) for entry in entries])
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


def _read(uploads: Sequence[Upload], name: str, reader: Reader) -> dict[str, Any]:
    with _form_problems(), TemporaryDirectory() as folder:
        files = {Path(upload.name).name: upload for upload in uploads}
        form = _ready_made(name) if name else _own_template(files, Path(folder))
        form_reader = forms.FormReader(form, reader=reader)
        results = []
        for upload in files.values():
            pages = [
                (page, form_reader.read_page(page, source=upload.name, number=index))
                for index, page in enumerate(open_pages(upload.source(), limits=reader.limits))
            ]
            for record in form_reader.group([result for _, result in pages]):
                shown = pages[record.pages[0].page][0]
                results.append(record.to_json() | {"problems": record.problems, "image": _data_url(shown, scale=False)})
        return {"records": results}


def _own_template(files: dict[str, Upload], folder: Path) -> Template:
    """Take the template and its blanks out of the uploads.

    Raises:
        Problem: no template among them.
    """
    text = files.pop("template.toml", None)
    if text is None:
        raise Problem(INVALID, "no template: choose a ready-made form, or send template.toml with its blank")
    content = text.read().decode("utf-8", "replace")
    try:
        pages = tomllib.loads(content).get("page", [])
    except tomllib.TOMLDecodeError as problem:
        raise Problem(INVALID, f"the template is not valid TOML: {problem}") from None
    for name in (Path(str(page.get("blank"))).name for page in pages):
        if name in files:
            (folder / name).write_bytes(files.pop(name).read())
    return Template.parse(content, folder=folder)


def _data_url(page: np.ndarray, *, scale: bool = True) -> str:
    """A page as a JPEG in a data URL, reduced for the screen unless boxes refer to its own pixels."""
    factor = min(1.0, _MAX_SHOWN_PX / max(page.shape)) if scale else 1.0
    shown = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else page
    content = BytesIO()
    Image.fromarray(np.asarray(shown)).save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
