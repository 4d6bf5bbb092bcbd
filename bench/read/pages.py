"""Whole pages: numbers found, right and falsely read, and seconds, beside RapidOCR's whole pipeline in the same run.

    python -m bench.read.pages [--only drawn c1 grades_eg] [--pages 4] [--photos 3]

Pages: drawn ones on plain, ruled, squared and form paper, vote-count forms (c1) and grade sheets (grades_eg); and each
photographed by our camera on three tables at five angles; each page in `--photos` of these fifteen ways, which take
turns. The geometry that finds numbers was adjusted while looking at c1 and grades_eg, so their figures are of
development. `elsewhere`: numbers read where there is none; `marks`: ticks, boxes, tallies read as a number. A text of
RapidOCR counts as a number if most of its characters are digits; it is right if its digits are. `detector`: our reader
on the boxes of PP-OCRv6's small text detector instead of our own regions. Adds to bench/results/page_reading.json.
"""

import argparse
import csv
import json
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import default_rng
from PIL import Image

from bench.read.condition_pages import CAMERAS, DrawnPage, draw_page, photograph
from bench.read.text_detector import TextDetector
from bench.results_io import PROJECT, RESULTS, load_results, save_results
from handigit.data import load
from handigit.read import Reader
from handigit.records import Box, Number, Outcome
from handigit.settings import Settings

FILE = RESULTS / "page_reading.json"
PEER = PROJECT / "out" / "page-peers"
PACKAGES = ("rapidocr==3.10.0", "onnxruntime")
SETS = ("drawn", "c1", "grades_eg")
MARGIN = 0.25


@dataclass(frozen=True, eq=False)
class Answer:
    """One reader's numbers on one page, each with its box and whether it is `read`; and processor seconds."""

    numbers: Sequence[tuple[str, Box, bool]]
    seconds: float


def pages(name: str, data: Path) -> Iterator[DrawnPage]:
    """The pages of a set; a mark has the text ""."""
    if name == "drawn":
        digits = load("mnist", folder=data, part="test")
        labels = np.asarray(digits.labels)
        for number in range(8):
            paper = ("plain", "ruled", "squared", "form")[number % 4]
            yield draw_page(digits.glyphs, labels, default_rng([11, number]), paper)
        return
    folder = data / "forms" / name
    by_page: dict[str, list[tuple[str, Box]]] = {}
    with (folder / "forms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            box = Box(*(round(float(row[side])) for side in ("x0", "y0", "x1", "y1")))
            by_page.setdefault(row["file"], []).append((row["label"], box))
    for name_of_page, numbers in by_page.items():
        yield DrawnPage(np.asarray(Image.open(folder / "images" / name_of_page).convert("L")), numbers)


def photographed(some: Sequence[DrawnPage], photos: int) -> dict[str, list[DrawnPage]]:
    """By table; each page in `photos` of the fifteen ways, which take turns."""
    result: dict[str, list[DrawnPage]] = {}
    for index, page in enumerate(some):
        for turn in range(photos):
            way = (index + turn * 7) % len(CAMERAS)
            table, camera = CAMERAS[way]
            result.setdefault(table, []).append(photograph(page, camera, default_rng([12, index, way])))
    return result


def ours(reader: Reader, page: DrawnPage) -> Answer:
    """Numbers that were read."""
    began = time.process_time()
    numbers = reader.page(page.picture)
    return _answer(numbers, time.process_time() - began)


def by_detector(reader: Reader, detector: TextDetector, page: DrawnPage) -> Answer:
    """Our reader on the detector's boxes."""
    began = time.process_time()
    boxes = detector.boxes(page.picture)
    margins = [round(MARGIN * box.height) for box in boxes]
    corners = [(max(box.left - m, 0), max(box.top - m, 0)) for box, m in zip(boxes, margins, strict=True)]
    crops = [
        page.picture[top : box.bottom + m, left : box.right + m]
        for box, m, (left, top) in zip(boxes, margins, corners, strict=True)
    ]
    numbers = reader.numbers_on(crops) if crops else []
    placed = [
        number.map_boxes(lambda box, at=corner: box.moved(*at))  # type: ignore[misc]
        for number, corner in zip(numbers, corners, strict=True)
    ]
    return _answer(placed, time.process_time() - began)


def _answer(numbers: Sequence[Number], seconds: float) -> Answer:
    return Answer([(n.text, n.box, n.outcome is Outcome.READ) for n in numbers if n.text and n.box], seconds)


def theirs(some: Sequence[DrawnPage]) -> list[Answer]:
    """RapidOCR's texts that are mostly digits."""
    with tempfile.TemporaryDirectory() as place:
        file, answers = Path(place) / "pages.npz", Path(place) / "answers.json"
        named: dict[str, Any] = {f"page{number}": page.picture for number, page in enumerate(some)}
        np.savez(file, **named)
        script = str(Path(__file__).with_name("page_peer.py"))
        subprocess.run([_peer_python(), "-I", script, str(file), str(answers)], check=True)
        found = json.loads(answers.read_text(encoding="utf-8"))
    return [
        Answer(
            [(_digits(text), Box(*map(int, box)), True) for text, box in one["texts"] if _is_number(text)],
            one["seconds"],
        )
        for one in found
    ]


def _is_number(text: str) -> bool:
    return 2 * sum(map(str.isdecimal, text)) > len(text)


def _peer_python() -> str:
    """The interpreter of an environment with the peer, made once."""
    python = PEER / "bin" / "python"
    if not python.is_file():
        venv.create(PEER, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def score(some: Sequence[DrawnPage], answers: Sequence[Answer]) -> dict[str, float]:
    """Fractions over the numbers of all pages."""
    numbers = found = right = marks = marks_read = elsewhere = 0
    for page, answer in zip(some, answers, strict=True):
        rest = list(answer.numbers)
        for text, box in page.numbers:
            there = [one for one in rest if _contains(box, one[1])]
            rest = [one for one in rest if one not in there]
            if text:
                numbers, found = numbers + 1, found + bool(there)
                right += any(other == text for other, _, _ in there)
            else:
                marks, marks_read = marks + 1, marks_read + any(is_read for _, _, is_read in there)
        elsewhere += sum(is_read for _, _, is_read in rest)
    seconds = float(np.mean([answer.seconds for answer in answers]))
    row = {"pages": len(some), "numbers": numbers, "found": found / numbers, "right": right / numbers}
    return row | {"marks": marks, "marks_read": marks_read, "elsewhere": elsewhere, "cpu_seconds": seconds}


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _contains(box: Box, other: Box) -> bool:
    x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
    return box.left <= x <= box.right and box.top <= y <= box.bottom


def main() -> None:
    """Measure each set as it is and photographed, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--photos", type=int, default=3, help="photographs of each page; 0 for none, at most 15")
    parser.add_argument("--pages", type=int, help="at most this many pages of each set, from all over it")
    wanted = parser.parse_args()
    settings = Settings()
    cv2.setNumThreads(1)
    reader, detector = Reader(threads=1), TextDetector(settings.runs / "published")
    for name in wanted.only:
        scans = list(pages(name, settings.data))
        if wanted.pages:
            scans = scans[:: -(-len(scans) // wanted.pages)]
        groups = {name: scans} | {
            f"{name}, {table}": some for table, some in sorted(photographed(scans, wanted.photos).items())
        }
        for group, some in groups.items():
            rows = {
                "ours": score(some, [ours(reader, page) for page in some]),
                "detector": score(some, [by_detector(reader, detector, page) for page in some]),
                "rapidocr": score(some, theirs(some)),
            }
            print(group, json.dumps(rows), flush=True)
            save_results(FILE, load_results(FILE) | {group: rows})


if __name__ == "__main__":
    main()
