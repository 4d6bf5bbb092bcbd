"""Draw pages of numbers and photograph them: kinds of paper, angles, quarter turns, tables, perspective, shadows.

A page is A4 at 150 dots per inch with twelve numbers of MNIST digits, 5 to 8 mm high.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.random import Generator

from bench.read.condition_pictures import Coverage, Picture, jpeg, noisy, on_paper, tight, write_number
from handigit.records import Box

WIDTH_PX, HEIGHT_PX = 1240, 1754
COLUMNS, ROWS = 3, 4
RULE = 170


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A picture of a page, and the numbers on it with the boxes of their ink in the picture."""

    picture: Picture
    numbers: Sequence[tuple[str, Box]]


def draw_page(images: np.ndarray, labels: np.ndarray, rng: Generator, paper: str) -> DrawnPage:
    """Twelve numbers of two to five of these digits on `plain`, `ruled`, `squared` or `form` paper."""
    coverage = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    numbers = []
    for place in range(COLUMNS * ROWS):
        chosen = rng.integers(len(labels), size=rng.integers(2, 6))
        cut = tight(write_number(images[chosen], rng), int(rng.integers(30, 48)))
        height, width = cut.shape
        row, column = divmod(place, COLUMNS)
        top = 150 + row * 380 + int(rng.integers(0, 200))
        left = 80 + column * 390 + int(rng.integers(0, max(1, 320 - width)))
        coverage[top : top + height, left : left + width] = cut
        numbers.append(("".join(map(str, labels[chosen])), Box(left, top, left + width, top + height)))
    sheet = _print_paper(coverage, [box for _, box in numbers], rng, paper)
    return DrawnPage(noisy(on_paper(coverage, sheet), rng, 2), numbers)


def _print_paper(coverage: Coverage, boxes: Sequence[Box], rng: Generator, paper: str) -> np.ndarray:
    """The sheet under the writing."""
    sheet = np.full(coverage.shape, 238.0)
    step = {"ruled": 47, "squared": 30}.get(paper)
    if step:
        sheet[int(rng.integers(step)) :: step] = RULE
    if paper == "squared":
        sheet[:, int(rng.integers(step or 1)) :: 30] = RULE
    if paper == "form":
        for box in boxes:
            margin = int(rng.integers(9, 16))
            corners = (box.left - margin, box.top - margin), (box.right + margin, box.bottom + margin)
            cv2.rectangle(sheet, *corners, 90.0, 2)
    return sheet


@dataclass(frozen=True)
class Camera:
    """How a page is photographed.

    `degrees`: clockwise. `table`: grey level of the table around, None for more paper; `margin`: its width in shorter
    sides. `perspective`: maximum shift of a corner as a fraction of the sides. `shadow`: light lost in it.
    """

    degrees: float = 0
    table: float | None = None
    margin: float = 0.15
    perspective: float = 0
    shadow: float = 0
    longer_px: int = HEIGHT_PX


def photograph(page: DrawnPage, camera: Camera, rng: Generator) -> DrawnPage:
    """The page as the camera sees it, in JPEG; without a table, paper continues beyond the page's edges."""
    height, width = page.picture.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), -camera.degrees, 1)
    seen = corners @ rotation[:, :2].T + rotation[:, 2]
    seen += rng.uniform(-camera.perspective, camera.perspective, (4, 2)) * [width, height]
    around = 0 if camera.table is None else camera.margin * min(width, height)
    seen -= seen.min(axis=0) - around
    scale = camera.longer_px / (seen.max(axis=0) + around).max()
    size = np.ceil((seen.max(axis=0) + around) * scale).astype(int).tolist()
    matrix = cv2.getPerspectiveTransform(corners, (seen * scale).astype(np.float32))
    paper = float(np.median(page.picture))
    sheet = cv2.warpPerspective(page.picture, matrix, size, flags=cv2.INTER_AREA, borderValue=paper)
    if camera.table is not None:
        mask = cv2.warpPerspective(np.ones(page.picture.shape, np.float32), matrix, size)
        texture = cv2.GaussianBlur(rng.normal(0, 12, size[::-1]), (0, 0), 3)
        sheet = sheet * mask + (camera.table + texture) * (1 - mask)
    lit = noisy(sheet * _light(size, camera.shadow, rng), rng, 2)
    numbers = [(text, _map_box(box, matrix)) for text, box in page.numbers]
    return DrawnPage(jpeg(lit, 85), numbers)


def _light(size: Sequence[int], depth: float, rng: Generator) -> np.ndarray:
    """Light from one side, and the edge of a shadow across the page."""
    width, height = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    distance = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    return np.asarray((1 - 0.1 * (distance + 0.7)) * (1 - depth / (1 + np.exp(-distance / 0.01))))


def _map_box(box: Box, matrix: np.ndarray) -> Box:
    corners = np.array([[[x, y]] for x in (box.left, box.right) for y in (box.top, box.bottom)], np.float32)
    x, y = cv2.perspectiveTransform(corners, matrix).reshape(-1, 2).T
    return Box(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)


MakePage = Callable[[np.ndarray, np.ndarray, Generator], DrawnPage]


def page_conditions() -> dict[str, MakePage]:
    """Name of each row, and the function that draws its page of these digits."""
    papers = ("plain", "ruled", "squared", "form")
    rows: dict[str, tuple[str, Camera | None]] = {f"{paper}, scanned": (paper, None) for paper in papers}
    for paper in papers:
        for degrees in (-15, -8, 3, 15):
            rows[f"{paper}, {degrees} degrees"] = (paper, Camera(degrees))
    for degrees in (90, 180, 270):
        rows[f"form, turned {degrees}"] = ("form", Camera(degrees))
        rows[f"squared, turned {degrees}"] = ("squared", Camera(degrees))
    for paper in ("plain", "form"):
        for name, camera in TABLES.items():
            rows[f"{paper}, {name}"] = (paper, camera)
    rows["plain, shadow"] = ("plain", Camera(shadow=0.4))
    rows["form, shadow"] = ("form", Camera(shadow=0.4))
    rows["form, 1,000 px"] = ("form", Camera(longer_px=1000))
    rows["form, 3,500 px"] = ("form", Camera(longer_px=3500))
    return {name: partial(_make, paper, camera) for name, (paper, camera) in rows.items()}


TABLES: Mapping[str, Camera] = {
    "dark table": Camera(4, 45, perspective=0.03),
    "brown table": Camera(-6, 110, 0.3, perspective=0.03),
    "light table": Camera(8, 185, perspective=0.03),
}
ANGLES = (-12, -5, 0, 5, 12)
"""Degrees at which real forms are photographed."""


def _make(paper: str, camera: Camera | None, images: np.ndarray, labels: np.ndarray, rng: Generator) -> DrawnPage:
    page = draw_page(images, labels, rng, paper)
    return photograph(page, camera, rng) if camera else page


CAMERAS: Sequence[tuple[str, Camera]] = [
    (name, replace(camera, degrees=degrees)) for name, camera in TABLES.items() for degrees in ANGLES
]
"""Each table at each angle."""
