"""What all pages share: how a template becomes an answer, who sees which page, and what a page's scripts may do.

It knows templates and headers, nothing of what a page is about. No page has a script or a style of its own inside: the
browser is told to run nothing but our own files.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

import handigit
from handigit.store import Role, User
from handigit.web.problems import Problem

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Vary": "Cookie",
}
STATIC: Final = Path(__file__).parents[1] / "static"
PLACES: Final = (
    ("/", "Read", Role.READER),
    ("/review", "Review", Role.REVIEWER),
    ("/readings", "Readings", Role.READER),
    ("/insights", "Insights", Role.READER),
    ("/models", "Models", Role.READER),
    ("/learn", "Learn", Role.READER),
)
"""Address, name and role of each page in the navigation."""


class SignInFirst(Exception):
    """A page that somebody may see who has said who they are; `back` is where they wanted to go."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class Visitor:
    """A dependency: who sees the page; they must have this role."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def __call__(self, request: Request) -> User:
        """Who it is.

        Raises:
            SignInFirst: they have not said.
            Problem: they may not.
        """
        access = request.app.state.access
        if await access.who(request) is None:
            query = f"?{request.url.query}" if request.url.query else ""
            raise SignInFirst(request.url.path + query)
        user: User = await access.need(request, self._role)
        return user


AsReader = Annotated[User, Depends(Visitor(Role.READER))]
AsReviewer = Annotated[User, Depends(Visitor(Role.REVIEWER))]


def render(request: Request, template: str, user: User | None, /, *, status: int = 200, **shown: Any) -> Response:
    """A page: the template with what it shows, and the frame around it."""
    access = request.app.state.access
    places = [place for place in PLACES if user and user.role.may(place[2])]
    frame = {
        "here": request.url.path,
        "places": places,
        "user": None if access.is_open else user,
        "may_correct": bool(user and user.role.may(Role.REVIEWER)),
        "may_switch": bool(user and user.role.may(Role.ADMIN)),
        "keeps": request.app.state.service.store is not None,
        "version": handigit.__version__,
    }
    text = _templates().get_template(template).render(frame | shown)
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def to_sign_in(_request: Request, error: Exception) -> Response:
    """Send somebody to the page on which they sign in, and from there to where they wanted to go."""
    assert isinstance(error, SignInFirst)
    return RedirectResponse(f"/sign-in?{urlencode({'back': error.back})}", status_code=303)


async def problem_page(request: Request, problem: Problem) -> Response:
    """A refusal for people: what is wrong and what to do."""
    user = await request.app.state.access.who(request)
    return render(request, "problem.html", user, status=problem.kind.status, problem=problem)


def wants_page(request: Request) -> bool:
    """Whether whoever asks is a person in front of a browser, at an address that is a page's."""
    in_api = request.url.path.startswith(("/v1/", "/v2/", "/static/"))
    return not in_api and "text/html" in request.headers.get("accept", "")


class Static(StaticFiles):
    """Our scripts, styles and pictures; browsers keep them and ask whether they are still the same."""

    def file_response(self, *args: Any, **how: Any) -> Response:
        """A file that is asked for anew each time, at the cost of a 304."""
        response = super().file_response(*args, **how)
        response.headers["Cache-Control"] = "no-cache"
        return response


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("handigit.web"), autoescape=True, undefined=StrictUndefined)
