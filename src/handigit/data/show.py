"""A set in the terminal: figures, bars, and samples in half-block characters.

It does not print: `describe` returns something that Rich can print.
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


@dataclass(frozen=True)
class Bar:
    """One value of a chart, as a share of the chart's largest."""

    label: str
    value: int
    share: float


@dataclass(frozen=True)
class Summary:
    """A set in a few figures.

    `balance` has a bar a digit, none where labels are missing; `intensity` a bar for every 32 levels, of the pixels
    that are not 0; `inked` is the share of those among all pixels.
    """

    facts: tuple[tuple[str, str], ...]
    balance: tuple[Bar, ...]
    intensity: tuple[Bar, ...]
    inked: float
    skipped: tuple[str, ...]


def summarise(dataset: Dataset) -> Summary:
    """Count what is in the set; takes about a second for 60,000 glyphs."""
    levels = _levels(dataset)
    bins = levels.reshape(-1, LEVELS).sum(axis=1).tolist()
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
    return Summary(facts, _balance(dataset), _bars(_bin_names(), bins), inked, dataset.skipped)


def choose_samples(dataset: Dataset, *, count: int, seed: int) -> Int64[np.ndarray, " m"]:
    """Places of randomly chosen samples, by label where there are labels; the same for the same seed."""
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
    if dataset.labels is None:
        return np.sort(chosen)
    return chosen[np.lexsort((chosen, dataset.labels[chosen]))]


def label_of(dataset: Dataset, index: int) -> str:
    """The digit as text, a question mark where it is not known."""
    return "?" if dataset.labels is None else str(dataset.labels[index])


def _levels(dataset: Dataset) -> Int64[np.ndarray, " 256"]:
    """How many pixels have each level; none are counted at 0, which is paper."""
    levels = np.zeros(256, np.int64)
    # NumPy counts only in int64: glyph by glyph group, so that the set is never there eight times over.
    for start in range(0, len(dataset), 1000):
        levels += np.bincount(dataset.glyphs[start : start + 1000].ravel(), minlength=256)
    levels[0] = 0
    return levels


def _balance(dataset: Dataset) -> tuple[Bar, ...]:
    if dataset.labels is None:
        return ()
    counts = np.bincount(dataset.labels, minlength=CLASSES).tolist()
    return _bars([str(digit) for digit in range(CLASSES)], counts)


def _bin_names() -> list[str]:
    return [f"{max(start, 1)}-{start + LEVELS - 1}" for start in range(0, 256, LEVELS)]


def _bars(labels: list[str], values: list[int]) -> tuple[Bar, ...]:
    largest = max([*values, 1])
    return tuple(Bar(label, value, value / largest) for label, value in zip(labels, values, strict=True))


_BAR_COLUMNS = 40
_INK = 96  # least level drawn as a block, so that a terminal without colours shows the digit too
_SKIPPED_SHOWN = 10


def describe(dataset: Dataset, *, samples: int = 20, seed: int = 0) -> RenderableType:
    """The whole set at a glance, with so many samples; the same seed shows the same ones."""
    summary = summarise(dataset)
    chosen = choose_samples(dataset, count=samples, seed=seed)
    skipped = summary.skipped[:_SKIPPED_SHOWN]
    if len(summary.skipped) > len(skipped):
        skipped = (*skipped, f"and {len(summary.skipped) - len(skipped)} more")
    return Group(
        _facts(summary.facts),
        *_chart("class balance", summary.balance),
        *_chart("intensity of the pixels that are not 0", summary.intensity),
        *([_title("skipped"), *(Text(reason) for reason in skipped)] if skipped else []),
        _title(f"samples, seed {seed}"),
        Columns([_sample(dataset, int(index)) for index in chosen], padding=(0, 1)),
    )


def half_blocks(glyph: UInt8[np.ndarray, "28 28"]) -> Text:
    """A glyph in 14 columns and 7 lines: each character is two squares of 2x2 pixels, one over the other."""
    squares = glyph.reshape(14, 2, 14, 2).mean(axis=(1, 3)).astype(int)
    text = Text(no_wrap=True)
    for upper, lower in zip(squares[::2].tolist(), squares[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append(*_block(above, below))
        text.append("\n")
    text.right_crop(1)
    return text


def _block(above: int, below: int) -> tuple[str, str]:
    """The character for two levels, and its style: grey on black, also where the terminal is white."""
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
    """A titled bar chart; nothing if there is nothing to draw."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    for bar in bars:
        table.add_row(bar.label, f"{bar.value:,}", Text("█" * round(_BAR_COLUMNS * bar.share), style="cyan"))
    return [_title(title), table] if bars else []


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")
