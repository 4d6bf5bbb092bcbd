"""Digits under the conditions of everyday pictures: crops, tables, shadows, slants, edges, paper, compression.

    python -m bench.read.conditions                      # 1,000 MNIST test digits, all conditions
    python -m bench.read.conditions --n 200 --part train --only "tight" "shadow"

MNIST digits are redrawn large with a clean pen and changed as each row says; the same digits in every row. Per row:
right (the value is the label, whatever the outcome), read, blank, and wrong among read, as fractions. Results go to
bench/results/conditions.json.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.results_io import RESULTS, save_results
from handigit import Outcome, Reader
from handigit.data import load
from handigit.settings import Settings

FILE = RESULTS / "conditions.json"
PAPER, INK, BATCH = 238, 40, 50
Rng = np.random.Generator
Picture = np.ndarray
"""uint8, grey or RGB."""


def redraw(image: np.ndarray, size_px: int) -> np.ndarray:
    """Coverage, 0..1, of an MNIST image redrawn with a clean pen in a square of this size."""
    big = cv2.resize(image.astype(np.float32) / 255, (280, 280), interpolation=cv2.INTER_CUBIC)
    big = np.clip((cv2.GaussianBlur(big, (0, 0), 4) - 0.35) / 0.12, 0, 1)
    shrink = size_px < 280
    scaled = cv2.resize(big, (size_px, size_px), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    return np.asarray(np.clip(scaled, 0, 1))


def on_paper(coverage: np.ndarray, paper: np.ndarray | float = PAPER, ink: float = INK) -> Picture:
    """The ink on plain or given paper."""
    return np.clip(paper * (1 - coverage) + ink * coverage, 0, 255).astype(np.uint8)


def box_of(coverage: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the ink."""
    x, y, width, height = cv2.boundingRect((coverage > 0.3).astype(np.uint8))
    return x, y, x + width, y + height


def tight(coverage: np.ndarray, *, longer_px: int, margin_px: int = 0) -> np.ndarray:
    """The coverage cut to the digit's box and scaled so that its longer side is this long."""
    left, top, right, bottom = box_of(coverage)
    cut = coverage[top:bottom, left:right]
    scale = longer_px / max(cut.shape)
    size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    cut = np.clip(cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), 0, 1)
    return np.pad(cut, margin_px)


def cut_off(coverage: np.ndarray, rng: Rng, fraction: float = 0.1) -> np.ndarray:
    """The coverage without a part of the digit at one side."""
    left, top, right, bottom = box_of(coverage)
    side = rng.integers(4)
    dx, dy = round(fraction * (right - left)), round(fraction * (bottom - top))
    rows = slice(top + dy if side == 0 else None, bottom - dy if side == 1 else None)
    columns = slice(left + dx if side == 2 else None, right - dx if side == 3 else None)
    return np.ascontiguousarray(coverage[rows, columns])


def warp(coverage: np.ndarray, *, slant: float = 0, degrees: float = 0) -> np.ndarray:
    """The coverage slanted (tangent, to the right) and rotated about its centre, on a larger field."""
    size = coverage.shape[0]
    wide = round(1.6 * size)
    rotation = cv2.getRotationMatrix2D((0, 0), degrees, 1)[:, :2]
    linear = rotation @ np.array([[1, -slant], [0, 1]])
    shift = np.array([wide / 2, wide / 2]) - linear @ np.array([size / 2, size / 2])
    return cv2.warpAffine(coverage, np.column_stack([linear, shift]), (wide, wide))


def on_table(coverage: np.ndarray, rng: Rng, *, margin: float, table: float, askew: float = 0) -> Picture:
    """A sheet with the digit on a table of another shade, which is `margin` wide in sides of the sheet."""
    size = coverage.shape[0]
    wide = round(size * (1 + 2 * margin))
    field = np.full((wide, wide), float(table)) + cv2.GaussianBlur(rng.normal(0, 6, (wide, wide)), (0, 0), 2)
    offset = (wide - size) // 2
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), askew, 1)
    matrix[:, 2] += offset
    sheet = on_paper(coverage).astype(np.float32)
    mask = cv2.warpAffine(np.ones_like(sheet), matrix, (wide, wide))
    page = field * (1 - mask) + cv2.warpAffine(sheet, matrix, (wide, wide)) * mask
    return np.clip(page + rng.normal(0, 2, page.shape), 0, 255).astype(np.uint8)


def shadow(coverage: np.ndarray, rng: Rng, depth: float) -> Picture:
    """The edge of a shadow across the digit."""
    size = coverage.shape[0]
    y, x = np.mgrid[0:size, 0:size] / size
    angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(-0.12, 0.12)
    distance = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - edge
    light = 1 - depth / (1 + np.exp(-np.clip(distance / rng.uniform(0.006, 0.03), -40, 40)))
    lit = on_paper(coverage) * light + rng.normal(0, 1.5, light.shape)
    return np.asarray(np.clip(lit, 0, 255).astype(np.uint8))


def ruled(coverage: np.ndarray, rng: Rng, *, squared: bool) -> Picture:
    """Ruled or squared paper under the digit."""
    size = coverage.shape[0]
    paper = np.full((size, size), float(PAPER))
    step, thick = int(size * rng.uniform(0.22, 0.5)), max(1, size // 140)
    for offset in range(int(rng.integers(step)), size, step):
        paper[offset : offset + thick] = 170
        if squared:
            paper[:, offset : offset + thick] = 170
    return on_paper(coverage, paper)


def grid_line(coverage: np.ndarray, rng: Rng) -> Picture:
    """A crop with the line of its cell along one side, near the digit."""
    cut = tight(coverage, longer_px=90, margin_px=9)
    paper = np.full(cut.shape, float(PAPER))
    side = rng.integers(4)
    near, thick = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    index = slice(near, near + thick) if side % 2 else slice(-near - thick, -near)
    paper[(index, slice(None)) if side < 2 else (slice(None), index)] = 90
    return on_paper(cut, paper)


def at_edge(coverage: np.ndarray, rng: Rng, *, pen: str) -> Picture:
    """A small digit within 10 px of an edge or a corner of a 400 px sheet."""
    cut = tight(_redrawn_with(coverage, pen), longer_px=65)
    sheet = np.zeros((400, 400), np.float32)
    height, width = cut.shape
    free = int(rng.integers(0, 400 - height)), int(rng.integers(0, 400 - width))
    near = int(rng.integers(0, 11)), int(rng.integers(0, 11))
    vertical, horizontal = ((1, 0), (0, 1), (1, 1))[rng.integers(3)]
    top = (near[0] if rng.random() < 0.5 else 400 - height - near[0]) if vertical else free[0]
    left = (near[1] if rng.random() < 0.5 else 400 - width - near[1]) if horizontal else free[1]
    sheet[top : top + height, left : left + width] = cut
    return on_paper(sheet)


def _redrawn_with(coverage: np.ndarray, pen: str) -> np.ndarray:
    """The digit with a thinner or thicker pen, on its field of 280 px."""
    if pen == "clean":
        return coverage
    if pen == "thick":
        return np.pad(cv2.dilate(coverage, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))), 8)
    # A thin pen: the band along the centre line, by the distance from the rim.
    distance = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3))) - 0.75) & (distance > 2)
    thin = cv2.dilate(ridge.astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    return cv2.GaussianBlur(cv2.morphologyEx(thin, cv2.MORPH_CLOSE, np.ones((9, 9))), (0, 0), 1)


def jpeg(picture: Picture, quality: int) -> Picture:
    """The picture after JPEG compression."""
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)


def motion(picture: Picture, rng: Rng) -> Picture:
    """The picture blurred along a short path."""
    kernel = np.zeros((15, 15), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (6 * np.cos(angle), 6 * np.sin(angle))
    cv2.line(kernel, (round(7 - reach[0]), round(7 - reach[1])), (round(7 + reach[0]), round(7 + reach[1])), 1)
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def coloured(coverage: np.ndarray, rng: Rng) -> Picture:
    """Coloured ink on coloured paper, with contrast."""
    paper, ink = rng.integers(180, 256, 3), rng.integers(0, 120, 3)
    mixed = paper * (1 - coverage[..., None]) + ink * coverage[..., None]
    return np.asarray(np.clip(mixed, 0, 255).astype(np.uint8))


def sized(size_px: int, change: Callable[[np.ndarray, Rng], Picture]) -> Callable[[np.ndarray, Rng], Picture]:
    """The change applied to a digit on a field of this size."""
    return lambda digit, rng: change(redraw(digit, size_px), rng)


def conditions() -> dict[str, Callable[[np.ndarray, Rng], Picture]]:
    """Name of each row, and the function that makes its picture of an MNIST image."""
    rows: dict[str, Callable[[np.ndarray, Rng], Picture]] = {}
    for size in (40, 64, 72, 140, 280):
        rows[f"plain {size} px"] = sized(size, lambda c, _: on_paper(c))
    for size in (28, 40, 56, 64, 72, 100, 140, 200, 300):
        rows[f"tight {size} px"] = sized(280, lambda c, _, s=size: on_paper(tight(c, longer_px=s)))  # type: ignore[misc] # a default binds the loop variable
    rows["tight 100 px, light ink"] = sized(280, lambda c, _: 255 - on_paper(tight(c, longer_px=100)))
    rows["tight 100 px, thick pen"] = sized(280, lambda c, _: on_paper(tight(_redrawn_with(c, "thick"), longer_px=100)))
    rows["tight 100 px, thin pen"] = sized(280, lambda c, _: on_paper(tight(_redrawn_with(c, "thin"), longer_px=100)))
    rows["margin 8 px, 100 px"] = sized(280, lambda c, _: on_paper(tight(c, longer_px=100, margin_px=8)))
    for size in (60, 280):
        rows[f"10 % cut off, {size} px"] = sized(size, lambda c, rng: on_paper(cut_off(c, rng)))
    for margin in (0.15, 0.3, 0.6):
        for table, shade in (("dark", 45), ("brown", 110), ("light", 185)):
            rows[f"{table} table, {margin:.0%} margin"] = sized(
                200,
                lambda c, rng, m=margin, t=shade: on_table(c, rng, margin=m, table=t),  # type: ignore[misc] # a default binds the loop variable
            )
    rows["dark table, askew"] = sized(
        200, lambda c, rng: on_table(c, rng, margin=0.3, table=45, askew=rng.uniform(-20, 20))
    )
    for size in (60, 140, 280):
        for depth in (0.3, 0.55):
            rows[f"shadow {depth:.0%}, {size} px"] = sized(size, lambda c, rng, d=depth: shadow(c, rng, d))  # type: ignore[misc] # a default binds the loop variable
    for degrees in (-25, -15, 15, 25):
        slant = float(np.tan(np.radians(degrees)))
        rows[f"slant {degrees}"] = sized(280, lambda c, _, s=slant: on_paper(warp(c, slant=s)))  # type: ignore[misc] # a default binds the loop variable
    rows["rotated 15"] = sized(280, lambda c, rng: on_paper(warp(c, degrees=rng.choice([-15, 15]))))
    for pen in ("thin", "clean", "thick"):
        rows[f"edge or corner, {pen} pen"] = sized(280, lambda c, rng, p=pen: at_edge(c, rng, pen=p))  # type: ignore[misc] # a default binds the loop variable
    rows["thin pen"] = sized(280, lambda c, _: on_paper(_redrawn_with(c, "thin")))
    rows["thick pen"] = sized(280, lambda c, _: on_paper(_redrawn_with(c, "thick")))
    rows["ruled paper"] = sized(280, lambda c, rng: ruled(c, rng, squared=False))
    rows["squared paper"] = sized(280, lambda c, rng: ruled(c, rng, squared=True))
    rows["grid line"] = sized(280, grid_line)
    rows["colours"] = sized(280, coloured)
    rows["light on dark"] = sized(280, lambda c, _: 255 - on_paper(c))
    rows["JPEG 10"] = sized(280, lambda c, _: jpeg(on_paper(c), 10))
    rows["motion blur"] = sized(140, lambda c, rng: motion(on_paper(c), rng))
    rows["10 % contrast"] = sized(280, lambda c, _: on_paper(c, PAPER, PAPER - 24))
    rows["noise"] = sized(
        140, lambda c, rng: np.clip(on_paper(c) + rng.normal(0, 18, c.shape), 0, 255).astype(np.uint8)
    )
    return rows


@dataclass(frozen=True)
class Row:
    """Fractions of one condition."""

    n: int
    right: float
    read: float
    blank: float
    wrong_among_read: float


def measure(reader: Reader, pictures: Iterator[Picture], labels: np.ndarray) -> tuple[Row, list[int]]:
    """The row, and the indices of pictures that were not right."""
    digits = reader.digits(pictures)
    right = np.array([digit.value == label for digit, label in zip(digits, labels.tolist(), strict=True)])
    read = np.array([digit.outcome is Outcome.READ for digit in digits])
    blank = np.array([digit.outcome is Outcome.BLANK for digit in digits])
    wrong = float((read & ~right).sum() / max(read.sum(), 1))
    row = Row(len(digits), float(right.mean()), float(read.mean()), float(blank.mean()), wrong)
    return row, np.flatnonzero(~right).tolist()


def main() -> None:
    """Measure the rows, print and store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--part", choices=("train", "test"), default="test")
    parser.add_argument("--only", nargs="*", help="rows whose name contains one of these")
    parser.add_argument("--show", type=Path, help="a folder for the pictures that were not right")
    arguments = parser.parse_args()
    data = load("mnist", folder=Settings().data, part=arguments.part)
    indices = np.random.default_rng(7).permutation(len(data))[: arguments.n]
    images, labels = data.glyphs[indices], np.asarray(data.labels)[indices]
    reader = Reader(threads=1)
    results: dict[str, Any] = {}
    for number, (name, make) in enumerate(conditions().items()):
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        rng = np.random.default_rng(number)
        pictures = [make(image, rng) for image in images]
        row, misread = measure(reader, iter(pictures), labels)
        results[name] = vars(row)
        print(
            f"{name:32} right {row.right:6.1%}  read {row.read:6.1%}  blank {row.blank:5.1%}  "
            f"wrong among read {row.wrong_among_read:5.2%}",
            flush=True,
        )
        if arguments.show:
            arguments.show.mkdir(parents=True, exist_ok=True)
            for i in misread[:24]:
                cv2.imwrite(str(arguments.show / f"{name.replace(' ', '-')}-{labels[i]}-{i}.png"), pictures[i])
    if not arguments.only and arguments.part == "test":
        command = f"python -m bench.read.conditions --n {arguments.n}"
        save_results(FILE, {"command": command, "digits": results})


if __name__ == "__main__":
    main()
