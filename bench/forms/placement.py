"""How well pages are placed on their forms: drawn scans and photographs, foreign pages, speed per page.

    python -m bench.forms.placement [--only markers|without_markers|foreign] [--pages 60] [--seed 1]

Fields are compared with where the drawing put them; foreign pages are other forms of the gallery without their codes,
forms shifted by a row, scribbles. Foreign pages of several seeds are counted together. Results go to
bench/results/forms.json.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import mean, median
from typing import Any, Final

import cv2
import numpy as np

from bench.results_io import RESULTS, load_results, save_results
from handigit.forms import Template, gallery
from handigit.forms.align import Aligner, Placement
from handigit.forms.blank import render_print
from handigit.forms.drawn import Scan, View, fill, see
from handigit.forms.markers import find_markers
from handigit.forms.page_ink import transform

FILE = RESULTS / "forms.json"


def worst_distance(found: Placement, scan: Scan) -> float:
    """The largest distance of a written field's corner from the truth, in field heights."""
    worst = 0.0
    for spec in found.template.fields_on(found.page):
        if spec.kind.is_written:
            true = scan.places(np.array(spec.box.corners))
            high = float(np.linalg.norm(true[3] - true[0]))
            worst = max(worst, float(np.linalg.norm(found.corners(spec) - true, axis=1).max()) / high)
    return worst


def drawn_pages(count: int, rng: np.random.Generator, *, hide_markers: bool = False) -> dict[str, object]:
    """Drawn copies of all forms of the gallery, half scanned, half photographed."""
    names = sorted(gallery())
    aligners = {name: Aligner([Template.load(name)]) for name in names}
    distances: list[tuple[float, str]] = []
    cpu: list[float] = []
    methods = Counter[str]()
    for index in range(count):
        name = names[index % len(names)]
        view = View.scanner(rng) if index % 2 else View.telephone(rng)
        scan = see(fill(aligners[name].templates[0], rng), view, rng)
        page = without_markers(scan.pixels) if hide_markers else scan.pixels
        start = time.process_time()
        found = aligners[name].place(page)
        cpu.append(time.process_time() - start)
        methods[found.method if isinstance(found, Placement) else "unplaced"] += 1
        if isinstance(found, Placement):
            how = "telephone" if view.table else "scanner"
            distances.append((round(worst_distance(found, scan), 4), f"{name}, {how}, {view.dpi} dpi"))
    distances.sort(reverse=True)
    far = [distance for distance, _ in distances]
    return {
        "pages": count,
        "placed": len(distances),
        "methods": dict(methods),
        "distance_median": round(median(far), 4),
        "distance_95": round(float(np.quantile(far, 0.95)), 4),
        "distance_99": round(float(np.quantile(far, 0.99)), 4),
        "distance_worst": far[0],
        "worst_pages": [f"{distance}: {page}" for distance, page in distances[:5]],
        "cpu_s_per_page": round(mean(cpu), 3),
    }


def without_markers(page: np.ndarray) -> np.ndarray:
    """The page with its markers painted over, so that print and rules must place it."""
    page = page.copy()
    for corners in find_markers(page).values():
        cv2.fillConvexPoly(
            page, cv2.convexHull((corners + np.sign(corners - corners.mean(axis=0)) * 3).astype(np.int32)), 250
        )
    return page


def foreign_pages(count: int, rng: np.random.Generator) -> dict[str, object]:
    """Pages that must not be placed: other forms without codes, rows shifted off the page, scribbles."""
    names = sorted(gallery())
    templates = {name: Template.load(name) for name in names}
    aligners = {name: Aligner([template]) for name, template in templates.items()}
    taken, kinds = Counter[str](), Counter[str]()
    for index in range(count):
        name = names[index % len(names)]
        other = names[(index + 1 + index // len(names)) % len(names)]
        kind = ("other form", "cut and shifted", "scribbles")[index % 3]
        if kind == "other form" and other != name:
            scan = see(fill(templates[other], rng, dpi=100), View.scanner(rng, dpi=100), rng)
            page = _without_code(scan, templates[other])
        elif kind == "cut and shifted":
            page = _rows_only(templates["class-roster"], rng)
            name = "class-roster"
        else:
            kind, page = "scribbles", _scribbles(rng)
        kinds[kind] += 1
        if isinstance(aligners[name].place(page), Placement):
            taken[kind] += 1
    return {"pages": count, "kinds": dict(kinds), "placed": sum(taken.values()), "placed_kinds": dict(taken)}


def _without_code(scan: Scan, template: Template) -> np.ndarray:
    """A form with its code painted over, its markers kept: only its print says that it is another."""
    page, area = scan.pixels.copy(), template.pages[0].code
    if area is not None:
        cv2.fillConvexPoly(page, transform(scan.matrix, np.array(area.grown(1).corners)).astype(np.int32), 250)
    return page


def _rows_only(template: Template, rng: np.random.Generator) -> np.ndarray:
    """Some rows from the middle of a printed table: which rows they are cannot be said."""
    page = render_print(template, 1, longest_px=1400)
    grid = template.grids[0]
    scale = page.shape[0] / template.pages[0].size[1]
    first = int(rng.integers(2, 8))
    top, bottom = grid.rows[first] + 3, grid.rows[first + int(rng.integers(6, 11))] + 3
    left = grid.columns[1] + 4  # without the names, whose numbers would tell
    return np.ascontiguousarray(page[round(top * scale) : round(bottom * scale), round(left * scale) :])


def _scribbles(rng: np.random.Generator) -> np.ndarray:
    page = np.full((1400, 1000), 250, np.uint8)
    for _ in range(40):
        points = (rng.uniform(50, 900, 2) + rng.normal(0, 60, (12, 2)).cumsum(axis=0)).astype(np.int32)
        cv2.polylines(page, [points], False, 40, 3)
    return page


PARTS: Final[dict[str, Callable[[int, np.random.Generator], dict[str, object]]]] = {
    "markers": drawn_pages,
    "without_markers": partial(drawn_pages, hide_markers=True),
    "foreign": foreign_pages,
}


def _added(before: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The counts of foreign pages of other seeds and of this one."""
    if part["seed"] in before.get("seeds", [part["seed"]]):
        return {"seeds": [part.pop("seed")], **part}
    kinds = {name: dict(Counter(before[name]) + Counter(part[name])) for name in ("kinds", "placed_kinds")}
    counts = {name: before[name] + part[name] for name in ("pages", "placed")}
    return {"seeds": [*before["seeds"], part["seed"]], **counts, **kinds}


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(PARTS), help="one part; the results of the others are kept")
    options = parser.parse_args()
    results = load_results(FILE)
    measured = results.setdefault("placement", {})
    for name in [options.only] if options.only else PARTS:
        command = f"python -m bench.forms.placement --only {name} --pages {options.pages} --seed {options.seed}"
        found = PARTS[name](options.pages, np.random.default_rng(options.seed))
        if name == "foreign":
            found = _added(measured.get(name, {}), found | {"seed": options.seed})
        measured[name] = {"command": command, **found}
    save_results(FILE, results)
    print(results["placement"])


if __name__ == "__main__":
    main()
