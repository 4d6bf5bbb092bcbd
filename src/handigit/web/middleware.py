"""What every request passes, and what every answer leaves behind: a line in the log, a count.

Is the server called by a name of its own, from a page of its own, not too often, with not too much? It knows hosts,
origins and rates, not who may do what: that is `access.py`.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from handigit.web.exchange_limits import Exchange
from handigit.web.load_shedding import Door
from handigit.web.metrics import Metrics
from handigit.web.problems import NOT_ALLOWED, TOO_MANY, Problem, problem_of

log = logging.getLogger(__name__)
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Asked every few seconds by machines: neither limited nor logged while all is well."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`hosts`: names by which the server may be called, None for any; `rate_per_minute`: None for no limit."""

    max_bytes: float
    hosts: frozenset[str] | None
    rate_per_minute: int | None


class Rate:
    """A token bucket for each caller: `burst` at once, then so many a minute; those seen longest ago are forgotten."""

    _MOST_CALLERS: Final = 10_000

    def __init__(self, per_minute: int, *, burst: float) -> None:
        self._per_s = per_minute / 60
        self._room = max(1.0, burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Count one request; seconds until the next is allowed, 0 if this one is."""
        now = time.monotonic()
        level, then = self._buckets.pop(caller, (self._room, now))
        level = min(self._room, level + (now - then) * self._per_s)
        self._buckets[caller] = (max(level - 1, 0) if level >= 1 else level, now)
        if len(self._buckets) > self._MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if level >= 1 else (1 - level) / self._per_s


class Guard:
    """ASGI middleware around the whole application; `door` tells where there is no room."""

    def __init__(self, app: ASGIApp, *, rules: Rules, metrics: Metrics, door: Door) -> None:
        self._app = app
        self._rules = rules
        self._door = door
        self._metrics = metrics
        self._rate = Rate(rules.rate_per_minute, burst=rules.rate_per_minute / 6) if rules.rate_per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, max_bytes=self._rules.max_bytes)
        try:
            self._check(scope, exchange)
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # the last place where it can become an answer
            await _answer_error(error, scope, exchange)
        finally:
            self._note(scope, exchange)

    def _check(self, scope: Scope, exchange: Exchange) -> None:
        """Everything that needs no more than the request's head.

        Raises:
            Problem: one of them fails.
        """
        _check_host(exchange.headers, self._rules.hosts)
        if scope["method"] not in _SAFE:
            _check_origin(exchange.headers)
        if self._rate and scope["path"] not in _QUIET:
            wait = self._rate.take((scope.get("client") or ("unknown",))[0])
            if wait:
                raise _too_many(wait)
        exchange.check_declared()
        self._door.check(scope["path"])

    def _note(self, scope: Scope, exchange: Exchange) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        seconds = time.perf_counter() - exchange.began
        self._metrics.answered(route, scope["method"], exchange.status, seconds)
        if exchange.status == TOO_MANY.status:
            self._door.note_refusal()
        elif route not in _QUIET or exchange.status >= 400:
            self._note_answer(scope["method"], route, exchange, seconds)

    def _note_answer(self, method: str, route: str, exchange: Exchange, seconds: float) -> None:
        fields = {
            "request_id": exchange.request_id,
            "method": method,
            "route": route,
            "status": exchange.status,
            "ms": round(seconds * 1e3, 2),
            "bytes": exchange.received,
            "finished": exchange.finished,
        }
        log.info("answered", extra=fields)


async def _answer_error(error: Exception, scope: Scope, exchange: Exchange) -> None:
    """Turn an error into its problem, unless an answer has begun already."""
    problem = problem_of(error)
    if problem.kind.status >= 500:
        log_failure(error, exchange.request_id)
    if not exchange.status:
        await problem.as_response(exchange.request_id)(scope, exchange.receive, exchange.send)


def log_failure(error: Exception, request_id: str) -> None:
    """Leave in the log what failed and where, without the words of the error: they may quote what was read."""
    places: list[str] = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        places.append(f"{trace.tb_frame.f_globals.get('__name__')}.{code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    extra: dict[str, Any] = {"request_id": request_id, "error": type(error).__name__, "where": places[-6:]}
    log.error("failed", extra=extra)


def _check_host(headers: dict[bytes, bytes], hosts: frozenset[str] | None) -> None:
    """Against DNS rebinding: a page of a stranger that has its name point here."""
    if hosts is None:
        return
    name = _without_port(headers.get(b"host", b"").decode("latin-1").lower())
    if name not in hosts:
        raise Problem(NOT_ALLOWED, f"this server is not called {name[:100]!r}; add the name to HANDIGIT_HOSTS")


def _check_origin(headers: dict[bytes, bytes]) -> None:
    """Against forged requests: what changes something comes from our own pages, or from no page at all."""
    origin = headers.get(b"origin")
    own = headers.get(b"host", b"").decode("latin-1").lower()
    if origin is not None and _authority(origin.decode("latin-1").lower()) != own:
        raise Problem(NOT_ALLOWED, "the request comes from a page of another origin; send it from this server's pages")
    if headers.get(b"sec-fetch-site", b"none") in (b"cross-site", b"same-site"):
        raise Problem(NOT_ALLOWED, "the request comes from another site; send it from this server's pages")


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _without_port(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host


def _too_many(wait_s: float) -> Problem:
    seconds = max(1, round(wait_s + 0.5))
    headers = {"Retry-After": str(seconds)}
    return Problem(TOO_MANY, f"too many requests came from here; try again in {seconds} s", headers=headers)
