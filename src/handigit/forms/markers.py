"""A page placed by its four ArUco markers, and the code that names the form and its page."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from handigit.forms.layout import marker_areas
from handigit.forms.page_ink import Grey, Matrix, resizing, shrink, transform

_DETECT_PX: Final = 2400
"""Longer side of the copy in which markers are looked for: an A4 page at 200 dpi."""
_BLUR_PX: Final = 1.0
MARKERS: Final = range(4)
"""Identities of the markers, from the left top corner of the sheet."""
_MOST_OFF: Final = 0.12
"""Distance of a marker's corner from where the others put it, in sides of a marker."""
_CODE_DPI_SIDE_PX: Final = 240

Corners = Float32[np.ndarray, "4 2"]


@dataclass(frozen=True, slots=True)
class PageCode:
    """The content of a page's QR code."""

    name: str
    version: int
    page: int
    copy: str

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}, page {self.page}, copy {self.copy}"


def find_markers(page: Grey) -> dict[int, Corners]:
    """The corners of each marker 0 to 3, in pixels of the page; markers that occur twice are left out.

    Where some are missing, a blurred copy is searched as well: noise breaks the outline of small markers.
    """
    small, scale = shrink(page, _DETECT_PX)
    found = _detect(small)
    if len(found) < len(MARKERS):
        found = _detect(np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_PX), np.uint8)) | found
    to_page = resizing(1 / scale)
    return {identity: np.asarray(transform(to_page, corners), np.float32) for identity, corners in found.items()}


def _detect(page: Grey) -> dict[int, Float64[np.ndarray, "4 2"]]:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.minMarkerPerimeterRate = 0.02
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    corners, identities, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(page)
    found = [] if identities is None else [int(identity) for identity in identities.ravel()]
    # Sub-pixel corners of OpenCV count from the middles of pixels, as warping does.
    return {
        identity: square.reshape(4, 2).astype(np.float64)
        for identity, square in zip(found, corners, strict=True)
        if identity in MARKERS and found.count(identity) == 1
    }


def place_by_markers(markers: dict[int, Corners], size: tuple[float, float]) -> Matrix | None:
    """The homography from millimetres of a sheet of this size to pixels; None where markers are few or disagree."""
    if len(markers) < 3:
        return None
    areas = marker_areas(size)
    source = np.array([corner for identity in markers for corner in areas[identity].corners], np.float64)
    target = np.concatenate([markers[identity] for identity in markers]).astype(np.float64)
    matrix, _ = cv2.findHomography(source, target, 0)
    if matrix is None:
        return None
    off = np.linalg.norm(transform(matrix, source) - target, axis=1)
    side = float(np.median([np.linalg.norm(marker[0] - marker[1]) for marker in markers.values()]))
    return np.asarray(matrix, np.float64) if off.max() <= _MOST_OFF * side else None


def read_page_code(page: Grey) -> PageCode | None:
    """The first `HG1:` QR code of a page; None where there is none or it cannot be read."""
    import zxingcpp

    small, _ = shrink(page, _DETECT_PX)
    for found in zxingcpp.read_barcodes(small, formats=zxingcpp.BarcodeFormat.QRCode):
        if (code := parse_page_code(found.text)) is not None:
            return code
    return None


def read_code_at(page: Grey, matrix: Matrix, corners: np.ndarray) -> PageCode | None:
    """The QR code in an area of the template (its corners, with a margin), once the page is placed."""
    side = _CODE_DPI_SIDE_PX
    target = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    there = cv2.getPerspectiveTransform(transform(matrix, corners).astype(np.float32), target)
    return read_page_code(np.asarray(cv2.warpPerspective(page, there, (side, side), flags=cv2.INTER_AREA), np.uint8))


def parse_page_code(text: str) -> PageCode | None:
    """The parts of `HG1:name:version:page:copy`; None for any other text."""
    parts = text.split(":")
    if len(parts) != 5 or parts[0] != "HG1" or not (parts[2].isdecimal() and parts[3].isdecimal()):
        return None
    return PageCode(parts[1], int(parts[2]), int(parts[3]), parts[4])
