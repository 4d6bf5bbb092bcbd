"""Draw writing under the conditions of everyday pictures: crops, tables, shadows, slants, edges, paper, compression.

Writing is a coverage, `float32 (height, width)` in 0..1: MNIST images redrawn with a clean pen at ten times their size.
Pictures are uint8, grey or RGB. A `Change` makes a picture of a coverage and a random generator.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.random import Generator

PAPER, INK = 238, 40
FRAME_PX = 280
"""Height of an MNIST frame redrawn."""
Coverage = np.ndarray
Picture = np.ndarray
Change = Callable[[Coverage, Generator], Picture]


def redraw(image: np.ndarray) -> Coverage:
    """An MNIST image redrawn with a clean pen in a square of `FRAME_PX`."""
    big = cv2.resize(image.astype(np.float32) / 255, (FRAME_PX, FRAME_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip((cv2.GaussianBlur(big, (0, 0), 4) - 0.35) / 0.12, 0, 1))


def write_number(images: Sequence[np.ndarray] | np.ndarray, rng: Generator) -> Coverage:
    """MNIST images redrawn side by side, 30 to 90 px between their ink and 40 px around."""
    parts: list[np.ndarray] = []
    for image in images:
        digit = redraw(image)
        left, _, right, _ = box_of(digit)
        parts += [np.zeros((FRAME_PX, int(rng.integers(30, 91))), np.float32), digit[:, left:right]]
    return np.pad(np.hstack(parts[1:]), ((0, 0), (40, 40)))


def resize(coverage: Coverage, scale: float) -> Coverage:
    """The coverage enlarged or reduced."""
    size = max(1, round(coverage.shape[1] * scale)), max(1, round(coverage.shape[0] * scale))
    scaled = cv2.resize(coverage, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.clip(scaled, 0, 1)


def on_paper(coverage: Coverage, paper: np.ndarray | float = PAPER, ink: float = INK) -> Picture:
    """The ink on plain or given paper."""
    return np.clip(paper * (1 - coverage) + ink * coverage, 0, 255).astype(np.uint8)


def box_of(coverage: Coverage) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the ink."""
    x, y, width, height = cv2.boundingRect((coverage > 0.3).astype(np.uint8))
    return x, y, x + width, y + height


def tight(coverage: Coverage, height_px: int, margin_px: int = 0) -> Coverage:
    """The coverage cut to the box of its ink, scaled to this height, with a margin."""
    left, top, right, bottom = box_of(coverage)
    cut = coverage[top:bottom, left:right]
    return np.pad(resize(cut, height_px / cut.shape[0]), margin_px)


def cut_off(coverage: Coverage, rng: Generator, sides: int = 4) -> Coverage:
    """The coverage without a tenth of its ink's height at one side: top, bottom, or (of 4) left or right."""
    left, top, right, bottom = box_of(coverage)
    side = rng.integers(sides)
    lost = round(0.1 * (bottom - top)), round(0.1 * min(right - left, bottom - top))
    rows = slice(top + lost[0] if side == 0 else None, bottom - lost[0] if side == 1 else None)
    columns = slice(left + lost[1] if side == 2 else None, right - lost[1] if side == 3 else None)
    return np.ascontiguousarray(coverage[rows, columns])


def warp(coverage: Coverage, *, slant: float = 0, degrees: float = 0) -> Coverage:
    """The coverage slanted (degrees to the right) and rotated about its centre, on a field that contains it."""
    height, width = coverage.shape
    linear = cv2.getRotationMatrix2D((0, 0), degrees, 1)[:, :2] @ [[1, -np.tan(np.radians(slant))], [0, 1]]
    wide, high = np.ceil(np.abs(linear) @ [width, height]).astype(int)
    shift = np.array([wide / 2, high / 2]) - linear @ [width / 2, height / 2]
    return cv2.warpAffine(coverage, np.column_stack([linear, shift]), (int(wide), int(high)))


def on_table(coverage: Coverage, rng: Generator, *, margin: float, table: float, askew: float = 0) -> Picture:
    """A sheet with the writing on a table of another shade, `margin` shorter sides of the sheet wide."""
    height, width = coverage.shape
    around = round(min(height, width) * margin)
    size = height + 2 * around, width + 2 * around
    field = np.full(size, float(table)) + cv2.GaussianBlur(rng.normal(0, 6, size), (0, 0), 2)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), askew, 1)
    matrix[:, 2] += around
    sheet = on_paper(coverage).astype(np.float32)
    mask = cv2.warpAffine(np.ones_like(sheet), matrix, size[::-1])
    page = field * (1 - mask) + cv2.warpAffine(sheet, matrix, size[::-1]) * mask
    return np.clip(page + rng.normal(0, 2, size), 0, 255).astype(np.uint8)


def shadow(coverage: Coverage, rng: Generator, depth: float) -> Picture:
    """The edge of a shadow across the writing."""
    height, width = coverage.shape
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(-0.12, 0.12)
    distance = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - edge
    light = 1 - depth / (1 + np.exp(-np.clip(distance / rng.uniform(0.006, 0.03), -40, 40)))
    lit = on_paper(coverage) * light + rng.normal(0, 1.5, light.shape)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def ruled(coverage: Coverage, rng: Generator, *, squared: bool) -> Picture:
    """Ruled or squared paper under the writing."""
    height, width = coverage.shape
    paper = np.full((height, width), float(PAPER))
    step, thick = int(height * rng.uniform(0.22, 0.5)), max(1, height // 140)
    for offset in range(int(rng.integers(step)), max(height, width), step):
        paper[offset : offset + thick] = 170
        if squared:
            paper[:, offset : offset + thick] = 170
    return on_paper(coverage, paper)


def grid_line(coverage: Coverage, rng: Generator) -> Picture:
    """A crop with the line of its cell along one side, near the writing."""
    cut = tight(coverage, 90, margin_px=9)
    paper = np.full(cut.shape, float(PAPER))
    side = rng.integers(4)
    near, thick = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    index = slice(near, near + thick) if side % 2 else slice(-near - thick, -near)
    paper[(index, slice(None)) if side < 2 else (slice(None), index)] = 90
    return on_paper(cut, paper)


def boxed(coverage: Coverage, rng: Generator) -> Picture:
    """A crop with all of its printed box, 4 to 14 px around the writing."""
    cut = tight(coverage, 90, margin_px=int(rng.integers(8, 19)))
    paper = np.full(cut.shape, float(PAPER))
    cv2.rectangle(paper, (3, 3), (cut.shape[1] - 4, cut.shape[0] - 4), 90.0, int(rng.integers(1, 4)))
    return on_paper(cut, paper)


def at_edge(coverage: Coverage, rng: Generator) -> Picture:
    """Small writing within 10 px of an edge or a corner of a larger sheet."""
    cut = tight(coverage, 65)
    height, width = cut.shape
    sheet = np.zeros((400, max(400, 2 * width)), np.float32)
    free = [int(rng.integers(0, all_px - px)) for all_px, px in zip(sheet.shape, cut.shape, strict=True)]
    near = rng.integers(0, 11, 2).tolist()
    far = [sheet.shape[axis] - cut.shape[axis] - near[axis] for axis in (0, 1)]
    at_border = ((True, False), (False, True), (True, True))[rng.integers(3)]
    top, left = (
        (near[axis] if rng.random() < 0.5 else far[axis]) if at_border[axis] else free[axis] for axis in (0, 1)
    )
    sheet[top : top + height, left : left + width] = cut
    return on_paper(sheet)


def thick_pen(coverage: Coverage) -> Coverage:
    """The writing with a pen 12 px wider."""
    return np.pad(cv2.dilate(coverage, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))), 8)


def thin_pen(coverage: Coverage) -> Coverage:
    """The writing with a thin pen: the band along its centre line, by the distance from the rim."""
    distance = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3))) - 0.75) & (distance > 2)
    thin = cv2.dilate(ridge.astype(np.float32), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    return cv2.GaussianBlur(cv2.morphologyEx(thin, cv2.MORPH_CLOSE, np.ones((9, 9))), (0, 0), 1)


def jpeg(picture: Picture, quality: int) -> Picture:
    """The picture after JPEG compression."""
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)


def motion(picture: Picture, rng: Generator) -> Picture:
    """The picture blurred along a short path."""
    kernel = np.zeros((15, 15), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (6 * np.cos(angle), 6 * np.sin(angle))
    cv2.line(kernel, (round(7 - reach[0]), round(7 - reach[1])), (round(7 + reach[0]), round(7 + reach[1])), 1)
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def noisy(picture: Picture, rng: Generator, deviation: float) -> Picture:
    """The picture with a sensor's noise, in grey levels."""
    return np.clip(picture + rng.normal(0, deviation, picture.shape), 0, 255).astype(np.uint8)


def coloured(coverage: Coverage, rng: Generator) -> Picture:
    """Coloured ink on coloured paper, with contrast."""
    paper, ink = rng.integers(180, 256, 3), rng.integers(0, 120, 3)
    mixed = paper * (1 - coverage[..., None]) + ink * coverage[..., None]
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)
