"""Lines to learn from: packed, drawn ahead of the training by a process of their own, and cut into batches.

It knows how lines are kept and padded, nothing of networks. Every set follows from the recipe and its own number, so a
run that was interrupted draws again what it had drawn.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Generator, Tensor

from handigit.data import Dataset, split
from handigit.data.strings import load_strings
from handigit.errors import DataError
from handigit.images.line import LINE_PX, Line, find_line
from handigit.recipe import Recipe
from handigit.synth.crops import draw_lines
from handigit.synth.number_texts import ALPHABET
from handigit.synth.real_digits import Hands
from handigit.train.digit_data import load_source
from handigit.train.run import put_in_place

_STEP_PX = 8
"""Batches are padded to a multiple of this width, so that few shapes occur."""
_SORTED_BATCHES = 24
"""Batches whose lines are sorted by width together: padding costs time, and order should stay random."""
_HELD_OUT_SEED = 900_000_000


@dataclass(frozen=True, eq=False)
class LineSet:
    """Lines one after another: `columns[starts[i]:starts[i + 1]]` is line i, 0..255, turned on its side."""

    columns: UInt8[np.ndarray, "total 32"]
    starts: Int64[np.ndarray, " n_and_one"]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, lines: Sequence[tuple[Line, str]]) -> "LineSet":
        """Pack lines and their texts.

        Raises:
            DataError: a text with characters that no number model tells apart.
        """
        for _, text in lines:
            if odd := sorted(set(text) - set(ALPHABET)):
                raise DataError(f"the text {text!r} has {odd[0]!r} in it; a number is written with {ALPHABET}")
        columns = [np.rint(line.pixels.T * 255).astype(np.uint8) for line, _ in lines]
        starts = np.cumsum([0, *(len(part) for part in columns)], dtype=np.int64)
        packed = np.concatenate(columns) if columns else np.zeros((0, LINE_PX), np.uint8)
        return cls(packed, starts, tuple(text for _, text in lines))

    def save(self, path: Path) -> None:
        """Write the set so that a reader sees all of it or nothing."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(file, columns=self.columns, starts=self.starts, texts=np.array("\n".join(self.texts)))
        put_in_place(part, path)

    @classmethod
    def load(cls, path: Path) -> "LineSet":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["columns"], stored["starts"], tuple(str(stored["texts"]).split("\n")))

    def with_share_of(self, other: "LineSet", share: float) -> "LineSet":
        """These lines and the other ones, repeated until they are that share of all."""
        times = max(1, round(share / (1 - share) * len(self) / len(other)))
        columns = np.concatenate([self.columns, *[other.columns] * times])
        widths = np.concatenate([np.diff(self.starts), *[np.diff(other.starts)] * times])
        return LineSet(columns, np.concatenate([[0], np.cumsum(widths)]), self.texts + other.texts * times)

    def pixels(self, index: int) -> Float32[np.ndarray, "32 width"]:
        """One line as models take it, 0..1."""
        return np.ascontiguousarray(self.columns[self.starts[index] : self.starts[index + 1]].T, np.float32) / 255

    def batch(self, chosen: Sequence[int] | Int64[np.ndarray, " m"]) -> "LineBatch":
        """These lines, padded at their right to one width."""
        widths = self.starts[1:][chosen] - self.starts[:-1][chosen]
        width = int(-(-int(widths.max()) // _STEP_PX) * _STEP_PX)
        pixels = np.zeros((len(chosen), width, LINE_PX), np.uint8)
        for place, index in enumerate(chosen):
            pixels[place, : widths[place]] = self.columns[self.starts[index] : self.starts[index + 1]]
        lines = torch.from_numpy(pixels).transpose(1, 2).unsqueeze(1).float() / 255
        texts = tuple(self.texts[index] for index in chosen)
        return LineBatch(lines, torch.from_numpy(widths.astype(np.int64)), texts)

    def batches(self, size: int, generator: Generator | None = None) -> Iterator["LineBatch"]:
        """All lines in batches of about one width; in random order with a generator, else from short to long."""
        widths = np.diff(self.starts)
        if generator is None:
            order = np.argsort(widths, kind="stable")
            groups = [order[start : start + size] for start in range(0, len(order), size)]
        else:
            order = torch.randperm(len(self), generator=generator).numpy()
            span = size * _SORTED_BATCHES
            groups = []
            for start in range(0, len(order), span):
                some = order[start : start + span]
                some = some[np.argsort(widths[some], kind="stable")]
                groups += [some[at : at + size] for at in range(0, len(some) - size + 1, size)]
            groups = [groups[at] for at in torch.randperm(len(groups), generator=generator).tolist()]
        for group in groups:
            yield self.batch(group)


@dataclass(frozen=True, eq=False)
class LineBatch:
    """Padded lines, the width of each in pixels, and what is written in them."""

    lines: Float[Tensor, "n 1 32 width"]
    widths: Int64[Tensor, " n"]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where a recipe's lines come from: the recipe, and the folder of its data sets. It travels to another process."""

    recipe: Recipe
    folder: Path

    def hands(self, *, held_out: bool) -> list[Hands]:
        """The hands of each data set; the held-out ones for validation."""
        sets = [load_source(name, folder=self.folder, seed=self.recipe.drawn_from) for name in self.recipe.data]
        share = self.recipe.validation / sum(map(len, sets))
        parts = [split(one, validation=round(share * len(one)), seed=self.recipe.drawn_from) for one in sets]
        return [_hands_of(part.validation if held_out else part.train) for part in parts]

    def draw(self, number: int) -> LineSet:
        """The set of that number."""
        seed = self.recipe.drawn_from * 1_000_003 + number
        return LineSet.of(list(draw_lines(self.recipe.lines, seed=seed, hands=self.hands(held_out=False))))

    def strings(self) -> LineSet | None:
        """The lines in the pictures that the recipe's tables name; None if it names none.

        Raises:
            DataError: as `load_strings`, or no picture has a line in it.
        """
        if not self.recipe.strings:
            return None
        named = [one for table in self.recipe.strings for one in load_strings(Path(table))]
        found = [(find_line(one.page), one.text) for one in named]
        lines = [(line, text) for line, text in found if line is not None]
        if not lines:
            raise DataError(f"{', '.join(self.recipe.strings)}: no writing found in {len(named)} pictures")
        return LineSet.of(lines)

    def draw_held_out(self, count: int) -> LineSet:
        """Lines of digits that no set of the training holds, to choose and to calibrate by."""
        seed = self.recipe.drawn_from + _HELD_OUT_SEED
        return LineSet.of(list(draw_lines(count, seed=seed, hands=self.hands(held_out=True))))


def _hands_of(dataset: Dataset) -> Hands:
    assert dataset.labels is not None
    return Hands.of(dataset.glyphs, dataset.labels)


class DrawnAhead:
    """The sets of a run, kept in a folder, each drawn while earlier ones are learnt from."""

    def __init__(self, source: Source, folder: Path) -> None:
        """`folder` is made if need be; sets that lie there already are not drawn again."""
        folder.mkdir(parents=True, exist_ok=True)
        self.source, self.folder = source, folder
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_stand_back)
        self.waiting: dict[int, Future[None]] = {}
        for number in range(source.recipe.line_sets):
            if not self._path(number).is_file():
                self.waiting[number] = self.pool.submit(_draw_into, source, number, self._path(number))

    def set_for(self, epoch: int) -> LineSet:
        """The lines of an epoch, counted from 0; waits until they are drawn."""
        number = epoch % self.source.recipe.line_sets
        if number in self.waiting:
            self.waiting.pop(number).result()
        return LineSet.load(self._path(number))

    def close(self) -> None:
        """Draw no more."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"set-{number:04d}.npz"


def _stand_back() -> None:
    """Have a process that draws take what time those that train leave it, on one thread."""
    os.nice(1)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _draw_into(source: Source, number: int, path: Path) -> None:
    """Draw a set in a process of its own."""
    source.draw(number).save(path)
