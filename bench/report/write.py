"""Write docs/results.md and the README's table from the JSON files in bench/results.

    python -m bench.report.write

The pages are Jinja templates in this folder. A benchmark without results has no section; a figure that was not measured
is a dash.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from bench.results_io import PROJECT, RESULTS, load_results

ROWS = (
    "tutorial", "dense", "convdense", "lenet5", "cnn", "mobilenet", "resnet", "digit-nano", "digit-home", "digit",
    "digit-large", "ensemble",
)  # fmt: skip
"""Models in the order of the tables."""
TARGETS = {
    "dense": 98.4, "convdense": 98.5, "lenet5": 99.0, "cnn": 99.2, "mobilenet": 99.3, "resnet": 99.5,
    "digit-nano": 99.55, "digit": 99.7, "digit-large": 99.78, "ensemble": 99.82,
}  # fmt: skip
NOT_MEASURED = "–"
START, END = "<!-- results -->", "<!-- end of results -->"


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction as percent, without the sign."""
    return NOT_MEASURED if fraction is None else f"{100 * fraction:.{digits}f}"


def mean_sd(value: Mapping[str, Any] | None, digits: int = 2) -> str:
    """Mean and standard deviation over seeds; the mean alone for one seed."""
    if not value:
        return NOT_MEASURED
    mean = f"{value['mean']:.{digits}f}"
    return mean if value["sd"] is None else f"{mean} ± {value['sd']:.{digits}f}"


def number(value: float | None, form: str = ",.0f") -> str:
    """A number, by default with thousands separators."""
    return NOT_MEASURED if value is None else format(value, form)


def bounded(fraction: float, bound: float, digits: int = 2) -> str:
    """A fraction in percent with its upper 95 % bound."""
    return f"{percent(fraction, digits)} (at most {percent(bound, digits)})"


def row(*cells: object) -> str:
    """One row of a Markdown table; lists count as several cells."""
    flat = [str(part) for cell in cells for part in (cell if isinstance(cell, list) else [cell])]
    return f"| {' | '.join(flat)} |"


def table(headings: list[str]) -> str:
    """The first two lines of a Markdown table: text left, figures right."""
    return f"{row(*headings)}\n|---|{'---:|' * (len(headings) - 1)}"


def seeds(results: Sequence[Mapping[str, float]]) -> str:
    """The accuracy of each seed."""
    return ", ".join(f"{result['accuracy']:.2f}" for result in results)


def average(values: Mapping[str, float]) -> float:
    """Mean of a mapping's values."""
    return sum(values.values()) / len(values)


def worst(values: Mapping[str, float]) -> tuple[str, float]:
    """The smallest value and its key."""
    key = min(values, key=lambda name: values[name])
    return key, values[key]


def rejected(robustness: Mapping[str, Any]) -> float:
    """Fraction of letters, symbols and characters below the floor that loses 0.5 % of the digits."""
    kinds = [robustness["rejection"]["no_digits"][kind] for kind in ("unipen letters and symbols", "omniglot")]
    return float(sum(kind["n"] * kind["under_floor_at_loss"] for kind in kinds) / sum(kind["n"] for kind in kinds))


def accuracy_commands(accuracy: Mapping[str, Any]) -> list[str]:
    """The commands behind the accuracy table, grouped by number of seeds."""
    by_seeds: dict[int, list[str]] = {}
    for name in (name for name in ROWS if name in accuracy and name != "ensemble"):
        by_seeds.setdefault(len(accuracy[name]["seeds"]), []).append(name)
    commands = [f"{' '.join(names)} --seeds {seeds}" for seeds, names in sorted(by_seeds.items())]
    if "ensemble" in accuracy:
        members = [member.rpartition("-seed")[0] for member in accuracy["ensemble"]["members"]]
        commands.append("--ensemble " + " ".join(f"{name}:{members.count(name)}" for name in dict.fromkeys(members)))
    return [f"python -m bench.train.accuracy {command}" for command in commands]


def in_order(results: Mapping[str, Any]) -> dict[str, Any]:
    """The models of a benchmark in the order of the tables."""
    return {name: results[name] for name in ROWS if name in results}


def environment() -> Environment:
    """Jinja with the formatting functions above."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown from our own figures
    )
    functions: tuple[Callable[..., object], ...] = (
        percent, mean_sd, number, bounded, row, table, average, worst, rejected, accuracy_commands, in_order, seeds,
    )  # fmt: skip
    jinja.globals |= {function.__name__: function for function in functions}
    jinja.globals |= {"TARGETS": TARGETS, "ROWS": ROWS}
    return jinja


def write_page(results: Mapping[str, Any]) -> str:
    """The results page; `results` are the benchmarks' JSON files by name."""
    page = environment().get_template("results.md.jinja").render(results=defaultdict(dict, results))
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


def write_readme(readme: str, results: Mapping[str, Any]) -> str:
    """The README with the table between its two marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    head, rest = readme.split(START)
    _, tail = rest.split(END)
    rows = environment().get_template("readme.md.jinja").render(results=defaultdict(dict, results))
    return f"{head}{START}\n{rows}{END}{tail}"


def main() -> None:
    """Write the page and the README's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PROJECT / "docs" / "results.md")
    parser.add_argument("--readme", type=Path, default=PROJECT / "README.md")
    arguments = parser.parse_args()
    results = {path.stem: load_results(path) for path in sorted(arguments.results.glob("*.json"))}
    arguments.page.write_text(write_page(results), encoding="utf-8")
    readme = arguments.readme.read_text(encoding="utf-8")
    arguments.readme.write_text(write_readme(readme, results), encoding="utf-8")
    print(f"wrote {arguments.page} and the table in {arguments.readme}")


if __name__ == "__main__":
    main()
