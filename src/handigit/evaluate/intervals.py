"""Confidence intervals of a counted fraction: Wilson and Clopper-Pearson."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from handigit.errors import DataError

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that contains the true fraction with a stated confidence; both ends in 0..1."""

    low: float
    high: float


def wilson(count: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of `count` out of `n` (Wilson 1927), which is also accurate near 0 and 1.

    Raises:
        DataError: nothing was counted, or more hits than trials.
    """
    _check(count, n)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = count / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(low=max((centre - half) / scale, 0.0), high=min((centre + half) / scale, 1.0))


def clopper_pearson(count: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of `count` out of `n` (Clopper & Pearson 1934): never too narrow.

    Each end is the fraction at which a count this extreme has probability (1 - confidence) / 2.

    Raises:
        DataError: nothing was counted, or more hits than trials.
    """
    _check(count, n)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _share_at(count - 1, n, at_most=1 - tail)
    high = 1.0 if count == n else _share_at(count, n, at_most=tail)
    return Interval(low=low, high=high)


def _check(count: int, n: int) -> None:
    if n < 1 or not 0 <= count <= n:
        raise DataError(f"{count} out of {n} is not a fraction; give 0 <= count <= n with n of at least 1")


def _share_at(count: int, n: int, *, at_most: float) -> float:
    """The fraction at which at most `count` of `n` has probability `at_most`, by bisection."""
    counts = np.arange(count + 1)
    # The logarithms of "n choose i" as running sums: factorials would overflow at n = 171.
    ways = np.concatenate([[0.0], np.cumsum(np.log((n - counts[1:] + 1) / counts[1:]))])
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        logs = ways + counts * math.log(middle) + (n - counts) * math.log1p(-middle)
        largest = logs.max()
        # The probability falls as the fraction grows.
        if largest + math.log(np.exp(logs - largest).sum()) > math.log(at_most):
            low = middle
        else:
            high = middle
    return (low + high) / 2
