"""Time pieces of work, side by side on a machine that may be busy."""

import statistics
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]


def seconds(work: Work) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_seconds(works: Mapping[str, Work], *, rounds: int) -> dict[str, float]:
    """Median wall time of each piece of work; they take turns, so that a busy machine slows all of them."""
    for work in works.values():
        work()  # the first call allocates and warms caches
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return {name: statistics.median(times) for name, times in taken.items()}
