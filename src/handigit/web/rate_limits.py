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
