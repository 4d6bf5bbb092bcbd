"""Whether `Reader.read` finds out what a picture holds: one digit, one number or a page.

    python -m bench.read.kinds [--count 100] [--only digit number page] [--show FOLDER]

Pictures of each kind: drawn from MNIST test digits under everyday conditions, cut tight, photographed on tables; the
samples; sets of digits, strings and forms. Per row: how many were read as each kind, how many as their own, and how
many lost digits: were read as another kind, with fewer digits than are written (0 to 9 of all answers). One digit read
as a number of one digit is the same answer. Adds to bench/results/kinds.json.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from bench.read import condition_pictures as draw
from bench.read.condition_pages import TABLES, draw_page, photograph
from bench.read.conditions import conditions, save_picture
from bench.read.pages import pages as form_pages
from bench.read.strings import labelled
from bench.results_io import PROJECT, RESULTS, load_results, save_results
from handigit.data import load
from handigit.errors import DataError
from handigit.images import open_pages
from handigit.read import Reader
from handigit.settings import Settings

FILE = RESULTS / "kinds.json"
KINDS = ("digit", "number", "page")
GROUPS = {
    "drawn": (
        "plain",
        "slant",
        "rotated",
        "pen",
        "paper",
        "box",
        "colours",
        "light on dark",
        "JPEG",
        "motion",
        "noise",
    ),
    "cut tight": ("tight", "margin of 8", "line of a cell", "10 % cut off"),
    "photographed": ("table", "shadow"),
}
"""Rows of the conditions bench that make up each group, by parts of their names."""
DIGIT_SETS = ("bhmsds", "hwd1000", "optdigits", "semeion", "unipen", "usps")
STRING_SETS = ("orand_car_a", "unipen", "copiste", "lectaurep", "french_misc")
PAPERS = ("plain", "ruled", "squared", "form")


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture, and how many digits are on it; None if unknown."""

    picture: np.ndarray
    digits: int | None


def sources(kind: str, images: np.ndarray, labels: np.ndarray, data: Path) -> dict[str, Callable[[], Iterator[Sample]]]:
    """Name of each source of pictures of a kind, and a function that yields them, without end or all there are."""
    if kind == "page":
        return {
            "drawn": lambda: _drawn_pages(images, labels, on_table=False),
            "photographed": lambda: _drawn_pages(images, labels, on_table=True),
            "columns and pairs": lambda: _small_pages(images),
            "samples": lambda: _samples("pages"),
            **{name: lambda name=name: _forms(name, data) for name in ("c1", "grades_eg")},  # type: ignore[misc] # a default binds the loop variable
        }
    drawn = {group: lambda g=group: _drawn(kind, g, images, labels) for group in GROUPS}
    if kind == "digit":
        sets = {name: lambda name=name: _digit_set(name, data) for name in DIGIT_SETS}
        return {**drawn, "samples": lambda: _samples("digits"), **sets}
    strings = {name: lambda name=name: _strings(name, data) for name in STRING_SETS}
    return {**drawn, "samples": lambda: _samples("numbers"), **strings}


def _drawn(kind: str, group: str, images: np.ndarray, labels: np.ndarray) -> Iterator[Sample]:
    rng = default_rng(31)
    rows = [make for name, make in conditions(f"{kind}s").items() if any(part in name for part in GROUPS[group])]
    while True:
        for make in rows:
            chosen = rng.integers(len(labels), size=1 if kind == "digit" else rng.integers(2, 6))
            coverage = draw.redraw(images[chosen[0]]) if kind == "digit" else draw.write_number(images[chosen], rng)
            yield Sample(make(coverage, rng), len(chosen))


def _drawn_pages(images: np.ndarray, labels: np.ndarray, *, on_table: bool) -> Iterator[Sample]:
    rng = default_rng(32)
    while True:
        for paper in PAPERS:
            for camera in TABLES.values():
                page = draw_page(images, labels, rng, paper)
                shown = photograph(page, camera, rng) if on_table else page
                yield Sample(shown.picture, sum(len(text) for text, _ in page.numbers))


def _small_pages(images: np.ndarray) -> Iterator[Sample]:
    """Two to four numbers below one another, or two far apart in a row."""
    rng = default_rng(33)
    while True:
        parts = [_number(images, rng) for _ in range(rng.integers(2, 5))]
        digits = sum(count for _, count in parts)
        if rng.random() < 0.5:
            width = max(part.shape[1] for part, _ in parts)
            rows = [np.pad(part, ((20, 20), (20, 20 + width - part.shape[1]))) for part, _ in parts]
            yield Sample(draw.on_paper(np.vstack(rows)), digits)
        else:
            gap = int(rng.integers(350, 700))
            pair = [np.pad(part, ((20, 20), (20, gap))) for part, _ in parts[:2]]
            yield Sample(draw.on_paper(np.hstack(pair)[:, : -gap + 20]), sum(count for _, count in parts[:2]))


def _number(images: np.ndarray, rng: Generator) -> tuple[np.ndarray, int]:
    chosen = rng.integers(len(images), size=rng.integers(2, 6))
    return draw.tight(draw.write_number(images[chosen], rng), 90), len(chosen)


def _samples(folder: str) -> Iterator[Sample]:
    place = PROJECT / "samples" / folder
    for name, expected in json.loads((place / "expected.json").read_text(encoding="utf-8")).items():
        texts = expected.get("texts") or [expected.get("text") or ""]
        if any(texts):
            yield Sample(next(iter(open_pages(place / name))), sum(map(len, texts)))


def _digit_set(name: str, data: Path) -> Iterator[Sample]:
    with np.load(data / "digits" / f"{name}.npz", allow_pickle=False) as stored:
        images = stored["images"]
    for index in default_rng(34).permutation(len(images)):
        yield Sample(np.asarray(images[index]), 1)


def _strings(name: str, data: Path) -> Iterator[Sample]:
    crops = list(labelled(data, name, shortest=2))
    for index in default_rng(35).permutation(len(crops)):
        yield Sample(crops[index].pixels, len(crops[index].text))


def _forms(name: str, data: Path) -> Iterator[Sample]:
    for page in form_pages(name, data):
        yield Sample(page.picture, None)


def measure(reader: Reader, samples: Sequence[Sample], kind: str, folder: Path | None, name: str) -> dict[str, float]:
    """Counts of one source; pictures read as another kind are written to `folder`."""
    chosen: Counter[str] = Counter()
    lost = 0
    for index, sample in enumerate(samples):
        (page,) = open_pages(sample.picture)
        found, numbers = reader.read_on(page)
        texts = [number.text for number in numbers]
        same = found == kind or (kind == "digit" and found == "number" and len(texts[0]) == 1)
        chosen[kind if same else found] += 1
        lost += not same and sum(map(len, texts)) < (sample.digits or np.inf)
        if not same:
            print(f"  {name} {index}: {found} {'+'.join(f'{n.text}({n.outcome.value})' for n in numbers)}", flush=True)
            save_picture(folder, name, index, sample.picture)
    return {"n": len(samples), **{other: chosen[other] for other in KINDS}, "lost": lost}


def main() -> None:
    """Measure each kind, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="pictures of each source")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--sources", nargs="+", help="sources whose name contains one of these")
    parser.add_argument("--part", choices=("train", "test"), default="test", help="with train nothing is stored")
    parser.add_argument("--show", type=Path, help="a folder for the pictures that were read as another kind")
    wanted = parser.parse_args()
    settings = Settings()
    cv2.setNumThreads(1)
    digits = load("mnist", folder=settings.data, part=wanted.part)
    reader = Reader(threads=1)
    for kind in wanted.only:
        for name, make in sources(kind, digits.glyphs, np.asarray(digits.labels), settings.data).items():
            if wanted.sources and not any(part in name for part in wanted.sources):
                continue
            try:
                samples = [sample for sample, _ in zip(make(), range(wanted.count), strict=False)]
            except (OSError, DataError) as problem:
                print(f"{kind}, {name}: skipped: {problem}")
                continue
            row = measure(reader, samples, kind, wanted.show, f"{kind}, {name}")
            print(f"{kind}, {name}", row, flush=True)
            if wanted.part == "test":
                results = load_results(FILE)
                save_results(FILE, results | {kind: results.get(kind, {}) | {name: row}})


if __name__ == "__main__":
    main()
