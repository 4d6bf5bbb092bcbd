"""Seconds to read a page of 100 numbers: A4 at 150 dots per inch, ten columns and rows of three MNIST test digits.

    python -m bench.read.page_speed [--rounds 5]

Medians of `Reader.page`, wall and processor time, with one thread and with two. Writes bench/results/page_speed.json.
"""

import argparse
import statistics
import time

import numpy as np
from numpy.random import default_rng

from bench.read.condition_pages import HEIGHT_PX, WIDTH_PX
from bench.read.condition_pictures import noisy, on_paper, tight, write_number
from bench.results_io import RESULTS, save_results
from handigit.data import load
from handigit.read import Reader
from handigit.settings import Settings

COLUMNS, ROWS = 10, 10


def page_of_100(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The page and its numbers."""
    rng = default_rng(100)
    coverage = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    texts = []
    for row, column in np.ndindex(ROWS, COLUMNS):
        chosen = rng.integers(len(labels), size=3)
        cut = tight(write_number(images[chosen], rng), 30)[:, :105]
        top, left = 90 + row * 160 + int(rng.integers(40)), 20 + column * 121
        coverage[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        texts.append("".join(map(str, labels[chosen])))
    return noisy(on_paper(coverage), rng, 2), texts


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    digits = load("mnist", folder=Settings().data, part="test")
    page, texts = page_of_100(digits.glyphs, np.asarray(digits.labels))
    result = {}
    for threads in (1, 2):
        reader = Reader(threads=threads)
        found = reader.page(page)
        walls, processors = [], []
        for _ in range(wanted.rounds):
            wall, processor = time.perf_counter(), time.process_time()
            reader.page(page)
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
        result[str(threads)] = {
            "numbers": len(texts),
            "found": len(found),
            "right": sum(text in {number.text for number in found} for text in texts),
            "wall_seconds": statistics.median(walls),
            "cpu_seconds": statistics.median(processors),
        }
        print(threads, result[str(threads)], flush=True)
    save_results(RESULTS / "page_speed.json", result)


if __name__ == "__main__":
    main()
