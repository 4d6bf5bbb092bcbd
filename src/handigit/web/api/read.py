"""`POST /v1/read`, `/v1/digit`, `/v1/number`, `/v1/page`: read pictures.

The answer is one JSON object, or JSON lines, each page as soon as it is read.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from handigit.records import ANYTHING, Expected, ReadAs
from handigit.store import Role
from handigit.web.openapi import JSON_LINES, PICTURE_BODY, query_parameters, read_responses
from handigit.web.params import KEY_HEADER, idempotency_key
from handigit.web.pattern_check import MAX_LENGTH, check_pattern
from handigit.web.problems import Problem, problem_of, problem_of_fields
from handigit.web.routes import check_query
from handigit.web.service import PageResult, ReadRequest
from handigit.web.state import AppState, state_of
from handigit.web.uploads import uploads_of


class DirectRoute(APIRoute):
    """A route whose function takes the request as it is: FastAPI's dispatch costs more than reading a digit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


class ReadFastPath:
    """ASGI middleware that calls the read routes directly, without searching the list of routes.

    Errors other than a disconnect pass to the middleware around it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes = {route.path: route for route in router.routes if isinstance(route, DirectRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a read request; pass any other on."""
        route = None
        if scope["type"] == "http" and scope["method"] == "POST":
            route = self._routes.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except (ClientDisconnected, ClientDisconnect):
            response = Response(status_code=CLIENT_CLOSED_REQUEST)
        await response(scope, receive, send)


router = APIRouter(tags=["read"], route_class=DirectRoute)
Result = TypeVar("Result")
_DISCONNECT_POLL_S: Final = 0.25
CLIENT_CLOSED_REQUEST: Final = 499
"""A status that only the log shows."""


class ClientDisconnected(Exception):
    """The client closed the connection before there was a response."""


class ReadQuery(BaseModel):
    """The query of a read request."""

    keep: bool = Field(default=True, description="Store the readings and their picture")
    within: float | None = Field(default=None, gt=0, le=3600, description="Time limit in seconds")
    name: str = Field(default="", max_length=200, description="File name of a picture sent as the body itself")
    target_error: float | None = Field(default=None, gt=0, lt=1, description="Accept about this fraction of errors")
    model_config = ConfigDict(extra="forbid")


class NumberQuery(ReadQuery):
    """The query where each picture holds one number."""

    pattern: str | None = Field(default=None, max_length=MAX_LENGTH, description="Format of a number: \\d{5}, YYYY")
    alphabet: str | None = Field(
        default=None, min_length=1, max_length=64, description="Characters that may occur: 0-9,"
    )


_QUERIES: Final[dict[ReadAs, type[ReadQuery]]] = {
    "auto": NumberQuery,
    "digit": ReadQuery,
    "number": NumberQuery,
    "page": ReadQuery,
}


def _openapi_of(kind: ReadAs) -> dict[str, Any]:
    described = PICTURE_BODY | query_parameters(_QUERIES[kind])
    return described | {"parameters": [*described["parameters"], KEY_HEADER]}


@router.post("/v1/read", openapi_extra=_openapi_of("auto"), responses=read_responses("auto"), response_class=Response)
async def read_auto(request: Request) -> Response:
    """Read pictures, deciding for each page whether it holds a digit, a number or a page of numbers."""
    return await _read(request, "auto")


@router.post(
    "/v1/digit", openapi_extra=_openapi_of("digit"), responses=read_responses("digit"), response_class=Response
)
async def read_digit(request: Request) -> Response:
    """Read pictures that hold one digit each."""
    return await _read(request, "digit")


@router.post(
    "/v1/number", openapi_extra=_openapi_of("number"), responses=read_responses("number"), response_class=Response
)
async def read_number(request: Request) -> Response:
    """Read pictures that hold one number each; of a document, one per page."""
    return await _read(request, "number")


@router.post("/v1/page", openapi_extra=_openapi_of("page"), responses=read_responses("page"), response_class=Response)
async def read_page(request: Request) -> Response:
    """Read every number on every page; with `Accept: application/jsonl` each page as soon as it is read."""
    return await _read(request, "page")


async def _read(request: Request, kind: ReadAs) -> Response:
    state = state_of(request)
    state.service.check_capacity(kind)  # first, so that a refusal costs as little as possible
    user = await state.access.require(request, Role.READER)
    query = _query_of(request, kind)
    how = _read_request(state, query, kind, request.state.request_id)
    if "idempotency-key" in request.headers:
        how = replace(how, key=f"{user.name}:{idempotency_key(request)}")
    async with AsyncExitStack() as files:
        uploads = await files.enter_async_context(
            uploads_of(request, max_files=state.settings.max_files, name=query.name)
        )
        results = state.service.read(uploads, how)
        if JSON_LINES not in request.headers.get("accept", ""):
            return _single_response(await cancel_on_disconnect(request, _collect(results)), how)
        first = await cancel_on_disconnect(request, _first(results))
        if len(uploads) == 1 and first and first.error:
            raise problem_of(first.error)  # while the status can still report it
        return StreamingResponse(_stream(first, results, how, files.pop_all()), media_type=JSON_LINES)


def _query_of(request: Request, kind: ReadAs) -> ReadQuery:
    """The validated query.

    Raises:
        Problem: an unknown parameter, or a value that is not valid.
    """
    if not request.url.query:
        return _QUERIES[kind]()
    try:
        return _QUERIES[kind].model_validate(dict(request.query_params))
    except ValidationError as error:
        check_query(request, frozenset(_QUERIES[kind].model_fields))
        raise problem_of_fields(error.errors()) from None


def _read_request(state: AppState, query: ReadQuery, kind: ReadAs, request_id: str) -> ReadRequest:
    """The request for the service.

    Raises:
        PatternError: a pattern whose matching time is not bounded.
    """
    expected = ANYTHING
    if isinstance(query, NumberQuery) and (query.pattern is not None or query.alphabet is not None):
        if query.pattern is not None:
            check_pattern(query.pattern)
        expected = Expected(query.pattern, query.alphabet)
    return ReadRequest(
        kind,
        request_id,
        keep=query.keep and state.settings.keep_readings,
        within_s=min(query.within or state.settings.deadline_s, state.settings.deadline_s),
        expected=expected,
        target_error=query.target_error,
    )


def _single_response(results: Sequence[PageResult], how: ReadRequest) -> Response:
    """All results as one JSON object; a problem's status only if nothing could be read."""
    readings = [reading for result in results for reading in result.as_dicts()]
    problems = [_file_problem(result, how) for result in results if result.error]
    body: dict[str, Any] = {"request_id": how.request_id, "readings": readings, "problems": problems}
    if len(problems) < len(results):
        return Response(json.dumps(body, ensure_ascii=False), media_type="application/json")
    problem = problem_of(next(result.error for result in results if result.error))
    if len(results) == 1:
        raise problem
    raise Problem(problem.kind, f"none of {len(results)} pictures can be read; the first: {problem.detail}")


async def _stream(
    first: PageResult | None, results: AsyncGenerator[PageResult, None], how: ReadRequest, files: AsyncExitStack
) -> AsyncGenerator[bytes, None]:
    """Each page's numbers, one JSON object per line; problems on the way are lines too."""
    async with files, aclosing(results):
        try:
            if first:
                yield _lines_of(first, how)
            async for result in results:
                yield _lines_of(result, how)
        except Problem as problem:
            yield _line({"problem": problem.as_dict(how.request_id)})


def _lines_of(result: PageResult, how: ReadRequest) -> bytes:
    if result.error:
        return _line({"problem": _file_problem(result, how)})
    return b"".join(_line(reading) for reading in result.as_dicts())


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _file_problem(result: PageResult, how: ReadRequest) -> dict[str, Any]:
    """A file's problem, with the file's name."""
    assert result.error is not None
    return {"source": result.source} | problem_of(result.error).as_dict(how.request_id)


async def _collect(results: AsyncGenerator[PageResult, None]) -> list[PageResult]:
    async with aclosing(results):
        return [result async for result in results]


async def _first(results: AsyncGenerator[PageResult, None]) -> PageResult | None:
    return await anext(results, None)


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client disconnects.

    Raises:
        ClientDisconnected: it did.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    watch = _DisconnectWatch(request, task)
    first_look = loop.call_later(_DISCONNECT_POLL_S, watch.start)  # most answers are there before
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.disconnected or task.uncancel():
            raise
        raise ClientDisconnected from None
    finally:
        first_look.cancel()
        watch.stop()


class _DisconnectWatch:
    """Cancels a task when its client has disconnected."""

    def __init__(self, request: Request, task: asyncio.Task[Any]) -> None:
        self.disconnected = False
        self._request = request
        self._task = task
        self._polling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to poll."""
        self._polling = asyncio.create_task(self._poll())

    def stop(self) -> None:
        """Stop polling."""
        if self._polling:
            self._polling.cancel()

    async def _poll(self) -> None:
        while not await self._request.is_disconnected():
            await asyncio.sleep(_DISCONNECT_POLL_S)
        self.disconnected = True
        self._task.cancel()
