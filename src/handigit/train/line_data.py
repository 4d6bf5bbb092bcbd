"""Training lines for number models: drawn ahead of training by a second process, stored packed, batched by width.

Each set of lines follows from the recipe and the set's number, so an interrupted run draws the same sets again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Generator, Tensor

from handigit.atomic import write_file
from handigit.data import Dataset, split
from handigit.data.strings import load_strings
from handigit.errors import DataError
from handigit.images.line import LINE_PX, Line, find_line
from handigit.recipe import Recipe
from handigit.synth.crops import draw_lines
from handigit.synth.number_texts import ALPHABET
from handigit.synth.real_digits import Hands
from handigit.train.digit_sources import load_source

_WIDTH_STEP_PX = 8
"""Batches are padded to a multiple of this width, which limits the number of distinct shapes."""
_SORTED_BATCHES = 24
"""Batches whose lines are sorted by width together: less padding, while the order stays random."""
_HELD_OUT_SEED = 900_000_000


@dataclass(frozen=True, eq=False)
class LineBatch:
    """Lines padded on the right to one width, the width of each in pixels, and their texts."""

    inputs: Float[Tensor, "n 1 32 width"]
    widths: Int64[Tensor, " n"]
    texts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LineSet:
    """Packed lines: `columns[starts[i]:starts[i + 1]]` is line i, 0..255, transposed."""

    columns: UInt8[np.ndarray, "total 32"]
    starts: Int64[np.ndarray, " n_and_one"]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, lines: Sequence[tuple[Line, str]]) -> "LineSet":
        """Pack lines and their texts.

        Raises:
            DataError: a text with characters outside the number alphabet.
        """
        for _, text in lines:
            if unknown := sorted(set(text) - set(ALPHABET)):
                raise DataError(f"the text {text!r} contains {unknown[0]!r}; numbers are written with {ALPHABET}")
        columns = [np.rint(line.pixels.T * 255).astype(np.uint8) for line, _ in lines]
        starts = np.cumsum([0, *(len(part) for part in columns)], dtype=np.int64)
        packed = np.concatenate(columns) if columns else np.zeros((0, LINE_PX), np.uint8)
        return cls(packed, starts, tuple(text for _, text in lines))

    def save(self, path: Path) -> None:
        """Write the set, completely or not at all."""
        with write_file(path, durable=True) as file:
            np.savez(file, columns=self.columns, starts=self.starts, texts=np.array("\n".join(self.texts)))

    @classmethod
    def load(cls, path: Path) -> "LineSet":
        """Read a file written by `save`."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["columns"], stored["starts"], tuple(str(stored["texts"]).split("\n")))

    def mix(self, extra: "LineSet", fraction: float) -> "LineSet":
        """These lines and the extra ones, repeated until they are about that fraction of the result."""
        times = max(1, round(fraction / (1 - fraction) * len(self) / len(extra)))
        columns = np.concatenate([self.columns, *[extra.columns] * times])
        widths = np.concatenate([np.diff(self.starts), *[np.diff(extra.starts)] * times])
        return LineSet(columns, np.concatenate([[0], np.cumsum(widths)]), self.texts + extra.texts * times)

    def pixels(self, index: int) -> Float32[np.ndarray, "32 width"]:
        """One line as model input, 0..1."""
        return np.ascontiguousarray(self.columns[self.starts[index] : self.starts[index + 1]].T, np.float32) / 255

    def batch(self, indices: Sequence[int] | Int64[np.ndarray, " m"]) -> LineBatch:
        """The lines with these indices as one batch."""
        widths = self.starts[1:][indices] - self.starts[:-1][indices]
        width = int(-(-int(widths.max()) // _WIDTH_STEP_PX) * _WIDTH_STEP_PX)
        pixels = np.zeros((len(indices), width, LINE_PX), np.uint8)
        for row, index in enumerate(indices):
            pixels[row, : widths[row]] = self.columns[self.starts[index] : self.starts[index + 1]]
        inputs = torch.from_numpy(pixels).transpose(1, 2).unsqueeze(1).float() / 255
        texts = tuple(self.texts[index] for index in indices)
        return LineBatch(inputs, torch.from_numpy(widths.astype(np.int64)), texts)

    def batches(self, size: int, generator: Generator | None = None) -> Iterator[LineBatch]:
        """Batches of lines of similar width: random with a generator, else all lines from narrow to wide."""
        widths = np.diff(self.starts)
        if generator is None:
            order = np.argsort(widths, kind="stable")
            groups = [order[start : start + size] for start in range(0, len(order), size)]
        else:
            order = torch.randperm(len(self), generator=generator).numpy()
            span = size * _SORTED_BATCHES
            groups = []
            for start in range(0, len(order), span):
                block = order[start : start + span]
                block = block[np.argsort(widths[block], kind="stable")]
                groups += [block[i : i + size] for i in range(0, len(block) - size + 1, size)]
            groups = [groups[i] for i in torch.randperm(len(groups), generator=generator).tolist()]
        for group in groups:
            yield self.batch(group)


@dataclass(frozen=True)
class LineSource:
    """Draws a recipe's lines with digits from the data sets in `folder`; it can be sent to another process."""

    recipe: Recipe
    folder: Path

    def hands(self, *, held_out: bool) -> list[Hands]:
        """The digit images of each data set: the training part, or the held-out part."""
        sets = [load_source(name, folder=self.folder, seed=self.recipe.drawn_from) for name in self.recipe.data]
        fraction = self.recipe.validation / sum(map(len, sets))
        parts = [
            split(dataset, validation=round(fraction * len(dataset)), seed=self.recipe.drawn_from) for dataset in sets
        ]
        return [_hands_of(part.validation if held_out else part.train) for part in parts]

    def draw(self, number: int) -> LineSet:
        """Line set number `number`."""
        seed = self.recipe.drawn_from * 1_000_003 + number
        return LineSet.of(list(draw_lines(self.recipe.lines, seed=seed, hands=self.hands(held_out=False))))

    def draw_held_out(self, count: int) -> LineSet:
        """Lines with digits that no training set contains, for validation and calibration."""
        seed = self.recipe.drawn_from + _HELD_OUT_SEED
        return LineSet.of(list(draw_lines(count, seed=seed, hands=self.hands(held_out=True))))

    def strings(self) -> LineSet | None:
        """The lines in the pictures of the recipe's tables; None if it names no table.

        Raises:
            DataError: as `load_strings`, or no picture contains a line.
        """
        if not self.recipe.strings:
            return None
        labelled = [item for table in self.recipe.strings for item in load_strings(Path(table))]
        found = [(find_line(item.page), item.text) for item in labelled]
        lines = [(line, text) for line, text in found if line is not None]
        if not lines:
            raise DataError(f"{', '.join(self.recipe.strings)}: no writing found in {len(labelled)} pictures")
        return LineSet.of(lines)


def _hands_of(dataset: Dataset) -> Hands:
    assert dataset.labels is not None
    return Hands.of(dataset.glyphs, dataset.labels)


@runtime_checkable
class Drawable(Protocol):
    """A set of lines or strips that can be written to a file."""

    def save(self, path: Path) -> None:
        """Write the set, completely or not at all."""


@runtime_checkable
class Source(Protocol):
    """Draws sets of lines or strips by number."""

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
    os.nice(1)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _draw_into(source: Source, number: int, path: Path) -> None:
    source.draw(number).save(path)
