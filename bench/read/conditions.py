"""Digits, numbers and pages under the conditions of everyday pictures.

    python -m bench.read.conditions --only digits                # 1,000 MNIST test digits a row
    python -m bench.read.conditions --only numbers --count 300   # numbers of two to five test digits
    python -m bench.read.conditions --only pages --count 25      # pages of twelve such numbers
    python -m bench.read.conditions --only digits --part train --count 200 --rows tight shadow --show out/misread

The same digits in every row, redrawn large and changed as the row says. Per row, as fractions: right (the text is the
label, whatever the outcome), read, blank, and wrong among read; on pages also numbers found, and other places read. Of
rows that differ in size alone also the fraction of digits with the same answer at every size, and of those with two
different digits `read`, in bench/results/sizes.json.
With `--minutes` a run ends after the row in progress, and `--resume` measures only rows that these models have not been
measured on with this count. Test digits are only measured; with `--part train` nothing is stored. Adds to
bench/results/conditions.json.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from bench.read import condition_pictures as draw
from bench.read.condition_pages import page_conditions
from bench.read.condition_pictures import FRAME_PX, Change, Coverage, Picture, on_paper, redraw, resize, write_number
from bench.results_io import RESULTS, load_results, save_results
from handigit import Outcome, Reader
from handigit.data import load
from handigit.records import Number
from handigit.settings import Settings

FILE = RESULTS / "conditions.json"
SIZES_FILE = RESULTS / "sizes.json"
COUNTS = {"digits": 1000, "numbers": 300, "pages": 25}
SIZES = (40, 64, 72, 140, 280)
TIGHT_SIZES = (28, 40, 56, 64, 72, 100, 140, 200, 300)
SAME_WRITING = {
    f"{name}, {sizes[0]} to {sizes[-1]} px": tuple(f"{name}, {px} px" for px in sizes)
    for name, sizes in {"plain": SIZES, "tight": TIGHT_SIZES}.items()
}
"""Rows with the same pictures, drawn at different sizes."""
BATCH = 100


def sized(height_px: int, change: Change) -> Change:
    """The change applied to writing of which an MNIST frame has this height."""
    return lambda coverage, rng: change(resize(coverage, height_px / FRAME_PX), rng)


def conditions(kind: str) -> dict[str, Change]:
    """Name of each row of digits or numbers, and the function that makes its picture."""
    rows: dict[str, Change] = {f"plain, {px} px": sized(px, lambda c, _: on_paper(c)) for px in SIZES}
    for px in TIGHT_SIZES:
        rows[f"tight, {px} px"] = lambda c, _, px=px: on_paper(draw.tight(c, px))  # type: ignore[misc] # a default binds the loop variable
    rows["tight, light ink"] = lambda c, _: 255 - on_paper(draw.tight(c, 100))
    rows["tight, thick pen"] = lambda c, _: on_paper(draw.tight(draw.thick_pen(c), 100))
    rows["tight, thin pen"] = lambda c, _: on_paper(draw.tight(draw.thin_pen(c), 100))
    rows["margin of 8 px"] = lambda c, _: on_paper(draw.tight(c, 100, 8))
    for px in (60, 280):
        sides = 4 if kind == "digits" else 2
        rows[f"10 % cut off, {px} px"] = sized(px, lambda c, rng, n=sides: on_paper(draw.cut_off(c, rng, n)))  # type: ignore[misc] # as above
    for margin in (0.15, 0.3, 0.6):
        for name, shade in (("dark", 45), ("brown", 110), ("light", 185)):
            rows[f"{name} table, margin {margin:.0%}"] = sized(200, partial(draw.on_table, margin=margin, table=shade))
    rows["dark table, askew"] = sized(200, _askew_on_table)
    for px in (60, 140, 280):
        for depth in (0.3, 0.55):
            rows[f"shadow of {depth:.0%}, {px} px"] = sized(px, partial(draw.shadow, depth=depth))
    for degrees in (-25, -15, 15, 25):
        rows[f"slant of {degrees} degrees"] = lambda c, _, d=degrees: on_paper(draw.warp(c, slant=d))  # type: ignore[misc] # as above
    turn = 15 if kind == "digits" else 5
    rows[f"rotated by {turn} degrees"] = lambda c, rng: on_paper(draw.warp(c, degrees=rng.choice([-turn, turn])))
    rows["edge or corner, thin pen"] = lambda c, rng: draw.at_edge(draw.thin_pen(c), rng)
    rows["edge or corner"] = draw.at_edge
    rows["edge or corner, thick pen"] = lambda c, rng: draw.at_edge(draw.thick_pen(c), rng)
    rows["thin pen"] = lambda c, _: on_paper(draw.thin_pen(c))
    rows["thick pen"] = lambda c, _: on_paper(draw.thick_pen(c))
    rows["ruled paper"] = partial(draw.ruled, squared=False)
    rows["squared paper"] = partial(draw.ruled, squared=True)
    rows["line of a cell"] = draw.grid_line
    rows["printed box"] = draw.boxed
    rows["colours"] = draw.coloured
    rows["light on dark"] = lambda c, _: 255 - on_paper(c)
    rows["JPEG quality 10"] = lambda c, _: draw.jpeg(on_paper(c), 10)
    rows["motion blur"] = sized(140, lambda c, rng: draw.motion(on_paper(c), rng))
    rows["contrast of 10 %"] = lambda c, _: on_paper(c, draw.PAPER, draw.PAPER - 24)
    rows["noise"] = sized(140, lambda c, rng: draw.noisy(on_paper(c), rng, 18))
    return rows


def _askew_on_table(coverage: Coverage, rng: Generator) -> Picture:
    return draw.on_table(coverage, rng, margin=0.3, table=45, askew=rng.uniform(-20, 20))


@dataclass
class Tally:
    """Counts of one row; `missed`: what was not right (index, text, answer); `answers`: each text, and if `read`."""

    n: int = 0
    found: int = 0
    right: int = 0
    read: int = 0
    blank: int = 0
    wrong: int = 0
    elsewhere: int = 0
    missed: list[tuple[int, str, str]] = field(default_factory=list)
    answers: list[tuple[str, bool]] = field(default_factory=list)

    def add(self, index: int, text: str, numbers: Sequence[Number]) -> None:
        """Count the answers in one place."""
        right = any(number.text == text for number in numbers)
        read = [number for number in numbers if number.outcome is Outcome.READ]
        self.n += 1
        self.found += bool(numbers)
        self.right += right
        self.read += bool(read)
        self.blank += any(number.outcome is Outcome.BLANK for number in numbers)
        self.wrong += any(number.text != text for number in read)
        self.answers += [(number.text, number.outcome is Outcome.READ) for number in numbers[:1]]
        if not right:
            self.missed.append((index, text, "+".join(f"{n.text}({n.outcome.value})" for n in numbers)))

    def fractions(self) -> dict[str, float]:
        """The row of the table."""
        shares = {name: getattr(self, name) / self.n for name in ("found", "right", "read", "blank")}
        return {"n": self.n, **shares, "wrong_among_read": self.wrong / max(self.read, 1), "elsewhere": self.elsewhere}


def agreement(tallies: Sequence[Tally]) -> dict[str, float]:
    """Of the same writing in several rows: the fraction with one text in all, and with two different texts `read`."""
    writings = list(zip(*(tally.answers for tally in tallies), strict=True))
    same = [len({text for text, _ in answers}) == 1 for answers in writings]
    contradicting = [len({text for text, read in answers if read}) > 1 for answers in writings]
    return {"n": len(writings), "same": sum(same) / len(same), "contradicting": sum(contradicting) / len(same)}


@dataclass(frozen=True, eq=False)
class Bench:
    """What the rows are measured with: digits with labels, and a reader."""

    images: np.ndarray
    labels: np.ndarray
    reader: Reader
    count: int

    def writings(self, kind: str) -> Iterator[tuple[Coverage, str]]:
        """The digits or numbers of every row, each with its text."""
        rng = default_rng(7)
        for index in range(self.count):
            if kind == "digits":
                yield redraw(self.images[index]), str(self.labels[index])
            else:
                chosen = rng.integers(len(self.labels), size=rng.integers(2, 6))
                yield write_number(self.images[chosen], rng), "".join(map(str, self.labels[chosen]))

    def measure(self, kind: str, make: Callable[..., Any], seed: int, show: Callable[[int, Picture], None]) -> Tally:
        """One row."""
        return self._pages(make, seed, show) if kind == "pages" else self._writings(kind, make, seed, show)

    def _writings(self, kind: str, change: Change, seed: int, show: Callable[[int, Picture], None]) -> Tally:
        rng, tally = default_rng(seed), Tally()
        made = [(change(coverage, rng), text) for coverage, text in self.writings(kind)]
        pictures = [picture for picture, _ in made]
        for start in range(0, len(made), BATCH):
            some = pictures[start : start + BATCH]
            if kind == "digits":
                numbers = [digit.as_number() for digit in self.reader.digits(some)]
            else:
                numbers = self.reader.numbers(some)
            for index, number in enumerate(numbers, start):
                tally.add(index, made[index][1], [number])
        for index, _, _ in tally.missed[:40]:
            show(index, pictures[index])
        return tally

    def _pages(self, make: Callable[..., Any], seed: int, show: Callable[[int, Picture], None]) -> Tally:
        tally = Tally()
        for index in range(self.count):
            page = make(self.images, self.labels, default_rng([seed, index]))
            missed = len(tally.missed) + tally.elsewhere
            count_page(tally, index, page.numbers, self.reader.page(page.picture))
            if len(tally.missed) + tally.elsewhere > missed:
                show(index, page.picture)
        return tally


def count_page(tally: Tally, index: int, expected: Sequence[tuple[str, Any]], numbers: Sequence[Number]) -> None:
    """Count a page: a number belongs to the box that contains its middle."""
    rest = [number for number in numbers if number.box]
    for text, box in expected:
        there = [n for n in rest if n.box and _contains(box, n.box)]
        rest = [n for n in rest if n not in there]
        tally.add(index, text, there)
    tally.elsewhere += sum(number.outcome is Outcome.READ for number in rest)


def _contains(box: Any, other: Any) -> bool:
    x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
    return bool(box.left <= x <= box.right and box.top <= y <= box.bottom)


def main() -> None:
    """Measure the rows, print and store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(COUNTS), default="digits")
    parser.add_argument("--count", type=int, help="digits, numbers or pages a row")
    parser.add_argument("--part", choices=("train", "test"), default="test")
    parser.add_argument("--rows", nargs="*", help="rows whose name contains one of these")
    parser.add_argument("--show", type=Path, help="a folder for the pictures that were not right")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--minutes", type=float, default=np.inf)
    wanted = parser.parse_args()
    kind, began = wanted.only, time.monotonic()
    count = wanted.count or COUNTS[kind]
    data = load("mnist", folder=Settings().data, part=wanted.part)
    order = default_rng(7).permutation(len(data))
    bench = Bench(data.glyphs[order], np.asarray(data.labels)[order], Reader(threads=1), count)
    models = [bench.reader.model_name("digit" if kind == "digits" else "number")]
    rows: dict[str, Callable[..., Any]] = dict(page_conditions() if kind == "pages" else conditions(kind))
    tallies: dict[str, Tally] = {}
    for seed, (name, make) in enumerate(rows.items()):
        measured = load_results(FILE).get(kind, {}).get(name, {})
        done = wanted.resume and measured.get("count") == count and measured.get("models") == models
        skipped = wanted.rows and not any(part in name for part in wanted.rows)
        if done or skipped or time.monotonic() - began > 60 * wanted.minutes:
            continue
        started = time.process_time()
        tallies[name] = tally = bench.measure(kind, make, seed, partial(save_picture, wanted.show, name))
        row = tally.fractions() | {"cpu_seconds": time.process_time() - started, "count": count, "models": models}
        print_row(name, row, tally)
        if wanted.part == "test":
            results = load_results(FILE)
            save_results(FILE, results | {kind: results.get(kind, {}) | {name: row}})
    for name, parts in SAME_WRITING.items():
        if set(parts) <= set(tallies):
            found = agreement([tallies[part] for part in parts]) | {"count": count, "models": models}
            print(f"{name:28} same {found['same']:6.1%}  contradicting {found['contradicting']:5.2%}")
            if wanted.part == "test":
                results = load_results(SIZES_FILE)
                save_results(SIZES_FILE, results | {kind: results.get(kind, {}) | {name: found}})


def print_row(name: str, row: dict[str, Any], tally: Tally) -> None:
    """A line for the terminal, with the first misses."""
    print(
        f"{name:28} found {row['found']:6.1%}  right {row['right']:6.1%}  read {row['read']:6.1%}  "
        f"blank {row['blank']:5.1%}  wrong {row['wrong_among_read']:5.2%}  elsewhere {row['elsewhere']}  "
        f"cpu {row['cpu_seconds']:.0f} s  {tally.missed[:4]}",
        flush=True,
    )


def save_picture(folder: Path | None, name: str, index: int, picture: Picture) -> None:
    """Write a picture that was not read right, if a folder was given."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{name.replace(' ', '-').replace(',', '').replace('%', '')}-{index}.png"
        cv2.imwrite(str(folder / file), picture[..., ::-1] if picture.ndim == 3 else picture)


if __name__ == "__main__":
    main()
