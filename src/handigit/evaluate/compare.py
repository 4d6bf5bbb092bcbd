"""Runs side by side: differences between their recipes, their scores, mean and deviation over seeds."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from handigit.errors import RunError

_COLUMN_GAP = 2
UNSET = "default"
"""Shown for a recipe field that a run leaves at its default."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One training run.

    `recipe` has the differences from the defaults, `metrics` one dict per epoch (`plots.Row`), `scores` the result of
    `Scores.as_dict`, or None for a run that was not evaluated.
    """

    name: str
    recipe: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, Any] | None
    parameters: int

    @property
    def best_validation(self) -> float | None:
        """The highest validation accuracy of any epoch."""
        measured = [row["validation_accuracy"] for row in self.metrics if row.get("validation_accuracy") is not None]
        return max(measured, default=None)

    def score(self, name: str) -> float | None:
        """A score of the evaluation, by its name in Scores."""
        return None if self.scores is None else self.scores.get(name)

    def field(self, name: str) -> str:
        """A recipe field's value as text."""
        return str(self.recipe.get(name, UNSET))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison: its cells, the indices that differ from the first run, whether it is a mean."""

    cells: tuple[str, ...]
    differs: frozenset[int] = frozenset()
    is_mean: bool = False


def compare(runs: Sequence[RunSummary], *, width: int = 80) -> Group:
    """The runs for a terminal: settings and scores as rows, runs as columns, in as many tables as the width needs.

    Differences from the first run are coloured.

    Raises:
        RunError: no runs.
    """
    names = headings(runs)
    room = width - max(map(len, names)) - _COLUMN_GAP
    tables = [_table(names, block, max_width=room) for block in _blocks(lines(runs), room)]
    return Group(*(part for table in tables for part in (table, Text())), Text(_shared_settings(runs)))


def _blocks(columns: Sequence[Line], room: int) -> list[list[Line]]:
    """The columns split into groups that fit the width."""
    blocks: list[list[Line]] = []
    used = 0
    for column in columns:
        needed = max(map(len, column.cells)) + _COLUMN_GAP
        if not blocks or used + needed > room:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += needed
    return blocks


def _table(names: Sequence[str], columns: Sequence[Line], *, max_width: int) -> Table:
    table = Table(box=None, show_header=False, padding=(0, _COLUMN_GAP, 0, 0))
    table.add_column(no_wrap=True)
    for _ in columns:
        table.add_column(justify="right", overflow="fold", max_width=max_width)
    for index, name in enumerate(names):
        styles = ["yellow" if index in line.differs else "bold" if line.is_mean else "" for line in columns]
        cells = [Text(line.cells[index], style=style) for line, style in zip(columns, styles, strict=True)]
        table.add_row(Text(name, style="bold"), *cells, style="bold" if index == 0 else "")
    return table


def write_comparison(folder: Path, runs: Sequence[RunSummary]) -> Path:
    """Write comparison.html, with the table and the curves of all runs, and plots/; returns the page's path.

    Raises:
        RunError: no runs, or the folder cannot be made.
    """
    # Only the page needs Matplotlib and Jinja.
    from handigit.evaluate import plots
    from handigit.evaluate.page import draw, make_folders, render, write_page

    make_folders(folder)
    curves = draw(
        "comparison",
        lambda theme: plots.side_by_side([(run.name, run.metrics) for run in runs], theme),
        caption="Loss and accuracy on each run's validation data, by epoch.",
        alt=f"Validation loss and accuracy by epoch of {len(runs)} runs; the table has where they ended.",
    )
    content = {"headings": headings(runs), "lines": lines(runs), "shared": _shared_settings(runs), "curves": curves}
    title = f"{len(runs)} runs side by side"
    return write_page(folder, "comparison.html", render("comparison.html", title=title, **content), [curves])


def headings(runs: Sequence[RunSummary]) -> tuple[str, ...]:
    """The columns: the run, each recipe field that differs, and the scores."""
    return ("run", *differing(runs), *FIGURES)


def differing(runs: Sequence[RunSummary]) -> tuple[str, ...]:
    """The recipe fields that differ between runs.

    Raises:
        RunError: no runs.
    """
    if not runs:
        raise RunError("no runs to compare; give at least one run's folder")
    return tuple(name for name in _fields(runs) if len({run.field(name) for run in runs}) > 1)


def lines(runs: Sequence[RunSummary]) -> list[Line]:
    """All runs grouped by recipe; groups that differ only in the seed get a line with mean and deviation."""
    fields = differing(runs)
    result = []
    for group in _by_recipe(runs):
        result += [_run_line(run, fields, first=runs[0]) for run in group]
        if len(group) > 1:
            result.append(_mean_line(group, fields))
    return result


FIGURES: Mapping[str, tuple[Callable[[RunSummary], float | None], str]] = {
    "parameters": (lambda run: run.parameters, ",.0f"),
    "epochs": (lambda run: len(run.metrics), ".0f"),
    "best validation": (lambda run: run.best_validation, ".2%"),
    "test accuracy": (lambda run: run.score("accuracy"), ".2%"),
    "test NLL": (lambda run: run.score("nll"), ".4f"),
    "calibration error": (lambda run: run.score("calibration_error"), ".2%"),
}
"""The scores of a run by heading: a getter and a format."""


def _run_line(run: RunSummary, fields: Sequence[str], *, first: RunSummary) -> Line:
    values = [get(run) for get, _ in FIGURES.values()]
    figures = [
        "" if value is None else format(value, form) for value, (_, form) in zip(values, FIGURES.values(), strict=True)
    ]
    differs = frozenset(i for i, name in enumerate(fields, start=1) if run.field(name) != first.field(name))
    return Line((run.name, *(run.field(name) for name in fields), *figures), differs)


def _mean_line(group: Sequence[RunSummary], fields: Sequence[str]) -> Line:
    """Mean and sample deviation of each score over the runs that have it."""
    own = ["" if name == "seed" else group[0].field(name) for name in fields]
    figures = [_spread([get(run) for run in group], form) for get, form in FIGURES.values()]
    return Line((f"mean of {len(group)} seeds", *own, *figures), is_mean=True)


def _spread(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = format(statistics.mean(known), form)
    return mean if len(set(known)) == 1 else f"{mean} ± {format(statistics.stdev(known), form)}"


def _by_recipe(runs: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """The runs grouped by recipe without the seed, in order of first appearance."""
    groups: dict[tuple[tuple[str, str], ...], list[RunSummary]] = {}
    for run in runs:
        rest = tuple(sorted((name, str(value)) for name, value in run.recipe.items() if name != "seed"))
        groups.setdefault(rest, []).append(run)
    return list(groups.values())


def _fields(runs: Sequence[RunSummary]) -> list[str]:
    """Every recipe field that any run sets, in order of first appearance."""
    return list(dict.fromkeys(name for run in runs for name in run.recipe))


def _shared_settings(runs: Sequence[RunSummary]) -> str:
    """The settings that all runs share, in one line."""
    different = differing(runs)
    shared = [f"{name} = {runs[0].field(name)}" for name in _fields(runs) if name not in different]
    return f"The same in all: {', '.join(shared)}" if shared else ""
