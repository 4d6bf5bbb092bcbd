"""What the pad needs to read without a network: the list of files to keep, the models, and the service worker."""

import hashlib
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

import handigit
from handigit.store import Role
from handigit.web.browser_models import model_files
from handigit.web.pages.layout import STATIC
from handigit.web.pages.read import SAMPLES
from handigit.web.problems import NOT_FOUND, Problem
from handigit.web.state import state_of

router = APIRouter(include_in_schema=False)
_PAGE_FILES: Final = ("app.css", "pad.css", "picture.css", "icon.svg", "icons.svg", "manifest.webmanifest")
"""Files of the first page beside its scripts."""
_WORKER_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
    "Cache-Control": "no-cache",
}


@router.get("/offline.json")
async def files(request: Request) -> Response:
    """Every file to keep with its size, the models' address, and a version that changes with them."""
    state = state_of(request)
    await state.access.require(request, Role.READER)
    active = state.service.models.active
    version = hashlib.sha256("".join([handigit.__version__, *active.digests]).encode()).hexdigest()[:12]
    models = f"/offline/{version}/"
    kept: list[dict[str, Any]] = [{"address": "/", "bytes": 10_000}]
    kept += [
        {"address": f"/static/{path.relative_to(STATIC).as_posix()}", "bytes": path.stat().st_size}
        for path in _static_files()
    ]
    kept += [{"address": f"/samples/{sample.name}", "bytes": 50_000} for sample in SAMPLES]
    kept += [
        {"address": models + name, "bytes": path.stat().st_size} for name, path in model_files(active.reader).items()
    ]
    return JSONResponse({"version": version, "models": models, "files": kept})


def _static_files() -> list[Path]:
    scripts = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".mjs", ".gz")]
    return sorted([*scripts, *(STATIC / name for name in _PAGE_FILES)])


@router.get("/offline/{version}/{name}")
async def model(request: Request, version: str, name: str) -> Response:  # noqa: ARG001 - a new version is a new address
    """A model of the active reader."""
    state = state_of(request)
    await state.access.require(request, Role.READER)
    path = model_files(state.service.models.active.reader).get(name)
    if path is None:
        raise Problem(NOT_FOUND, f"no model {name[:40]!r}")
    return FileResponse(path, media_type="application/octet-stream")


@router.get("/service-worker.js")
def service_worker() -> Response:
    """The script that serves the kept files; its address decides for which pages."""
    return FileResponse(STATIC / "offline" / "service_worker.js", media_type="text/javascript", headers=_WORKER_HEADERS)
