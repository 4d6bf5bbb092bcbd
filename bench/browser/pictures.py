"""Three hundred pictures of every kind, as files that a browser decodes: drawn by the synthesiser, and the samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from handigit import synth
from handigit.synth.crops import Mix, draw_crop

SAMPLES = Path(__file__).parents[2] / "samples"
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".bmp": "image/bmp"}
"""Browsers decode no TIFF."""


@dataclass(frozen=True)
class PictureFile:
    """A picture as a file of a media type, and how it is read."""

    name: str
    kind: Literal["digit", "number"]
    content: bytes
    media_type: str


def picture_files() -> list[PictureFile]:
    """All of them, of every kind in turn, so that every n-th is a sample of all."""
    kinds = [list(kind) for kind in (_samples(), _glyphs(), _drawings(), _photos(), _tables(), _crops())]
    places = [(index / len(kind), number, index) for number, kind in enumerate(kinds) for index in range(len(kind))]
    return [kinds[number][index] for _, number, index in sorted(places)]


def _samples() -> Iterator[PictureFile]:
    for folder in ("digits", "not_digits", "blank", "numbers"):
        for path in sorted((SAMPLES / folder).iterdir()):
            if path.suffix in _TYPES:
                kind: Literal["digit", "number"] = "number" if folder == "numbers" else "digit"
                yield PictureFile(f"{folder}/{path.name}", kind, path.read_bytes(), _TYPES[path.suffix])


def _glyphs() -> Iterator[PictureFile]:
    """Glyphs of digits and non-digits in their 28 x 28 frame, light on dark as in MNIST or dark on light."""
    digits, others = synth.digits(40, seed=901).glyphs, synth.nondigits(16, seed=902).glyphs
    for index, glyph in enumerate([*digits, *others]):
        yield _png(f"glyph-{index}", "digit", glyph if index % 2 else 255 - glyph)


def _drawings() -> Iterator[PictureFile]:
    """Enlarged glyphs off the middle of a pad, some in colour, some transparent."""
    rng = np.random.default_rng(903)
    for index, glyph in enumerate(synth.digits(30, seed=904).glyphs):
        side = int(rng.integers(60, 150))
        large = cv2.resize(glyph, (side, side), interpolation=cv2.INTER_CUBIC)
        pad = np.zeros((160, 256), np.uint8)
        top, left = rng.integers(0, 160 - side), rng.integers(0, 256 - side)
        pad[top : top + side, left : left + side] = large
        if index % 5 == 0:
            ink = np.zeros((*pad.shape, 4), np.uint8)
            ink[..., :3], ink[..., 3] = (20, 40, 160), pad
            yield _png(f"transparent-{index}", "digit", ink)
        elif index % 5 == 1:
            paper, pen = np.array(rng.integers(180, 256, 3)), np.array(rng.integers(0, 120, 3))
            share = pad[..., None] / 255
            yield _png(f"coloured-{index}", "digit", (paper * (1 - share) + pen * share).astype(np.uint8))
        else:
            yield _png(f"drawing-{index}", "digit", 255 - pad)


def _photos() -> Iterator[PictureFile]:
    """Digits, non-digits and bare paper as a camera sees them, in several sizes."""
    sizes = [(160, 160), (200, 150), (420, 320), (96, 64), (900, 700)]
    for index in range(72):
        text = ("", "scribble", "word")[index // 6 % 3] if index % 6 > 3 else str(index % 10)
        photo = synth.picture(text, seed=9050 + index, size_px=sizes[index % len(sizes)]).pixels
        write = _jpeg if index % 3 == 0 else _png
        yield write(f"photo-{index}-{text or 'blank'}", "digit", photo)


def _tables() -> Iterator[PictureFile]:
    """Photographs of a sheet that lies askew on a darker table."""
    rng = np.random.default_rng(905)
    for index in range(16):
        sheet = synth.picture(str(index % 10), seed=9100 + index, size_px=(300, 240)).pixels
        table = np.full((480, 420, 3), rng.integers(30, 90, 3), np.uint8)
        table = np.clip(table + rng.normal(0, 4, table.shape), 0, 255).astype(np.uint8)
        corners = np.array([[90, 80], [330, 80], [330, 380], [90, 380]]) + rng.uniform(-28, 28, (4, 2))
        flat = np.array([[0, 0], [240, 0], [240, 300], [0, 300]], np.float32)
        matrix = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
        warped = cv2.warpPerspective(sheet, matrix, (420, 480))
        mask = cv2.warpPerspective(np.full((300, 240), 255, np.uint8), matrix, (420, 480))
        photo = np.where(mask[..., None] > 127, warped, table)
        yield (_jpeg if index % 2 else _png)(f"table-{index}", "digit", photo)


def _crops() -> Iterator[PictureFile]:
    """Crops of forms with a number, something else or nothing; some light on dark, some on coloured paper."""
    rng = np.random.default_rng(906)
    mix = Mix(nothing=0.08, no_number=0.12, real=0.0)
    for index in range(90):
        pixels = draw_crop(rng, mix=mix).pixels
        if index % 6 == 1:
            yield _jpeg(f"crop-{index}", "number", pixels)
        elif index % 6 == 2:
            yield _png(f"crop-{index}-inverted", "number", 255 - pixels)
        elif index % 6 == 3:
            tint = rng.uniform(0.75, 1, 3)
            yield _png(f"crop-{index}-coloured", "number", (pixels[..., None] * tint).astype(np.uint8))
        else:
            yield _png(f"crop-{index}", "number", pixels)


def _png(name: str, kind: Literal["digit", "number"], pixels: np.ndarray) -> PictureFile:
    return PictureFile(name, kind, _encode(pixels, "PNG"), "image/png")


def _jpeg(name: str, kind: Literal["digit", "number"], pixels: np.ndarray) -> PictureFile:
    return PictureFile(name, kind, _encode(pixels, "JPEG"), "image/jpeg")


def _encode(pixels: np.ndarray, file_format: str) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).save(content, file_format)
    return content.getvalue()
