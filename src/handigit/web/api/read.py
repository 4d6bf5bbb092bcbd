"""`POST /v1/digit`, `/v1/number`, `/v1/page`: pictures in, answers out, at once or line by line.

It knows how a request becomes a promise and answers become JSON; reading is the service's work.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from handigit.pipeline import Kind
from handigit.store import Role
from handigit.web.openapi import LINES, PICTURES, answers, described_query
from handigit.web.problems import Problem, problem_of, problem_of_fields
from handigit.web.service import Answered, Promise, Service
from handigit.web.uploads import uploads_of


class Bare(APIRoute):
    """A route whose function takes the request as it is: FastAPI's own way to it costs more than reading the digit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


class Shortcut:
    """ASGI middleware that takes the requests to read straight to their function, past the list of all addresses.

    What the function raises, other than that its caller has gone, is for whoever stands around it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes = {route.path: route for route in router.routes if isinstance(route, Bare)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to read; let any other pass."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except (CallerGone, ClientDisconnect):
            response = Response(status_code=GONE)
        await response(scope, receive, send)


router = APIRouter(tags=["read"], route_class=Bare)
Result = TypeVar("Result")
_GLANCE_S: Final = 0.25
"""How often it is looked whether the caller is still there."""


GONE: Final = 499
"""A status that nobody sees but the log."""


class CallerGone(Exception):
    """The connection was closed before there was an answer; nobody will see one."""


class Asked(BaseModel):
    """What the query says."""

    keep: bool = Field(default=True, description="Keep the readings and their picture in the store")
    within: float | None = Field(default=None, gt=0, le=3600, description="Seconds after which no answer is wanted")
    pattern: str | None = Field(default=None, max_length=100, description="What a number looks like: \\d{5}, YYYY")
    name: str = Field(default="", max_length=200, description="What to call a picture that is the body itself")


_READS: Final = PICTURES | described_query(Asked)


@router.post("/v1/digit", openapi_extra=_READS, responses=answers("digit"), response_class=Response)
async def read_digit(request: Request) -> Response:
    """Read pictures that hold one digit each."""
    return await _read(request, "digit")


@router.post("/v1/number", openapi_extra=_READS, responses=answers("number"), response_class=Response)
async def read_number(request: Request) -> Response:
    """Read pictures that hold one number each; of a document, one on each page."""
    return await _read(request, "number")


@router.post("/v1/page", openapi_extra=_READS, responses=answers("page"), response_class=Response)
async def read_page(request: Request) -> Response:
    """Read every number on every page; with `Accept: application/jsonl` each page as soon as it is read."""
    return await _read(request, "page")


async def _read(request: Request, kind: Kind) -> Response:
    state = request.app.state
    await state.access.need(request, Role.READER)
    asked = _asked(request)
    service: Service = state.service
    within_s = min(asked.within or state.settings.deadline_s, state.settings.deadline_s)
    request_id = request.state.request_id
    promise = Promise(kind, request_id, asked.keep and state.settings.keep_readings, within_s, asked.pattern)
    async with AsyncExitStack() as files:
        most = state.settings.max_files
        uploads = await files.enter_async_context(uploads_of(request, most=most, name=asked.name))
        pages = service.read(uploads, promise)
        if LINES not in request.headers.get("accept", ""):
            return _at_once(await _unless_gone(request, _collected(pages)), promise)
        first = await _unless_gone(request, _first(pages))
        if len(uploads) == 1 and first and first.error:
            raise problem_of(first.error)  # while there is a status to say it with
        return StreamingResponse(_lines(first, pages, promise, files.pop_all()), media_type=LINES)


def _asked(request: Request) -> Asked:
    """The query, checked.

    Raises:
        Problem: a value that is not valid.
    """
    if not request.url.query:
        return _NOTHING_ASKED
    try:
        return Asked.model_validate(dict(request.query_params))
    except ValidationError as wrong:
        raise problem_of_fields(wrong.errors()) from None


_NOTHING_ASKED: Final = Asked()


def _at_once(answered: Sequence[Answered], promise: Promise) -> Response:
    """All answers as one JSON object; the status of a problem only where nothing at all could be read."""
    readings = [reading for one in answered for reading in one.as_dicts()]
    problems = [_told(one, promise) for one in answered if one.error]
    body: dict[str, Any] = {"request_id": promise.request_id, "readings": readings, "problems": problems}
    if len(problems) < len(answered):
        return Response(json.dumps(body, ensure_ascii=False), media_type="application/json")
    first = next(one.error for one in answered if one.error)
    raise problem_of(first) if len(answered) == 1 else _none_of_them(first, len(answered))


def _none_of_them(first: Exception, count: int) -> Problem:
    problem = problem_of(first)
    return Problem(problem.kind, f"none of {count} pictures can be read; the first: {problem.detail}")


async def _lines(
    first: Answered | None, pages: AsyncGenerator[Answered, None], promise: Promise, files: AsyncExitStack
) -> AsyncGenerator[bytes, None]:
    """Each page's answers, an object a line; what goes wrong on the way is a line too."""
    async with files, aclosing(pages):
        try:
            for line in _lines_of(first, promise):
                yield line
            async for answered in pages:
                for line in _lines_of(answered, promise):
                    yield line
        except Problem as problem:
            yield _line({"problem": problem.as_dict(promise.request_id)})


def _lines_of(answered: Answered | None, promise: Promise) -> list[bytes]:
    if answered is None:
        return []
    if answered.error:
        return [_line({"problem": _told(answered, promise)})]
    return [_line(reading) for reading in answered.as_dicts()]


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _told(answered: Answered, promise: Promise) -> dict[str, Any]:
    """A file's problem, with the file's name."""
    assert answered.error is not None
    return {"source": answered.source} | problem_of(answered.error).as_dict(promise.request_id)


async def _collected(pages: AsyncGenerator[Answered, None]) -> list[Answered]:
    async with aclosing(pages):
        return [one async for one in pages]


async def _first(pages: AsyncGenerator[Answered, None]) -> Answered | None:
    return await anext(pages, None)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the caller hangs up.

    Raises:
        CallerGone: they did.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    watch = _Watch(request, task)
    glance = loop.call_later(_GLANCE_S, watch.begin)  # most answers are there before
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.gone or task.uncancel():
            raise
        raise CallerGone from None
    finally:
        glance.cancel()
        watch.end()


class _Watch:
    """Cancels a task when its caller has hung up; begins to look only when it is asked to."""

    def __init__(self, request: Request, task: asyncio.Task[Any]) -> None:
        self.gone = False
        self._request = request
        self._task = task
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look now, and again from time to time."""
        self._looking = asyncio.create_task(self._look())

    def end(self) -> None:
        """Look no longer."""
        if self._looking:
            self._looking.cancel()

    async def _look(self) -> None:
        while not await self._request.is_disconnected():
            await asyncio.sleep(_GLANCE_S)
        self.gone = True
        self._task.cancel()
