"""How many processor threads a training uses: as many as make its own steps fastest."""

import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import torch

log = logging.getLogger(__name__)

_ROUNDS: Final = 5
_HOPELESS: Final = 2.0
"""A candidate whose step takes this many times the best is not timed again."""
_GAIN: Final = 1.1
"""More threads must be this many times faster: they take processor time from other programs."""
_SLOW: Final = 2.0
_WATCHED_STEPS: Final = 20


class ThreadChoice:
    """Times a step with one thread, half of them and all; later falls back to one if several become slow.

    The threads of a small network wait for each other dozens of times per step. Beside another program that keeps a
    core busy, a step of 9 ms on one thread took 77 ms on two.
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._alone_s = float("inf")
        self._recent_s: deque[float] = deque(maxlen=_WATCHED_STEPS)

    def choose(self, step: Callable[[], object], *, most: int) -> int:
        """Set PyTorch's number of threads, at most `most`, by running `step` a few times; the number."""
        seconds = self._measure(step, candidates(most))
        medians = {threads: statistics.median(taken) for threads, taken in seconds.items() if len(taken) == _ROUNDS}
        self._alone_s = medians.get(1, statistics.median(seconds[1]))
        chosen = min(medians)
        for threads in sorted(medians):
            if medians[threads] * _GAIN < medians[chosen]:
                chosen = threads
        log.info("%d threads per step: %s", chosen, {n: f"{1e3 * s:.1f} ms" for n, s in medians.items()})
        torch.set_num_threads(chosen)
        return chosen

    def _measure(self, step: Callable[[], object], threads: Sequence[int]) -> dict[int, list[float]]:
        """Seconds of single steps, the candidates in turn."""
        seconds: dict[int, list[float]] = {number: [] for number in threads}
        hopeless: set[int] = set()
        for _ in range(_ROUNDS):
            for number in threads:
                if number not in hopeless:
                    torch.set_num_threads(number)
                    step()  # the first step after a change prepares kernels
                    began = self._clock()
                    step()
                    seconds[number].append(self._clock() - began)
            best = min(statistics.median(taken) for taken in seconds.values())
            hopeless |= {number for number in threads if min(seconds[number]) > _HOPELESS * best}
        return seconds

    def watch(self, seconds: float) -> None:
        """Note the duration of a step; continue on one thread if steps have become much slower than on one thread."""
        self._recent_s.append(seconds)
        if torch.get_num_threads() == 1 or len(self._recent_s) < _WATCHED_STEPS:
            return
        if statistics.median(self._recent_s) > _SLOW * self._alone_s:
            log.warning(
                "steps on %d threads take %.0f ms, on one %.0f ms: other programs keep the processor busy; continuing "
                "on one thread",
                torch.get_num_threads(), 1e3 * statistics.median(self._recent_s), 1e3 * self._alone_s,
            )  # fmt: skip
            torch.set_num_threads(1)


def candidates(most: int) -> list[int]:
    """The numbers of threads to try: one, half of them, all."""
    return sorted({1, max(1, most // 2), most})
