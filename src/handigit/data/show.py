"""A set in the terminal: figures, bars, and samples in half-block characters.

It does not print: `describe` returns something that Rich can print.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from handigit.data.dataset import Dataset
from handigit.data.summary import Bar, choose_samples, label_of, summarise

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
