"""The pages at /forms/batches: piles of forms to read, and the pages of each pile by their state."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import cv2
import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from handigit.forms.page_state import PageState
from handigit.images import open_pages
from handigit.store import FormRecord, NotInStore
from handigit.web.form_templates import ANY
from handigit.web.pages.layout import AsReader, AsReviewer, render
from handigit.web.params import Digest, TheStore
from handigit.web.state import state_of
from handigit.web.wording import local_time

router = APIRouter()
_SHOWN: Final = 120
"""Records per page, each with a thumbnail or more."""
_JPEG_QUALITY: Final = 80
_MAX_WIDTH: Final = 2000
STATES: Final = {state.value: state.value.capitalize() for state in PageState}


@router.get("/forms/batches")
def show(
    request: Request, user: AsReader, store: TheStore, template: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The batches so far, and a form to read another."""
    templates = state_of(request).forms.templates
    choices = [(ANY, "Each page finds its own")]
    choices += [(name, templates.get(name).title or name) for name in templates.names]
    batches = store.forms.batches()
    return render(
        request, "batches.html", user, batches=batches, choices=choices, chosen=template, local_time=local_time
    )


@router.get("/forms/batches/{name}")
def show_one(
    request: Request,
    user: AsReader,
    store: TheStore,
    name: str,
    state: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The pages of a batch by their state; the counts are of the whole batch."""
    batch = next(iter(store.forms.batches(name=name)), None)
    if batch is None:
        raise NotInStore(f"no batch {name[:80]!r}; see /forms/batches")
    found = store.forms.list(batch=name, state=state or None, after=after, limit=_SHOWN + 1, oldest_first=True)
    shown = found[:_SHOWN]
    return render(
        request,
        "batch.html",
        user,
        batch=batch,
        at=local_time(batch.at),
        states=STATES,
        state=state,
        pages=[page for record in shown for page in _pages(record)],
        rest_after=shown[-1].id if len(found) > _SHOWN else None,
        incomplete=store.forms.list(batch=name, incomplete=True, limit=_SHOWN, oldest_first=True),
    )


@router.post("/forms/batches/{name}/check")
def check_again(request: Request, user: AsReviewer, store: TheStore, name: str) -> Response:
    """Apply the checks of the current templates again, and show the batch."""
    state_of(request).forms.recheck(store, name, by=user.name)
    return RedirectResponse(f"/forms/batches/{quote(name, safe='')}", status_code=303)


@router.get("/forms/pictures/{digest}")
def picture(
    request: Request,
    _user: AsReader,
    store: TheStore,
    digest: Digest,
    width: Annotated[int, Query(ge=16, le=_MAX_WIDTH)] = 300,
    box: Annotated[str, Query(pattern=r"^-?\d{1,6}(,-?\d{1,6}){3}$|^$")] = "",
) -> Response:
    """A stored page, or a box of it with a margin, as a JPEG of this width at most."""
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{digest}-{width}-{box}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    page = next(open_pages(store.picture(digest)))
    if box:
        page = _cut(page, [int(side) for side in box.split(",")])
    scale = min(1.0, width / page.shape[1])
    if scale < 1:
        size = width, max(1, round(page.shape[0] * scale))
        page = np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Response(data.tobytes(), media_type="image/jpeg", headers=headers)


def _cut(page: np.ndarray, box: list[int]) -> np.ndarray:
    """A box with a quarter of its height around it, one pixel at least."""
    left, top, right, bottom = box
    margin = max(4, (bottom - top) // 4)
    left, top = max(0, min(left - margin, page.shape[1] - 1)), max(0, min(top - margin, page.shape[0] - 1))
    return np.asarray(page[top : max(bottom + margin, top + 1), left : max(right + margin, left + 1)])


def _pages(record: FormRecord) -> list[dict[str, Any]]:
    """Each page of a record as the web page shows it."""
    pictures = iter([digest for _, digest in sorted(record.pictures.items())])
    return [
        {
            "record": record.id,
            "state": page["state"],
            "reason": page["reason"],
            "name": page["source"].rpartition("/")[2],
            "number": page["page"] + 1,
            "picture": next(pictures, None),
            "outcome": record.content["outcome"],
        }
        for page in record.content["pages"]
    ]
