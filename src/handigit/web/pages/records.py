"""The pages of records: one form with its checks, and one field of all forms of a batch, the least certain first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from handigit.records import percent
from handigit.store import FormRecord, NotInStore, Store
from handigit.web.form_service import stored_dict
from handigit.web.pages.layout import AsReader, AsReviewer, render
from handigit.web.params import RowId, TheStore
from handigit.web.problems import INVALID, Problem
from handigit.web.state import state_of
from handigit.web.wording import local_time

router = APIRouter()
_ENTRIES: Final = 200
"""Fields per page of the grid."""
_FAILING: Final = 50
"""Forms per page of those in which a check fails."""
_CANDIDATES: Final = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A field to look at: the place of its picture, its reading, its alternatives."""

    record: int
    name: str
    field: Mapping[str, Any]
    picture: str | None

    @property
    def candidates(self) -> list[str]:
        """The likeliest texts besides the one that was read, and the reading before the checks."""
        found = [text for text, _ in self.field["alternatives"][:_CANDIDATES]]
        alone = (self.field["alone"] or {}).get("text", "")
        return list(dict.fromkeys(text for text in [alone, *found] if text and text != self.field["text"]))

    @property
    def shown(self) -> str:
        """The value as people write it: 36.8 for a decimal whose point is printed."""
        value = self.field["value"]
        return value if isinstance(value, str) and self.field["kind"] == "decimal" else self.field["text"]

    @property
    def box(self) -> str:
        """Its box as the address of its picture has it."""
        return ",".join(map(str, self.field["box"])) if self.field["box"] else ""


@router.get("/forms/records/{number}")
def show(request: Request, user: AsReader, store: TheStore, number: RowId) -> Response:
    """One form: its pages with their fields, every field with its picture, its checks with their arithmetic."""
    stored = store.forms.get(number)
    record = stored_dict(stored)
    templates = state_of(request).forms.templates
    pages = [page | {"picture": picture} for page, picture in _pages(stored)]
    entries = entries_of(stored)
    return render(
        request,
        "record.html",
        user,
        record=record,
        pages=pages,
        entries=entries,
        first_doubt=next((entry.name for entry in entries if entry.field["outcome"] == "doubt"), None),
        history=store.forms.revisions(number),
        changes=stored.changes,
        choices=[(name, templates.get(name).title or name) for name in templates.names],
        likely=_likely_template(stored, store),
        percent=percent,
        local_time=local_time,
    )


@router.post("/forms/records/{number}/place")
def place(
    request: Request, user: AsReviewer, store: TheStore, number: RowId,
    template: Annotated[str, Form(max_length=64)], page: Annotated[int, Form(ge=1, le=1000)],
    corners: Annotated[str, Form(max_length=200)] = "",
) -> Response:  # fmt: skip
    """Read the page again from the corners that a person has given, and show the record."""
    forms = state_of(request).forms
    forms.place(store, number, _corners(corners), template=template, page=page, by=user.name)
    return RedirectResponse(f"/forms/records/{number}", status_code=303)


@router.get("/forms/batches/{name}/review")
def review(
    request: Request,
    user: AsReviewer,
    store: TheStore,
    name: str,
    field: Annotated[str, Query(max_length=200)] = "",
    check: Annotated[str, Query(max_length=500)] = "",
    everything: Annotated[bool, Query()] = False,
) -> Response:
    """One field of all forms, the least certain first; or the forms in which a check fails; or a list of both."""
    batch = next((one for one in store.forms.batches(name=name) if one.templates), None)
    if batch is None:
        raise NotInStore(f"no forms in a batch {name[:80]!r}; see /forms/batches")
    records = (record for record in store.forms.all(batch=name) if record.content["template"])
    context: dict[str, Any] = {
        "name": name,
        "field": field,
        "check": check,
        "everything": everything,
        "percent": percent,
    }
    if check:
        failing = [(record, found, [one for one in entries_of(record) if one.name in found["fields"]])
                   for record in records if (found := _failing(record, check))]  # fmt: skip
        groups = failing[-_FAILING:][::-1]
        return render(request, "review_check.html", user, groups=groups, count=len(failing), **context)
    if field:
        chosen = [
            entry
            for record in records
            for entry in entries_of(record, only=field)
            if everything or entry.field["outcome"] == "doubt"
        ]
        chosen.sort(key=lambda one: (one.field["by"] == "person", one.field["confidence"]))
        return render(request, "review_field.html", user, entries=chosen[:_ENTRIES], count=len(chosen), **context)
    fields, checks = _counts(records)
    labels = _labels(request, batch.templates)
    return render(request, "review_batch.html", user, fields=fields, checks=checks, labels=labels, **context)


def _labels(request: Request, names: Iterable[str]) -> dict[str, str]:
    """What is printed beside each field, by name, of the templates that are still there."""
    templates = state_of(request).forms.templates
    known = [templates.get(name) for name in names if name in templates.names]
    return {spec.name: spec.label for template in known for spec in template.fields if spec.label}


def _likely_template(stored: FormRecord, store: Store) -> str:
    """The template of a record, or of the others in its batch where it has none."""
    batch = next(iter(store.forms.batches(name=stored.batch)), None)
    return str(stored.content["template"]) or next(iter(batch.templates if batch else ()), "")


def _corners(text: str) -> list[list[float]]:
    """Corners from "x,y x,y x,y x,y".

    Raises:
        Problem: they are not four points.
    """
    try:
        found = [[float(side) for side in corner.split(",")] for corner in text.split()]
    except ValueError:
        found = []
    if len(found) != 4 or any(len(corner) != 2 for corner in found):
        raise Problem(INVALID, f"{text[:80]!r} is not four corners; press Show corners and drag them first")
    return found


def entries_of(stored: FormRecord, *, only: str | None = None) -> list[Entry]:
    """The fields of a record, in the order of the template; or the one of this name, if it has it."""
    pictures = {page["page"]: picture for page, picture in _pages(stored)}
    return [Entry(stored.id, name, field, pictures.get(field["page"]))
            for name, field in stored.content["fields"].items() if only in (None, name)]  # fmt: skip


def _pages(stored: FormRecord) -> list[tuple[dict[str, Any], str | None]]:
    """The pages of a record with the digests of their pictures."""
    pictures = iter([digest for _, digest in sorted(stored.pictures.items())])
    return [(page, next(pictures, None)) for page in stored.content["pages"]]


Counted = list[tuple[str, int, int]]


def _counts(records: Iterable[FormRecord]) -> tuple[Counted, Counted]:
    """Name, doubts and number of each field; rule, failures and number of each check. Records are not kept."""
    fields: dict[str, list[int]] = {}
    checks: dict[str, list[int]] = {}
    for record in records:
        for name, field in record.content["fields"].items():
            _count(fields, name, counts=field["outcome"] == "doubt")
        for check in record.content["checks"]:
            _count(checks, check["says"], counts=check["state"] == "fails")
    return _listed(fields), _listed(checks)


def _count(found: dict[str, list[int]], name: str, *, counts: bool) -> None:
    entry = found.setdefault(name, [0, 0])
    entry[0] += counts
    entry[1] += 1


def _listed(found: dict[str, list[int]]) -> Counted:
    return [(name, some, number) for name, (some, number) in found.items()]


def _failing(record: FormRecord, says: str) -> dict[str, Any] | None:
    """The failed check of a record with this message."""
    return next(
        (check for check in record.content["checks"] if check["says"] == says and check["state"] == "fails"), None
    )
