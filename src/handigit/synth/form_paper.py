"""The background of a number on a form or a cheque, in grey: patterns, rules, boxes, stamps, print.

Pages are `uint8 (height, width)`.
"""

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Page = UInt8[np.ndarray, "h w"]
_FONTS: Final = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_PRINTED_WORDS: Final = (
    "Total",
    "No.",
    "Amount",
    "DATE",
    "Rp",
    "Nr",
    "Sum",
    "kg",
    "EUR",
    "Tgl",
    "Code",
    "(a)",
    "Page",
    "USD",
)
_TABLE_RATE: Final = 0.4
"""Share of the rows of cells that belong to a table larger than the crop."""


def draw_paper(
    height: int, width: int, rng: np.random.Generator, *, strongest: float = 0.3
) -> Float32[np.ndarray, "h w"]:
    """Bare paper, 0..255: shade, light, perhaps a pattern, roughness.

    `strongest`: maximum fraction of the light that a pattern absorbs.
    """
    page = np.full((height, width), rng.uniform(120, 255) if rng.random() < 0.6 else 255, np.float32)
    if rng.random() < 0.45:
        page *= _draw_light(height, width, rng)
    if rng.random() < 0.5:
        page *= 1 - _draw_pattern(height, width, rng, strongest)
    rough = float(rng.gamma(1.2, 2.5))
    if rough > 1:
        page += rng.standard_normal((height, width), np.float32) * np.float32(rough)
    return page


def _draw_light(height: int, width: int, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Light that falls off to one side, sometimes with a shadow's edge."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    across, down = rng.uniform(-0.2, 0.2, 2).astype(np.float32)
    light = 0.85 + across * x + down * y * 0.5
    if rng.random() < 0.15:
        edge = np.float32(rng.uniform(-0.8, 0.8)) + np.float32(rng.normal(0, 0.3)) * y
        light = light * np.where(x > edge, np.float32(rng.uniform(0.6, 0.95)), np.float32(1))
    return np.asarray(np.clip(light, 0.2, 1), np.float32)


def _draw_pattern(height: int, width: int, rng: np.random.Generator, strongest: float) -> Float32[np.ndarray, "h w"]:
    """Fraction of light absorbed by a printed pattern: waves of fine lines (guilloche), a mesh, dots, a watermark."""
    x = np.arange(width, dtype=np.float32)[None]
    y = np.arange(height, dtype=np.float32)[:, None]
    strength, kind = np.float32(rng.uniform(min(0.04, strongest), strongest)), rng.random()
    if kind < 0.55:
        pattern = draw_waves(x, y, rng)
        if rng.random() < 0.5:
            pattern = np.maximum(pattern, draw_waves(x, y, rng))
    elif kind < 0.8:
        period = rng.uniform(3, 9)
        pattern = np.maximum(np.sin(x * 2 * np.pi / period), 0) * np.maximum(np.sin(y * 2 * np.pi / period), 0)
    else:
        return _draw_watermark(height, width, rng) * strength
    return np.asarray(pattern * strength, np.float32)


def draw_waves(
    x: Float32[np.ndarray, "1 w"], y: Float32[np.ndarray, "h 1"], rng: np.random.Generator
) -> Float32[np.ndarray, "h w"]:
    """Fine parallel wavy lines."""
    angle, period = rng.uniform(-np.pi / 2, np.pi / 2) if rng.random() < 0.5 else np.pi / 2, rng.uniform(2.5, 9)
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    swing = rng.uniform(0, 0.8) * period * np.sin(across * (2 * np.pi / rng.uniform(12, 90)) + rng.uniform(0, 6))
    phase = (along + swing) * (2 * np.pi / period)
    return np.asarray(np.clip(np.cos(phase) * rng.uniform(0.8, 2) - rng.uniform(0, 0.5), 0, 1), np.float32)


def _draw_watermark(height: int, width: int, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    """Large pale letters and rings."""
    mark = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        position = int(rng.integers(-10, width)), int(rng.integers(0, height + 10))
        if rng.random() < 0.5:
            cv2.circle(mark, position, int(rng.integers(height // 4 + 1, height)), 255, int(rng.integers(1, 5)))
        else:
            text, font = _PRINTED_WORDS[rng.integers(len(_PRINTED_WORDS))], _FONTS[rng.integers(len(_FONTS))]
            cv2.putText(mark, text, position, font, height / 30 * rng.uniform(0.4, 1.2), 255, int(rng.integers(1, 4)))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-45, 45)), 1)
    return np.asarray(cv2.warpAffine(mark, turn, (width, height)), np.float32) / np.float32(255)


def print_rules(page: Page, rng: np.random.Generator, *, rows: tuple[float, float], height_px: float) -> None:
    """Print a rule under, above or through the writing between `rows`, dotted or solid, in place."""
    height, width = page.shape
    shade, thick = int(rng.uniform(0, 0.75) * page.mean()), 1 if rng.random() < 0.7 else 2
    top, bottom = rows
    rows_px = [bottom + rng.normal(0.08, 0.1) * height_px]
    if rng.random() < 0.3:
        rows_px.append(top - rng.uniform(0.05, 0.3) * height_px)
    if rng.random() < 0.1:
        rows_px.append(rng.uniform(top, bottom))
    dotted = rng.random() < 0.2
    left, right = (0, width) if rng.random() < 0.7 else sorted(rng.integers(0, width, 2).tolist())
    for y in (round(position) for position in rows_px):
        if dotted:
            page[max(min(y, height - 1), 0), left : right : int(rng.integers(2, 7))] = shade
        else:
            cv2.line(page, (left, y), (right, y + round(rng.normal(0, 0.01) * width)), shade, thick)


def print_cells(page: Page, borders: tuple[float, ...], rng: np.random.Generator, *, rows: tuple[float, float]) -> None:
    """Print adjacent boxes or a comb around the writing between the rows, in place."""
    top, bottom = (round(row) for row in rows)
    shade, inner = (rng.uniform((0, 0.2), (0.8, 0.9)) * page.mean()).astype(int).tolist()
    thick = int(rng.integers(1, 4))
    columns = [round(border) for border in borders]
    if rng.random() < _TABLE_RATE:
        _print_table(page, columns, rng, rows=(top, bottom), ink=(shade, thick))
        return
    comb = rng.random() < 0.2
    if comb:
        top = round(bottom - rng.uniform(0.2, 0.5) * (bottom - top))
    else:
        cv2.rectangle(page, (columns[0], top), (columns[-1], bottom), shade, thick)
    cv2.line(page, (columns[0], bottom), (columns[-1], bottom), shade, thick)
    inner_top, gap = top, int(rng.integers(2, 5)) if rng.random() < 0.2 else 1
    for x in columns[0 if comb else 1 : None if comb else -1]:
        if gap > 1:
            page[inner_top:bottom:gap, min(max(x, 0), page.shape[1] - 1)] = inner
        else:
            cv2.line(page, (x, inner_top), (x, bottom), inner, max(1, thick - 1))


def _print_table(
    page: Page, columns: list[int], rng: np.random.Generator, *, rows: tuple[int, int], ink: tuple[int, int]
) -> None:
    """Print cells of a table that continues beyond the crop, in place."""
    height, width = page.shape
    (top, bottom), (shade, thick) = rows, ink
    first = 0 if rng.random() < 0.5 else columns[0]
    last = width if rng.random() < 0.5 else columns[-1]
    for y in (top, bottom, *([2 * top - bottom, 2 * bottom - top] if rng.random() < 0.5 else [])):
        cv2.line(page, (first, y), (last, y), shade, thick)
    for x in columns:
        cv2.line(page, (x, 0), (x, height), shade, thick)
    if first < columns[0] and rng.random() < 0.4:  # rows of a finer table
        for y in range(top, bottom, max(4, (bottom - top) // int(rng.integers(3, 7)))):
            cv2.line(page, (first, y), (columns[0], y), shade, 1)


def print_neighbours(page: Page, rng: np.random.Generator, *, height_px: float, left: int) -> None:
    """Print neighbouring parts of the form that reach into the crop: words, rules, a dark cell, in place.

    The writing begins at column `left`: a dark cell ends before it, or it would hide digits.
    """
    height, width = page.shape
    for _ in range(int(rng.integers(1, 3))):
        shade, kind = int(rng.uniform(0, 0.7) * page.mean()), rng.random()
        if kind < 0.5:
            text, font = _PRINTED_WORDS[rng.integers(len(_PRINTED_WORDS))], _FONTS[rng.integers(len(_FONTS))]
            size = height_px / 30 * rng.uniform(0.3, 0.9)
            seen = 22 * size * rng.uniform(0.1, 0.6)
            y = round(seen) if rng.random() < 0.5 else round(height + 22 * size - seen)
            cv2.putText(page, text, (int(rng.integers(-10, width)), y), font, size, shade, int(rng.integers(1, 3)))
        elif kind < 0.85 or (kind < 0.9 and height < 1.8 * height_px):  # an upright as tall as a digit would be a 1
            y = int(rng.choice([rng.uniform(0, 0.1), rng.uniform(0.9, 1)]) * height)
            cv2.line(page, (0, y), (width, y), shade, int(rng.integers(1, 4)))
        elif kind < 0.9:
            x = int(rng.choice([rng.uniform(0, 0.03), rng.uniform(0.97, 1)]) * width)
            cv2.line(page, (x, 0), (x, height), shade, int(rng.integers(1, 3)))
        else:
            page[:, : max(0, min(round(rng.uniform(0.4, 1.0) * height_px), left))] = shade


def print_edges(page: Page, rng: np.random.Generator) -> None:
    """Print the remains of a frame along which the crop was cut: lines on some of its edges, in place."""
    height, width = page.shape
    shade, thick = int(rng.uniform(0, 0.7) * page.mean()), int(rng.integers(1, 4))
    first, last = rng.uniform((0.0, 0.6), (0.4, 1.0)) if rng.random() < 0.3 else (0.0, 1.0)
    rows, columns = (round(first * height), round(last * height)), (round(first * width), round(last * width))
    for edge in rng.permutation(4)[: int(rng.integers(1, 5))]:
        inside = int(rng.integers(0, 3))
        if edge < 2:
            y = inside if edge == 0 else height - 1 - inside
            cv2.line(page, (columns[0], y), (columns[1], y), shade, thick)
        else:
            x = inside if edge == 2 else width - 1 - inside
            cv2.line(page, (x, rows[0]), (x, rows[1]), shade, thick)


def stamp(page: Page, rng: np.random.Generator) -> Page:
    """The page with a translucent rubber stamp on it."""
    height, width = page.shape
    mark = np.zeros((height, width), np.uint8)
    position = int(rng.integers(0, width)), int(rng.integers(0, height))
    radius, thick = int(rng.uniform(0.5, 1.5) * height), int(rng.integers(1, 4))
    if rng.random() < 0.6:
        cv2.circle(mark, position, radius, 255, thick)
        cv2.circle(mark, position, round(0.75 * radius), 255, 1)
    else:
        text, font = _PRINTED_WORDS[rng.integers(len(_PRINTED_WORDS))], _FONTS[rng.integers(len(_FONTS))]
        cv2.putText(mark, text.upper(), position, font, height / 30, 255, thick)
    return cv2.multiply(page, 255 - cv2.convertScaleAbs(mark, alpha=rng.uniform(0.1, 0.45)), scale=1 / 255).astype(
        np.uint8
    )
