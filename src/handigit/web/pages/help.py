"""`/help`: the documentation as `make docs` builds it, from the folder in HANDIGIT_DOCS, without a network."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

_INLINE: Final = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def mount_help(app: FastAPI, folder: Path | None) -> None:
    """Serve the documentation, if there is a folder with it."""
    if folder is not None:
        app.mount("/help", Documentation(directory=folder, html=True))


class Documentation(StaticFiles):
    """The built site. Its theme has inline scripts: the policy allows exactly those that are in the page."""

    def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
        """A file, with its content security policy if it is a page."""
        response = super().file_response(full_path, *args, **kwargs)
        if Path(full_path).suffix != ".html" or response.status_code != 200:
            return response
        content = Path(full_path).read_bytes()
        hashes = "".join(f" 'sha256-{_digest(script)}'" for script in sorted(set(_INLINE.findall(content))))
        return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY.format(hashes=hashes)})


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
