"""A data set in the terminal: figures, bar charts, and samples in half-block characters.

`describe` prints nothing; it returns a Rich renderable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from handigit.data.dataset import CLASSES, Dataset, duplicates

LEVELS = 32
"""Width of an intensity bin, in levels of 0..255."""
_BAR_COLUMNS = 40
_INK = 96
"""Minimum level drawn as a block, so that a terminal without colours shows the digit too."""
_MAX_SKIPPED = 10
_COUNTED_AT_ONCE = 1000
"""NumPy counts in int64: in groups of glyphs, or the set would be in memory eight times over."""


@dataclass(frozen=True)
class Bar:
    """One value of a chart, and its fraction of the chart's largest."""

    label: str
    value: int
    fraction: float


@dataclass(frozen=True)
class Summary:
    """A set in a few figures.

    `balance` has one bar per digit, none for a set without labels; `intensity` one per 32 levels, of the pixels that
    are not 0; `inked` is the fraction of those among all pixels.
    """

    facts: tuple[tuple[str, str], ...]
    balance: tuple[Bar, ...]
    intensity: tuple[Bar, ...]
    inked: float
    skipped: tuple[str, ...]


def summarise(dataset: Dataset) -> Summary:
    """Count labels, pixel levels and duplicates; about a second for 60,000 glyphs."""
    levels = _count_levels(dataset)
    bins = levels.reshape(-1, LEVELS).sum(axis=1).tolist()
    bin_names = [f"{max(start, 1)}-{start + LEVELS - 1}" for start in range(0, 256, LEVELS)]
    inked = int(levels.sum()) / max(dataset.glyphs.size, 1)
    facts = (
        ("name", dataset.name),
        ("glyphs", f"{len(dataset):,} of 28x28 bytes, ink bright on 0"),
        ("labels", "none" if dataset.labels is None else "0 to 9"),
        ("inked", f"{inked:.1%} of the pixels"),
        ("duplicates", f"{duplicates(dataset):,} exact"),
        ("skipped", f"{len(dataset.skipped):,}"),
        ("fingerprint", dataset.fingerprint),
    )
    return Summary(facts, _balance(dataset), _bars(bin_names, bins), inked, dataset.skipped)


def choose_samples(dataset: Dataset, *, count: int, seed: int) -> Int64[np.ndarray, " m"]:
    """Indices of random samples, sorted by label where there are labels; equal seeds give equal samples."""
    selected = np.random.default_rng(seed).permutation(len(dataset))[:count]
    if dataset.labels is None:
        return np.sort(selected)
    return selected[np.lexsort((selected, dataset.labels[selected]))]


def label_of(dataset: Dataset, index: int) -> str:
    """The digit as text; a question mark where it is unknown."""
    return "?" if dataset.labels is None else str(dataset.labels[index])


def describe(dataset: Dataset, *, samples: int = 20, seed: int = 0) -> RenderableType:
    """An overview of the set with that number of random samples."""
    summary = summarise(dataset)
    selected = choose_samples(dataset, count=samples, seed=seed)
    skipped = summary.skipped[:_MAX_SKIPPED]
    if len(summary.skipped) > len(skipped):
        skipped = (*skipped, f"and {len(summary.skipped) - len(skipped)} more")
    return Group(
        _facts(summary.facts),
        *_chart("class balance", summary.balance),
        *_chart("intensity of the pixels that are not 0", summary.intensity),
        *([_title("skipped"), *(Text(reason) for reason in skipped)] if skipped else []),
        _title(f"samples, seed {seed}"),
        Columns([_sample(dataset, int(index)) for index in selected], padding=(0, 1)),
    )


def half_blocks(glyph: UInt8[np.ndarray, "28 28"]) -> Text:
    """A glyph in 14 columns and 7 lines: each character is two squares of 2x2 pixels, one above the other."""
    squares = glyph.reshape(14, 2, 14, 2).mean(axis=(1, 3)).astype(int)
    text = Text(no_wrap=True)
    for upper, lower in zip(squares[::2].tolist(), squares[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append(*_block(above, below))
        text.append("\n")
    text.right_crop(1)
    return text


def _count_levels(dataset: Dataset) -> Int64[np.ndarray, " 256"]:
    """Number of pixels of each level; level 0, which is paper, is not counted."""
    levels = np.zeros(256, np.int64)
    for start in range(0, len(dataset), _COUNTED_AT_ONCE):
        levels += np.bincount(dataset.glyphs[start : start + _COUNTED_AT_ONCE].ravel(), minlength=256)
    levels[0] = 0
    return levels


def _balance(dataset: Dataset) -> tuple[Bar, ...]:
    if dataset.labels is None:
        return ()
    counts = np.bincount(dataset.labels, minlength=CLASSES).tolist()
    return _bars([str(digit) for digit in range(CLASSES)], counts)


def _bars(labels: list[str], values: list[int]) -> tuple[Bar, ...]:
    largest = max([*values, 1])
    return tuple(Bar(label, value, value / largest) for label, value in zip(labels, values, strict=True))


def _block(above: int, below: int) -> tuple[str, str]:
    """The character for two levels, and its style: grey on black, also in a white terminal."""
    lit = [level for level in (above, below) if level >= _INK]
    grey = sum(lit) // max(len(lit), 1)
    character = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    return character[above >= _INK, below >= _INK], f"rgb({grey},{grey},{grey}) on rgb(0,0,0)"


def _sample(dataset: Dataset, index: int) -> RenderableType:
    return Group(Text(f"{label_of(dataset, index)}  #{index}", style="bold"), half_blocks(dataset.glyphs[index]))


def _facts(facts: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return table


def _chart(title: str, bars: Sequence[Bar]) -> list[RenderableType]:
    """A titled bar chart; empty if there are no bars."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    for bar in bars:
        table.add_row(bar.label, f"{bar.value:,}", Text("█" * round(_BAR_COLUMNS * bar.fraction), style="cyan"))
    return [_title(title), table] if bars else []


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")
