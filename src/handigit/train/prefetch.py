"""Sets of training data that a second process draws ahead of training.

Each set follows from the recipe and the set's number, so an interrupted run draws the same sets again.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import cv2
import torch


@runtime_checkable
class Drawable(Protocol):
    """A set that can be written to a file."""

    def save(self, path: Path) -> None:
        """Write the set, completely or not at all."""


@runtime_checkable
class Source(Protocol):
    """Draws sets by number."""

    def draw(self, number: int) -> Drawable:
        """Set number `number`."""


Drawn = TypeVar("Drawn", bound=Drawable)


class Prefetched(Generic[Drawn]):
    """A run's sets, stored in a folder, each drawn in the background while earlier ones are trained on."""

    def __init__(self, source: Source, folder: Path, count: int, load: Callable[[Path], Drawn]) -> None:
        """Sets that are already in the folder are not drawn again."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.count, self.load = folder, count, load
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_limit_threads)
        self._pending: dict[int, Future[None]] = {}
        for number in range(count):
            if not self._path(number).is_file():
                self._pending[number] = self._pool.submit(_draw_into, source, number, self._path(number))

    def set_for(self, epoch: int) -> Drawn:
        """The set of an epoch, counted from 0; blocks until it is drawn."""
        number = epoch % self.count
        if number in self._pending:
            self._pending.pop(number).result()
        return self.load(self._path(number))

    def close(self) -> None:
        """Stop drawing; sets that are finished stay in the folder."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"set-{number:04d}.npz"


def _limit_threads() -> None:
    """One thread at low priority: drawing must not slow down training."""
    if hasattr(os, "nice"):  # not on Windows
        os.nice(1)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _draw_into(source: Source, number: int, path: Path) -> None:
    source.draw(number).save(path)
