"""Rate limits per caller."""

import ipaddress
import time
from collections import OrderedDict
from typing import Final

from handigit.web.problems import TOO_MANY, Problem


class TokenBucket:
    """A rate limit per caller: `burst` at once, then `per_minute`; callers seen longest ago are forgotten."""

    _MAX_CALLERS: Final = 10_000

    def __init__(self, per_minute: int, *, burst: float) -> None:
        self._per_s = per_minute / 60
        self._burst = max(1.0, burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Count one request; returns the seconds until the next is allowed, 0 if this one is."""
        now = time.monotonic()
        level, before = self._buckets.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - before) * self._per_s)
        self._buckets[caller] = (max(level - 1, 0) if level >= 1 else level, now)
        if len(self._buckets) > self._MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if level >= 1 else (1 - level) / self._per_s


class RefusalPace:
    """Spaces refusals in a flood: `burst` at once, then `per_second`; none waits longer than `longest_s`.

    A client that asks again at once, in spite of `Retry-After`, is thereby refused every few seconds instead of a
    thousand times, and the processor has time for those that are served.
    """

    def __init__(self, *, per_second: float, burst: int, longest_s: float) -> None:
        self._spacing = 1 / per_second
        self._credit = burst / per_second
        self._longest_s = longest_s
        self._next_at = 0.0

    def pause_s(self, now: float) -> float:
        """Seconds until a refusal that is due now should be sent."""
        after = max(self._next_at, now - self._credit) + self._spacing
        self._next_at = min(after, now + self._longest_s)
        return max(0.0, self._next_at - now)


def network_of(address: str) -> str:
    """The caller that a limit counts: an IPv4 address, or the /64 network that one IPv6 subscriber usually has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def too_many(detail: str, wait_s: float) -> Problem:
    """A 429 for one caller, with `Retry-After`."""
    seconds = max(1, round(wait_s + 0.5))
    return Problem(TOO_MANY, f"{detail}; try again in {seconds} s", headers={"Retry-After": str(seconds)})
