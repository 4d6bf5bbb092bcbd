"""Sheets of paper in colour: texture, printed lines, and the look of ink on them.

Sheets are RGB, `uint8 (height, width, 3)`.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from handigit.records import Box
from handigit.synth.writer import Pen

Ruling = Literal["plain", "ruled", "squared", "dotted", "comb"]
Rgb = tuple[int, int, int]

_PAPER_COLOURS: tuple[Rgb, ...] = ((252, 252, 250), (248, 246, 240), (244, 238, 222), (236, 240, 246), (228, 232, 222))
_PRINT_COLOURS: tuple[Rgb, ...] = ((120, 150, 200), (150, 150, 150), (200, 130, 130), (60, 60, 60), (140, 180, 150))
INKS: tuple[Rgb, ...] = ((22, 22, 26), (24, 34, 110), (20, 60, 150), (60, 60, 64), (150, 30, 40), (20, 90, 60))
"""Black, two blues, pencil grey, red, green."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A kind of sheet. `texture` is the standard deviation of its roughness in grey levels.

    `spacing` is the distance between printed lines in heights of the digit; `frame` draws a box around the digit.
    """

    colour: Rgb = (252, 252, 250)
    ruling: Ruling = "plain"
    spacing: float = 1.4
    print_colour: Rgb = (150, 150, 150)
    texture: float = 2.0
    frame: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Paper":
        """A random sheet; half of them plain."""
        rulings: tuple[Ruling, ...] = ("plain", "ruled", "squared", "dotted", "comb")
        return cls(
            colour=_PAPER_COLOURS[rng.integers(len(_PAPER_COLOURS))],
            ruling=rulings[rng.choice(5, p=(0.5, 0.2, 0.15, 0.05, 0.1))],
            spacing=float(rng.uniform(0.5, 1.8)),
            print_colour=_PRINT_COLOURS[rng.integers(len(_PRINT_COLOURS))],
            texture=float(rng.gamma(2, 1.5)),
            frame=bool(rng.random() < 0.2),
        )


def draw_sheet(
    paper: Paper, size_px: tuple[int, int], *, digit: Box, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """An empty sheet of (height, width), its lines aligned with the digit's box."""
    height, width = size_px
    rough = rng.normal(0, paper.texture, (height, width)).astype(np.float32)
    cloudy = _smooth_noise((height, width), max(24, height // 6), rng) + _smooth_noise((height, width), 8, rng)
    page = np.array(paper.colour, np.float32) + (0.6 * rough + 0.4 * paper.texture * cloudy)[..., None]
    page = np.clip(page, 0, 255).astype(np.uint8)
    _print_rules(page, paper, digit)
    if paper.frame:
        _print_frame(page, paper, digit, rng)
    return np.asarray(page, np.uint8)


def apply_ink(
    page: UInt8[np.ndarray, "h w 3"],
    coverage: UInt8[np.ndarray, "h w"],
    *,
    pen: Pen,
    colour: Rgb,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "h w 3"]:
    """The page with ink of this coverage: felt bleeds, pencil skips the paper's hollows, ballpoints vary."""
    amount = coverage.astype(np.float32) / 255
    if pen.kind in ("felt", "marker"):
        amount = np.maximum(amount, 0.35 * np.asarray(cv2.GaussianBlur(amount, (0, 0), 1.2)))
    if pen.grain > 0:
        hollows = np.clip(0.5 + 0.5 * rng.standard_normal(amount.shape, np.float32), 0, 1)
        amount *= 1 - pen.grain * hollows
    if pen.kind != "mouse":
        amount *= np.clip(1 + 0.05 * _smooth_noise(amount.shape, max(12, amount.shape[0] // 12), rng), 0.5, 1.15)
    amount = np.clip(amount * pen.darkness, 0, 1)[..., None]
    return np.asarray(page * (1 - amount) + np.array(colour, np.float32) * amount, np.uint8)


def _smooth_noise(size_px: tuple[int, ...], grain_px: int, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Smooth noise of about unit variance, with features of this size."""
    height, width = size_px
    coarse = rng.standard_normal((height // grain_px + 2, width // grain_px + 2), np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _print_rules(page: UInt8[np.ndarray, "h w 3"], paper: Paper, digit: Box) -> None:
    """Print the page's lines, in place, one of them at the digit's base line."""
    height, width = page.shape[:2]
    step = max(6.0, paper.spacing * digit.height)
    rows = np.arange((digit.bottom + 0.08 * digit.height) % step, height, step).astype(int).tolist()
    columns = np.arange((digit.left - 0.3 * step) % step, width, step).astype(int).tolist()
    thickness = max(1, round(digit.height / 90))
    if paper.ruling in ("ruled", "squared"):
        for y in rows:
            cv2.line(page, (0, y), (width, y), paper.print_colour, thickness)
    if paper.ruling == "squared":
        for x in columns:
            cv2.line(page, (x, 0), (x, height), paper.print_colour, thickness)
    if paper.ruling == "dotted":
        for x, y in ((x, y) for x in columns for y in rows):
            cv2.circle(page, (x, y), thickness, paper.print_colour, -1, cv2.LINE_AA)
    if paper.ruling == "comb":
        _print_comb(page, paper, digit, thickness)


def _print_comb(page: UInt8[np.ndarray, "h w 3"], paper: Paper, digit: Box, thickness: int) -> None:
    """Print a form's comb field, in place: a base line with short teeth between the digits."""
    base = round(digit.bottom + 0.12 * digit.height)
    tooth, step = round(0.3 * digit.height), max(digit.width, round(0.9 * digit.height)) + 4
    cv2.line(page, (0, base), (page.shape[1], base), paper.print_colour, thickness)
    middle = (digit.left + digit.right) // 2
    for x in range((middle + step // 2) % step, page.shape[1], step):
        cv2.line(page, (x, base - tooth), (x, base), paper.print_colour, thickness)


def _print_frame(page: UInt8[np.ndarray, "h w 3"], paper: Paper, digit: Box, rng: np.random.Generator) -> None:
    """Print a box around the digit, in place."""
    margin = (digit.height * rng.uniform(0.2, 0.35, 4)).astype(int).tolist()
    corners = (digit.left - margin[0], digit.top - margin[1]), (digit.right + margin[2], digit.bottom + margin[3])
    cv2.rectangle(page, *corners, paper.print_colour, max(1, round(digit.height / 70)), cv2.LINE_AA)
