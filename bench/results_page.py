"""Write docs/results.md, and the table in the README, from what the benches left in bench/results.

    python bench/results_page.py

So that no figure in either is typed by hand. A bench that has left nothing has no part in the page, and a model that
one of them has not measured has a dash there. What stands in each part is in
`results_models.py`, `results_away.py`, `results_numbers.py`, `results_speed.py` and `results_service.py`.
"""

import argparse
from pathlib import Path

from kept import RESULTS, kept
from results_away import away_part, confidence_part, corruption_part, rejection_part, variation_part
from results_models import Benches, accuracy_part, main_table, short_table
from results_numbers import numbers_part
from results_service import pages_part, service_part, store_part
from results_speed import model_speed_part, read_speed_part, size_part, training_part

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "results.md"
README = PROJECT / "README.md"
PARTS = (
    accuracy_part,
    away_part,
    corruption_part,
    variation_part,
    rejection_part,
    confidence_part,
    numbers_part,
    training_part,
    model_speed_part,
    read_speed_part,
    size_part,
    service_part,
    store_part,
    pages_part,
)
START, END = "<!-- results -->", "<!-- end of results -->"


def stored(folder: Path) -> Benches:
    """What the benches left, by the bench's name."""
    return {path.stem: kept(path) for path in sorted(folder.glob("*.json"))}


def write_page(benches: Benches) -> str:
    """The whole results page."""
    parts = (part(benches) for part in PARTS)
    return "\n\n".join([INTRODUCTION, main_table(benches), *(part for part in parts if part)]) + "\n"


def write_readme(text: str, benches: Benches) -> str:
    """The README with its table written anew between the two marks.

    Raises:
        ValueError: a mark is missing.
    """
    head, rest = text.split(START)
    _, tail = rest.split(END)
    note = (
        "Mean ± sd over seeds; each figure's command, and what the test set was seen for, is in "
        "[results](docs/results.md)."
    )
    return f"{head}{START}\n{short_table(benches)}\n\n{note}\n{END}{tail}"


INTRODUCTION = """# Results

Every figure here is written by `python bench/results_page.py` from what the benches left in `bench/results/`. Machine:
two shared cores of an AMD EPYC, no GPU, unless a part says otherwise. Accuracies are mean ± standard deviation over
seeds 0, 1, 2, ...; every seed counts, each run keeps its last epoch, and no epoch, seed, member or setting was chosen
on a test set. A dash: not measured, or nothing to measure."""


def main() -> None:
    """Write the page and the README's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--readme", type=Path, default=README)
    given = parser.parse_args()
    benches = stored(given.results)
    given.page.write_text(write_page(benches), encoding="utf-8")
    given.readme.write_text(write_readme(given.readme.read_text(encoding="utf-8"), benches), encoding="utf-8")
    print(f"wrote {given.page} and the table in {given.readme}")


if __name__ == "__main__":
    main()
