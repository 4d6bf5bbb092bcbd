"""ASGI middleware around the whole application: host, origin and rate checks, errors to problems, log and metrics.

Roles are checked in `auth.py`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from handigit.web.exchange_limits import RequestGuard, UploadBudget
from handigit.web.metrics import Metrics
from handigit.web.problems import BAD_REQUEST, FORBIDDEN, TOO_MANY, Problem, problem_of
from handigit.web.rate_limits import RefusalPace, TokenBucket, network_of, too_many

log = logging.getLogger(__name__)
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Polled by machines every few seconds: not rate-limited, and logged only when they fail."""


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """Requirements on every request.

    Attributes:
        max_bytes: Largest body.
        max_total_bytes: Bytes of all large bodies that are held at once.
        hosts: Accepted host names; None for any.
        origins: Other origins whose pages may send requests.
        rate_per_minute: Requests per address, where everyone must sign in.
        is_open: Whether no one needs to sign in.
    """

    max_bytes: float
    max_total_bytes: float
    hosts: frozenset[str] | None
    origins: frozenset[str]
    rate_per_minute: int
    is_open: Callable[[], bool]


class GuardMiddleware:
    """Checks every request, and logs and counts every response."""

    def __init__(self, app: ASGIApp, *, policy: RequestPolicy, metrics: Metrics) -> None:
        self._app = app
        self._policy = policy
        self._metrics = metrics
        self._budget = UploadBudget(policy.max_total_bytes)
        self._rate = TokenBucket(policy.rate_per_minute, burst=policy.rate_per_minute / 6)
        self._refusals = _RefusalLog()
        self._pace = RefusalPace(per_second=250, burst=500, longest_s=5.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guard = RequestGuard(
            scope,
            receive,
            send,
            max_bytes=self._policy.max_bytes,
            budget=self._budget,
            origins=self._policy.origins,
        )
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # the guard drops the body
        try:
            self._check(scope, guard)
            await self._app(inner, guard.receive, guard.send)
        except Exception as error:  # the last place where it can become a response
            problem = problem_of(error)
            if problem.kind.status == TOO_MANY.status:
                await asyncio.sleep(self._pace.pause_s(time.monotonic()))
            await _answer_error(error, problem, scope, guard)
        finally:
            guard.close()
            self._record({**inner, "method": scope["method"]}, guard)

    def _check(self, scope: Scope, guard: RequestGuard) -> None:
        """Every check that needs only the request's head.

        Raises:
            Problem: one of them fails.
        """
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:
            raise Problem(BAD_REQUEST, "the request has more than one Host header; send one")
        _check_host(guard.headers, self._policy.hosts)
        if scope["method"] not in _SAFE_METHODS:
            _check_origin(guard.headers, self._policy.origins)
        if not self._policy.is_open() and scope["path"].removeprefix(scope.get("root_path", "")) not in _PROBES:
            wait_s = self._rate.take(network_of((scope.get("client") or ("unknown",))[0]))
            if wait_s:
                raise too_many("too many requests from this address", wait_s)
        guard.check_declared()

    def _record(self, scope: Scope, guard: RequestGuard) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        seconds = time.perf_counter() - guard.started
        self._metrics.count_request(route, scope["method"], guard.status, seconds)
        if guard.status == TOO_MANY.status:
            self._refusals.add()
        elif route not in _PROBES or guard.status >= 400:
            fields = {
                "request_id": guard.request_id,
                "method": scope["method"],
                "route": route,
                "status": guard.status,
                "ms": round(seconds * 1e3, 2),
                "bytes": guard.received,
                "finished": guard.finished,
            }
            log.info("answered", extra=fields)


class _RefusalLog:
    """One line per second for all 429s, so that a flood of requests does not become a flood of lines."""

    def __init__(self) -> None:
        self._count = 0
        self._logged_at = 0.0

    def add(self) -> None:
        """Count one refusal."""
        self._count += 1
        now = time.monotonic()
        if now - self._logged_at > 1:
            log.warning("refused", extra={"status": TOO_MANY.status, "count": self._count})
            self._count, self._logged_at = 0, now


async def _answer_error(error: Exception, problem: Problem, scope: Scope, guard: RequestGuard) -> None:
    """Send an error's problem, unless a response has started."""
    if problem.kind.status >= 500:
        log_failure(error, guard.request_id)
    if not guard.status:
        await problem.as_response(guard.request_id)(scope, guard.receive, guard.send)


def log_failure(error: Exception, request_id: str) -> None:
    """Log where an error was raised, without its message, which may quote a reading."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        frames.append(f"{trace.tb_frame.f_globals.get('__name__')}.{code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    extra: dict[str, Any] = {"request_id": request_id, "error": type(error).__name__, "where": frames[-6:]}
    log.error("failed", extra=extra)


def _check_host(headers: dict[bytes, bytes], hosts: frozenset[str] | None) -> None:
    """Against DNS rebinding: a foreign page whose host name resolves to this server."""
    if hosts is None:
        return
    name = _without_port(headers.get(b"host", b"").decode("latin-1").lower())
    if name not in hosts:
        raise Problem(FORBIDDEN, f"{name[:100]!r} is not a host name of this server; add it to HANDIGIT_HOSTS")


def _check_origin(headers: dict[bytes, bytes], origins: frozenset[str]) -> None:
    """Against request forgery: changes must be sent by this server's own pages, a listed origin, or no page at all."""
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() in origins:
        return
    own = headers.get(b"host", b"").decode("latin-1").lower()
    if origin is not None and _authority(origin.decode("latin-1").lower()) != own:
        raise Problem(FORBIDDEN, "the request comes from a page of another origin; send it from this server's pages")
    if headers.get(b"sec-fetch-site", b"none") in (b"cross-site", b"same-site"):
        raise Problem(FORBIDDEN, "the request comes from another site; send it from this server's pages")


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _without_port(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host
