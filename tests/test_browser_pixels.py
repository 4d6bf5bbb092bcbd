"""The browser's ports of OpenCV's functions, each compared with OpenCV."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser

from browser_port import Port, opened
from browsing import browser as browser

pytestmark = pytest.mark.browser
GREY = np.random.default_rng(7).integers(0, 256, (61, 83), np.uint8)
SMOOTH = cv2.GaussianBlur(GREY, (0, 0), 3)
SMOOTH = ((SMOOTH.astype(np.float32) - SMOOTH.min()) * (255 / np.ptp(SMOOTH))).astype(np.uint8)
MASK = (SMOOTH > 150).astype(np.uint8)
FLOATS = SMOOTH.astype(np.float32) / 255


@pytest.fixture(scope="module")
def port(browser: Browser) -> Iterator[Port]:
    with opened(browser) as page:
        yield page


@pytest.mark.parametrize("size", [(41, 30), (20, 61), (83, 61), (9, 7), (100, 30), (30, 100), (83, 20)])
@pytest.mark.parametrize("plane", [GREY, FLOATS], ids=["bytes", "floats"])
def test_resize_by_area(port: Port, plane: np.ndarray, size: tuple[int, int]) -> None:
    ours = port.call("resize", "resizeArea", plane, *size)
    assert_close(ours, cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_resize_by_whole_factors(port: Port, factor: int) -> None:
    plane = GREY[:60, :72]
    size = (72 // factor, 60 // factor)
    ours = port.call("resize", "resizeArea", plane, *size)
    assert_close(ours, cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("size", [(100, 90), (83, 61), (250, 48), (40, 200), (31, 17)])
@pytest.mark.parametrize("plane", [GREY, FLOATS], ids=["bytes", "floats"])
def test_resize_linearly(port: Port, plane: np.ndarray, size: tuple[int, int]) -> None:
    ours = port.call("resize", "resizeLinear", plane, *size)
    assert_close(ours, cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("plane", [GREY, SMOOTH, SMOOTH // 200 * 100], ids=["noise", "smooth", "two tones"])
def test_otsu(port: Port, plane: np.ndarray) -> None:
    _, expected = cv2.threshold(plane, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert_close(port.call("filters", "otsu", plane), expected)


@pytest.mark.parametrize("mask", [MASK, 1 - MASK], ids=["light", "dark"])
def test_distance(port: Port, mask: np.ndarray) -> None:
    expected = float(cv2.distanceTransform(mask, cv2.DIST_L2, 3).max())
    assert port.call("filters", "largestDistance", mask) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [3, 5, 21, 55])
def test_median(port: Port, size: int) -> None:
    assert_close(port.call("filters", "medianBlur", SMOOTH, size), cv2.medianBlur(SMOOTH, size))


def test_blur(port: Port) -> None:
    assert_close(port.call("filters", "blur3", GREY), cv2.GaussianBlur(GREY, (3, 3), 0))
    assert_close(port.call("filters", "blur3", FLOATS), cv2.GaussianBlur(FLOATS, (3, 3), 0))
    assert_close(port.call("filters", "blurBytes", GREY), cv2.GaussianBlur(GREY, (0, 0), 1))
    assert_close(port.call("filters", "blurFloats", FLOATS, 10.5), cv2.GaussianBlur(FLOATS, (0, 0), 10.5))


@pytest.mark.parametrize("kernel", [(3, 3), (5, 1), (1, 8), (11, 11), (1, 4), (6, 1), (1, 1), (2, 7), (17, 30)])
@pytest.mark.parametrize("plane", [GREY, MASK], ids=["grey", "mask"])
def test_morphology(port: Port, plane: np.ndarray, kernel: tuple[int, int]) -> None:
    height, width = kernel
    element = np.ones(kernel, np.uint8)
    for name, expected in {
        "erode": cv2.erode(plane, element),
        "dilate": cv2.dilate(plane, element),
        "opened": cv2.morphologyEx(plane, cv2.MORPH_OPEN, element),
        "closed": cv2.morphologyEx(plane, cv2.MORPH_CLOSE, element),
    }.items():
        assert_close(port.call("morphology", name, plane, width, height), expected, name=name)


def test_opening_with_paper_beyond_the_border(port: Port) -> None:
    element = np.ones((6, 1), np.uint8)
    expected = cv2.morphologyEx(MASK, cv2.MORPH_OPEN, element, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    assert_close(port.call("morphology", "opened", MASK, 1, 6, [0, 0]), expected)


@pytest.mark.parametrize("side", [3, 5, 7, 11, 23])
def test_ellipse(port: Port, side: int) -> None:
    expected = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    ours = np.zeros_like(expected)
    for x, y in port.call("morphology", "ellipse", side):
        ours[y + side // 2, x + side // 2] = 1
    assert_close(ours, expected)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_connected_parts(port: Port, connectivity: int) -> None:
    mask = (GREY > 140).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity)
    ours = port.call("regions", "connectedParts", mask, {"connectivity": connectivity})["parts"]
    boxes = [[part[name] for name in ("left", "top", "width", "height", "area")] for part in ours]
    assert sorted(boxes) == sorted(stats[1:].tolist())


LINES = [
    ((3, 5), (70, 50), 1),
    ((3, 5), (70, 9), 3),
    ((75, 4), (2, 33), 5),
    ((40, 0), (44, 60), 4),
    ((0, 30), (82, 30), 6),
    ((0, 1), (82, 3), 6),
    ((20, 20), (20, 20), 5),
    ((80, 60), (82, 2), 2),
    ((-4, 30), (90, 41), 1),
]


@pytest.mark.parametrize(("start", "end", "thickness"), LINES)
def test_lines(port: Port, start: tuple[int, int], end: tuple[int, int], thickness: int) -> None:
    expected = np.zeros((61, 83), np.uint8)
    cv2.line(expected, start, end, 1, thickness)
    assert_close(port.call("drawing", "drawLine", np.zeros_like(expected), start, end, thickness), expected)


POLYGONS = [
    [(10, 5), (70, 12), (60, 55), (5, 40)],
    [(30, 2), (80, 30), (40, 58)],
    [(-5, -5), (90, 3), (70, 70), (10, 50)],
    [(10, 10), (50, 10), (70, 30), (50, 50), (10, 50)],
]


@pytest.mark.parametrize("corners", POLYGONS)
def test_convex_polygons(port: Port, corners: list[tuple[int, int]]) -> None:
    expected = np.zeros((61, 83), np.uint8)
    cv2.fillConvexPoly(expected, np.array(corners, np.int32), 1)
    assert_close(port.call("drawing", "fillConvex", np.zeros_like(expected), corners), expected)


@pytest.mark.parametrize("mask", [MASK, 1 - MASK], ids=["light", "dark"])
def test_outline_hull_and_polygon(port: Port, mask: np.ndarray) -> None:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    largest = 1 + int(stats[1:, 4].argmax())
    contours, _ = cv2.findContours((labels == largest).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    first = next(index for index, label in enumerate(labels.ravel().tolist()) if label == largest)
    height, width = mask.shape
    ours = port.page.evaluate(
        """async ([cells, start, width, height, tolerance]) => {
          const { convexHull, outline, polygonArea, polygonLength, simplified } = await import("/handigit/regions.js");
          const points = outline(Int32Array.from(cells), 1, width, height);
          const hull = convexHull(points);
          const polygon = simplified(hull, tolerance);
          return { area: polygonArea(points), hull, length: polygonLength(hull), polygon };
        }""",
        [(labels == largest).astype(int).ravel().tolist(), first, width, height, 3.0],
    )
    hull = cv2.convexHull(contour)
    assert ours["area"] == cv2.contourArea(contour)
    assert ours["length"] == pytest.approx(cv2.arcLength(hull, True), rel=1e-6)
    assert sorted(ours["hull"]) == sorted(hull.reshape(-1, 2).tolist())
    assert sorted(ours["polygon"]) == sorted(cv2.approxPolyDP(hull, 3.0, True).reshape(-1, 2).tolist())


def test_moments_and_shear(port: Port) -> None:
    ours, expected = port.call("filters", "moments", FLOATS), cv2.moments(FLOATS)
    assert all(ours[name] == pytest.approx(expected[name], rel=1e-4) for name in ("m00", "m10", "m01", "mu11", "mu02"))
    matrix = np.array([[1, 0.37, -9.3], [0, 1, 0]])
    sheared = cv2.warpAffine(FLOATS, matrix, FLOATS.shape[::-1])
    assert_close(port.call("filters", "sheared", FLOATS, 0.37, -9.3), sheared)


def assert_close(ours: Any, expected: np.ndarray, *, most: float = 0.0, name: str = "") -> None:
    """Equal bytes, except for a fraction `most` that may be one level off; floats within 1e-5."""
    assert ours.shape == expected.shape
    if expected.dtype == np.float32:
        np.testing.assert_allclose(ours, expected, atol=2e-5, err_msg=name)
        return
    off = np.abs(ours.astype(int) - expected.astype(int))
    assert off.max() <= (1 if most else 0), f"{name}: {(off > 0).mean():.3%} differ, by up to {off.max()}"
    assert (off > 0).mean() <= most
