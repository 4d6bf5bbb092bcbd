"""How many fields and whole forms are read, and how many of them wrongly: drawn forms, c1, grades_eg.

    python -m bench.forms.reading [--pages 40]

Drawn forms are written with real digits (the MNIST test set); `forms/c1` takes one of its pages as the blank, as does
each sheet of `forms/grades_eg`. Both are measured zero-shot. Results go to bench/results/forms.json.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import numpy as np

from bench.forms.placement import FILE
from bench.results_io import load_results, save_results
from handigit import open_pages
from handigit.data.mnist import load_mnist
from handigit.forms import FieldOutcome, FormReader, Record, RecordOutcome, Template
from handigit.forms.drawn import View, fill, see
from handigit.forms.drawn_values import break_sum, draw_values
from handigit.settings import Settings
from handigit.synth.real_digits import Hands

C1_NAMES = ("a", "b", "valid", "invalid")
FORMS = ("score-sheet", "tally-sheet", "cheque", "meter-log")


class Counts:
    """Fields and forms: right, read, wrong among read; alone and after the checks."""

    def __init__(self) -> None:
        self.fields = self.right = self.read = self.wrong = 0
        self.alone_right = self.alone_read = self.alone_wrong = 0
        self.forms = self.forms_read = self.forms_wrong = 0

    def add(self, record: Record, truth: dict[str, str], written: Iterable[str]) -> None:
        """Compare a record with what was written."""
        all_right = True
        for name in written:
            field = record.fields[name]
            right, is_read = field.text == truth[name], field.outcome is FieldOutcome.READ
            self.fields += 1
            self.right += right
            self.read += is_read
            self.wrong += is_read and not right
            all_right &= right
            if field.alone is not None:
                alone_read = field.alone.outcome is FieldOutcome.READ
                self.alone_right += field.alone.text == truth[name]
                self.alone_read += alone_read
                self.alone_wrong += alone_read and field.alone.text != truth[name]
        self.forms += 1
        self.forms_read += record.outcome is RecordOutcome.READ
        self.forms_wrong += record.outcome is RecordOutcome.READ and not all_right

    def as_dict(self) -> dict[str, object]:
        """The counts and their fractions."""
        return {
            **{name: int(value) for name, value in vars(self).items()},
            "fraction_right": _fraction(self.right, self.fields),
            "fraction_read": _fraction(self.read, self.fields),
            "wrong_among_read": _fraction(self.wrong, self.read),
            "fraction_forms_read": _fraction(self.forms_read, self.forms),
        }


def _fraction(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def drawn(count: int, seed: int) -> dict[str, object]:
    """Drawn forms; two in a hundred have a wrong sum."""
    test = load_mnist(Settings().data / "mnist", part="test")
    assert test.labels is not None
    hands = Hands.of(test.glyphs, test.labels)
    rng = np.random.default_rng(seed)
    readers = {name: FormReader(name) for name in FORMS}
    counts, cpu, unplaced, caught, broken = Counts(), [], 0, 0, 0
    for index in range(count):
        name = FORMS[index % len(FORMS)]
        template = readers[name].templates[0]
        values = draw_values(template, rng)
        is_broken = rng.random() < 0.02
        if is_broken:
            values = break_sum(template, values, rng)
        view = View.scanner(rng) if index % 2 else View.telephone(rng)
        scan = see(fill(template, rng, values=values, hands=hands), view, rng)
        start = time.process_time()
        record = readers[name].read(scan.pixels)
        cpu.append((time.process_time() - start) / max(len(template.fields), 1))
        if record.outcome is RecordOutcome.UNPLACED:
            unplaced += 1
            continue
        counts.add(
            record, values, [field.name for field in template.fields if field.kind.is_written and values[field.name]]
        )
        broken += is_broken
        caught += is_broken and record.outcome is not RecordOutcome.READ
    return counts.as_dict() | {"unplaced": unplaced, "broken_sums": broken, "broken_sums_not_read": caught,
                               "cpu_s_per_20_fields": round(20 * mean(cpu), 3)}  # fmt: skip


def labels(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of forms.csv by file."""
    rows = defaultdict(list)
    with (folder / "forms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["file"]].append(row)
    return rows


def template_of(folder: Path, file: str, rows: list[dict[str, str]], *, check: str = "", cells: int = 0) -> Template:
    """A template with one page of a set as its blank."""
    page = next(open_pages(folder / "images" / file))
    size = [page.shape[1], page.shape[0]]
    fields = [
        f'  {{ name = "{row["field"]}", kind = "number", box = [{row["x0"]}, {row["y0"]}, {row["x1"]}, {row["y1"]}]'
        + (f', cells = {cells}, filler = "Xx-"' if cells else "")
        + " },"
        for row in rows
    ]
    text = "\n".join([
        'format = "handigit-form/1"', f'name = "{Path(file).stem}"',
        f'page = [{{ size = {size}, units = "px", blank = "images/{file}", filled = true }}]',
        "field = [", *fields, "]", check, "",
    ])  # fmt: skip
    return Template.parse(text, folder=folder)


def c1(folder: Path) -> dict[str, object]:
    """The six scans of one form with each of them as the blank in turn, and all other pages as foreign ones."""
    rows = labels(folder)
    own = [f"c1_{number:02d}_scan.jpg" for number in (0, 2, 4, 6, 8, 10)]
    counts, placed, foreign_placed, foreign = Counts(), 0, 0, 0
    for blank in own:
        named = [row | {"field": name} for row, name in zip(rows[blank], C1_NAMES, strict=True)]
        reader = FormReader(template_of(folder, blank, named, check='check = [{ rule = "a + b == valid" }]', cells=3))
        for file in rows:
            if file == blank or (file not in own and blank != own[0]):
                continue
            record = reader.read(folder / "images" / file)
            if file not in own:
                foreign += 1
                foreign_placed += record.outcome is not RecordOutcome.UNPLACED
            elif record.outcome is not RecordOutcome.UNPLACED:
                placed += 1
                truth = {
                    name: row["label"] for name, row in zip(("a", "b", "valid", "invalid"), rows[file], strict=True)
                }
                counts.add(record, truth, truth)
    return counts.as_dict() | {"pages": 30, "placed": placed, "foreign": foreign, "foreign_placed": foreign_placed}


def grades(folder: Path) -> dict[str, object]:
    """Photographs of a sheet with another photograph of the same sheet as the blank."""
    rows = labels(folder)
    sheets = [
        ["grades_02.jpg", "grades_03.jpg", "grades_04.jpg"],
        ["grades_13.jpg", "grades_15.jpg"],
        ["grades_08.jpg"],
    ]
    counts, pages, placed, marks, marks_read = Counts(), 0, 0, 0, 0
    for sheet in sheets:
        for blank in sheet:
            reader = FormReader(template_of(folder, blank, rows[blank]))
            for file in sheet:
                if file == blank and len(sheet) > 1:
                    continue
                pages += 1
                record = reader.read(folder / "images" / file)
                if record.outcome is RecordOutcome.UNPLACED:
                    continue
                placed += 1
                truth = {row["field"]: row["label"] for row in rows[file]}
                counts.add(record, truth, [name for name, label in truth.items() if label and name in record.fields])
                for name, label in truth.items():
                    if not label and name in record.fields:
                        marks += 1
                        marks_read += record.fields[name].outcome is FieldOutcome.READ
    return counts.as_dict() | {"pages": pages, "placed": placed, "marks": marks, "marks_read_as_numbers": marks_read}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--only", choices=("drawn", "c1", "grades"))
    options = parser.parse_args()
    results = load_results(FILE)
    folder = Settings().data / "forms"
    measured = results.get("reading", {}) | {"command": f"python -m bench.forms.reading --pages {options.pages}"}
    if options.only in (None, "c1"):
        measured["c1"] = c1(folder / "c1")
    if options.only in (None, "grades"):
        measured["grades_eg"] = grades(folder / "grades_eg")
    if options.only in (None, "drawn"):
        measured["drawn"] = drawn(options.pages, options.seed)
    results["reading"] = measured
    save_results(FILE, results)
    print(measured)


if __name__ == "__main__":
    main()
