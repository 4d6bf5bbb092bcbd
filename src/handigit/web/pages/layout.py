"""The page layout, access to pages, and their security headers.

No page contains an inline script or style: the content security policy allows only our own files.
"""

import json
import mimetypes
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

import handigit
from handigit.records import Outcome
from handigit.store import Role, User
from handigit.web.problems import NOT_FOUND, Problem
from handigit.web.state import state_of

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MODEL_POLICY: Final = _POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
"""Of the page with the pad, which may run the models in WebAssembly."""
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # without a referrer, a browser sends the forms of a page with the origin "null"
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Vary": "Cookie",
}
_AS_WRITTEN: Final = r"[0-9 .,:\/'+\-$€£%]"
NUMBER_FIELD: Final = Markup(  # noqa: S704 - a constant
    f'inputmode="decimal" pattern="{_AS_WRITTEN}*[0-9]{_AS_WRITTEN}*" '
    'title="A number as it is written, such as 12.50, -3 or 12/05/2026"'
)
"""Attributes of an input for a number as written; `store.Truth` accepts the same characters."""
STATIC: Final = Path(__file__).parents[1] / "static"
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("text/css", ".css"),
    ("image/svg+xml", ".svg"),
):
    mimetypes.add_type(_type, _suffix)  # Windows takes them from its registry, where a .js may be plain text
NAVIGATION: Final = (
    ("/", "Read", Role.READER),
    ("/forms", "Forms", Role.READER),
    ("/review", "Review", Role.REVIEWER),
    ("/readings", "Readings", Role.READER),
    ("/insights", "Insights", Role.READER),
    ("/models", "Models", Role.READER),
    ("/learn", "Learn", Role.READER),
)
"""Address, name and minimum role of each page in the navigation."""


class LoginRequired(Exception):
    """A page that needs a signed-in user; `back` is the address to return to."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class require_role:  # noqa: N801 - reads as a function where it is used
    """A dependency that returns the user of a page if they have at least this role."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def __call__(self, request: Request) -> User:
        """The signed-in user.

        Raises:
            LoginRequired: no one has signed in.
            Problem: the user's role is not sufficient.
        """
        access = state_of(request).access
        if await access.identify(request) is None:
            query = f"?{request.url.query}" if request.url.query else ""
            raise LoginRequired(request.url.path + query)
        user: User = await access.require(request, self._role)
        return user


AsReader = Annotated[User, Depends(require_role(Role.READER))]
AsReviewer = Annotated[User, Depends(require_role(Role.REVIEWER))]
AsAdmin = Annotated[User, Depends(require_role(Role.ADMIN))]


def render(request: Request, template: str, user: User | None, /, *, status: int = 200, **context: Any) -> Response:
    """A page from its template."""
    state = state_of(request)
    layout = {
        "path": request.url.path,
        "navigation": [entry for entry in NAVIGATION if user and user.role.may(entry[2])],
        "user": None if state.access.is_open else user,
        "may_correct": bool(user and user.role.may(Role.REVIEWER)),
        "may_switch": bool(user and user.role.may(Role.ADMIN)),
        "keeps": state.service.store is not None,
        "number_field": NUMBER_FIELD,
        "outcome_words": json.dumps({outcome.value: outcome.label for outcome in Outcome}),
        "version": handigit.__version__,
        "has_help": state.settings.docs is not None,
    }
    text = _templates().get_template(template).render(layout | context)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def to_sign_in(_request: Request, error: Exception) -> Response:
    """Redirect to the sign-in page, which then returns to the requested page."""
    assert isinstance(error, LoginRequired)
    return RedirectResponse(f"/sign-in?{urlencode({'back': error.back})}", status_code=303)


async def problem_page(request: Request, problem: Problem) -> Response:
    """An error as a page."""
    user = await state_of(request).access.identify(request)
    is_missing = problem.kind.status == NOT_FOUND.status and "endpoint" not in request.scope
    return render(request, "problem.html", user, status=problem.kind.status, problem=problem, is_missing=is_missing)


def wants_page(request: Request) -> bool:
    """Whether a browser is asking for a page rather than a program for JSON."""
    in_api = request.url.path.startswith(("/v1/", "/v2/", "/static/"))
    return not in_api and "text/html" in request.headers.get("accept", "")


class Static(StaticFiles):
    """Scripts, styles and pictures; browsers revalidate each use, at the cost of a 304."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file with a `no-cache` header."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("handigit.web"), autoescape=True, undefined=StrictUndefined)
