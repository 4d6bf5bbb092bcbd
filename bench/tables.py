"""Figures as Markdown: tables, and the few ways in which a figure is written. It knows nothing of benches."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"
WIDTH = 118
"""Characters in a line of prose."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left, figures to the right."""
    rule = "|---|" + "---:|" * (len(headings) - 1)
    return "\n".join(["| " + " | ".join(headings) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def part(title: str, *paragraphs: str) -> str:
    """A part of a page."""
    return "\n\n".join([f"## {title}", *paragraphs])


def prose(text: str) -> str:
    """A paragraph, its lines broken anew."""
    return textwrap.fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def commands(*lines: str) -> str:
    """What was called, as a block of code."""
    return "\n".join(f"    {line}" for line in lines)


def percent(share: float | None, *, digits: int = 2) -> str:
    """A share of 1 as percent, without the sign."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}"


def mean_sd(value: Mapping[str, Any] | None) -> str:
    """Mean and standard deviation over seeds; of one seed the figure alone."""
    if value is None:
        return NOTHING
    return f"{value['mean']:.2f}" if value["sd"] is None else f"{value['mean']:.2f} ± {value['sd']:.2f}"


def count(value: float | None) -> str:
    """A number of things."""
    return NOTHING if value is None else f"{value:,.0f}"


def megabytes(value: float | None) -> str:
    """Bytes as megabytes."""
    return NOTHING if value is None else f"{value / 1e6:.2f}"


def bounded(share: float, bound: float, *, digits: int = 2) -> str:
    """A share in percent with its upper 95 % bound."""
    return f"{percent(share, digits=digits)} (at most {percent(bound, digits=digits)})"
