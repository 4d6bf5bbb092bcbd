"""How a digit is read, step by step, as JSON with small pictures: what the page at /learn shows.

It asks the same rooms that reading asks, in the same order, and keeps what they say; nothing is stored.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from handigit.images import open_pages
from handigit.images.background import reduced, shade
from handigit.images.decode import grey_of_picture
from handigit.images.ink import find_ink
from handigit.read import Engine, Reader
from handigit.records import Digit, Outcome
from handigit.web.explain.activations import Inside, NothingInside
from handigit.web.explain.neighbours import Neighbours
from handigit.web.explain.occlusion import evidence
from handigit.web.explain.sentences import of_layer

NEAREST: Final = 8
TILES: Final = 12
"""Maps shown of each layer: those with most activity."""
_SHOWN_PX: Final = 280
_GAMMA: Final = 0.7
"""Lifts what is faint, so that weak activity is seen too."""
_INK: Final = np.array([43, 74, 203])
_FOR, _AGAINST = np.array([255, 196, 60]), np.array([80, 160, 255])


@dataclass(frozen=True, eq=False)
class Lens:
    """A model, opened for looking into it; `inside` is None where it shows nothing."""

    inside: Inside | None
    neighbours: Neighbours


def steps(reader: Reader, content: bytes) -> dict[str, Any]:
    """All steps from a picture's bytes to the answer; those after the ink are null where there is none.

    Raises:
        ImageError: no picture that can be used.
        ModelError: a model that cannot be used.
    """
    page = next(iter(open_pages(content, limits=reader.limits)))
    digit = reader.digit_on(page)
    told = {"picture": _picture(content, page), "ink": _ink(page), "answer": _answer(reader, digit)}
    inner = ("glyph", "layers", "nearest", "evidence")
    if digit.glyph is None:
        return told | dict.fromkeys(inner)
    lens = _lens(_digit_file(reader), reader.engine.digest)
    nearest = lens.neighbours.nearest(digit.glyph, count=NEAREST)
    return told | {
        "glyph": {"image": _png(_grey(digit.glyph)), "centre": _centre(digit.glyph)},
        "layers": _layers(lens.inside, digit.glyph),
        "nearest": [
            {"image": _png(_grey(one.glyph)), "value": one.label, "distance": round(one.distance, 3)} for one in nearest
        ],
        "evidence": _evidence(reader.engine, digit),
    }


@lru_cache(maxsize=2)
def _lens(file: Path, digest: str) -> Lens:
    """The model in a file, while the file still is the one that reads."""
    data = file.read_bytes()
    try:
        inside = Inside(data) if hashlib.sha256(data).hexdigest() == digest else None
    except NothingInside:
        inside = None
    return Lens(inside, Neighbours(inside))


def _digit_file(reader: Reader) -> Path:
    place = reader.model_path
    return place if place.is_file() else place / "digit.onnx"


def _picture(content: bytes, page: UInt8[np.ndarray, "height width"]) -> dict[str, Any]:
    """The picture's size, and whether its ink was the lighter shade."""
    with Image.open(BytesIO(content)) as given:
        mean = float(grey_of_picture(given).mean())
    reversed_ = abs(mean - page.mean()) > abs(255 - mean - page.mean())
    return {"width": page.shape[1], "height": page.shape[0], "reversed": bool(reversed_)}


def _ink(page: UInt8[np.ndarray, "height width"]) -> dict[str, Any] | None:
    """The paper made faint and the ink blue, and the box around it in shares of the picture; None without ink."""
    small = reduced(page, _SHOWN_PX)
    shaded = shade(small)
    ink = find_ink(shaded) if shaded else None
    if ink is None or shaded is None:
        return None
    height, width = small.shape
    paper = 255 * (1 - 0.3 * np.clip(shaded.darkness, 0, 1))[..., None]
    strength = np.clip(ink.strength, 0, 1)[..., None]
    box = [ink.box.left / width, ink.box.top / height, ink.box.right / width, ink.box.bottom / height]
    return {"image": _png(paper * (1 - strength) + _INK * strength), "box": [round(side, 4) for side in box]}


def _centre(glyph: Float32[np.ndarray, "28 28"]) -> list[float]:
    """The ink's centre of mass, (x, y) in pixels."""
    y, x = np.indices(glyph.shape)
    return [round(float((glyph * axis).sum() / glyph.sum()), 2) for axis in (x, y)]


def _layers(inside: Inside | None, glyph: Float32[np.ndarray, "28 28"]) -> list[dict[str, Any]]:
    """The liveliest maps of some layers, those of one layer by the same scale."""
    if inside is None:
        return []
    return [_layer(maps[0], place) for place, maps in enumerate(inside.see(glyph[None]).maps, start=1)]


def _layer(maps: Float32[np.ndarray, "channels height width"], place: int) -> dict[str, Any]:
    liveliest = np.argsort(-maps.mean(axis=(1, 2)))[:TILES]
    brightest = max(float(maps.max()), 1e-6)
    images = [_png(_grey((maps[n] / brightest) ** _GAMMA)) for n in liveliest.tolist()]
    says = of_layer(place, shown=len(images), count=len(maps), side=maps.shape[1])
    return {"says": says, "size": maps.shape[1], "images": images}


def _evidence(engine: Engine, digit: Digit) -> dict[str, Any]:
    """What speaks for the likeliest digit in amber, what speaks against it in blue, over the glyph."""
    assert digit.glyph is not None
    value = int(np.argmax(digit.probabilities))
    speaks = evidence(engine, digit.glyph, value=value)
    strength = np.clip(np.abs(speaks) / max(float(np.abs(speaks).max()), 1e-6), 0, 1)[..., None] ** 0.7
    colour = np.where(speaks[..., None] > 0, _FOR, _AGAINST)
    ground = digit.glyph[..., None] * 110.0
    return {
        "image": _png(ground * (1 - strength) + colour * strength),
        "value": value,
        "most": round(float(speaks.max()), 2),
        "least": round(float(speaks.min()), 2),
    }


def _answer(reader: Reader, digit: Digit) -> dict[str, Any]:
    """The ten probabilities, and what made them an outcome."""
    card = reader.engine.card
    return {
        "outcome": digit.outcome.value,
        "text": "" if digit.value is None else str(digit.value),
        "confidence": digit.confidence,
        "probabilities": [] if digit.outcome is Outcome.BLANK else [round(one, 9) for one in digit.probabilities],
        "temperature": round(card.temperature, 3),
        "threshold": round(card.threshold(reader.target_error), 4),
        "floor": round(card.digit_floor, 4),
        "target_error": reader.target_error,
    }


def _grey(values: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    return np.asarray(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> str:
    """A picture as an address that holds it."""
    content = encoded(Image.fromarray(pixels.astype(np.uint8)))
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def encoded(image: Image.Image) -> bytes:
    """A picture as PNG, quickly."""
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
