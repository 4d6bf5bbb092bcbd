"""The steps of reading one digit, as JSON with small pictures, for the page at /learn.

Each step calls the functions that reading calls, in the same order. Nothing is stored.
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

from handigit.images.background import estimate_background
from handigit.images.decode import open_grey
from handigit.images.ink import find_ink
from handigit.images.polarity import downscale
from handigit.images.sheet import normalise_polarity
from handigit.read import Engine, Reader
from handigit.records import Digit, Outcome
from handigit.web.explain.activations import Activations, NotInspectable
from handigit.web.explain.evidence import Neighbours, occlusion_map
from handigit.web.explain.sentences import layer_caption

NEAREST: Final = 8
Pixels = UInt8[np.ndarray, "height width"]
MAX_MAPS: Final = 12  # per layer, the most active
_SHOWN_PX: Final = 280
_GAMMA: Final = 0.7  # brightens weak activity
_INK_RGB: Final = np.array([43, 74, 203])
_FOR_RGB, _AGAINST_RGB = np.array([255, 196, 60]), np.array([80, 160, 255])


@dataclass(frozen=True, eq=False)
class ModelView:
    """A model opened for inspection; `activations` is None where it has none to show."""

    activations: Activations | None
    neighbours: Neighbours


def steps(reader: Reader, content: bytes) -> dict[str, Any]:
    """All steps from a picture's bytes to the answer; steps after the ink are null where there is no ink.

    Raises:
        ImageError: a picture that cannot be used.
        ModelError: a model that cannot be used.
    """
    given = next(open_grey(content, limits=reader.limits))
    page = normalise_polarity(given)
    digit = reader.digit_on(page)
    outer = {"picture": _picture(given, page), "ink": _ink(page), "answer": _answer(reader, digit)}
    inner = ("glyph", "layers", "nearest", "evidence")
    if digit.glyph is None:
        return outer | dict.fromkeys(inner)
    path = reader.model_path
    view = _model_view(path if path.is_file() else path / "digit.onnx", reader.engine.digest)
    nearest = view.neighbours.nearest(digit.glyph, count=NEAREST)
    return outer | {
        "glyph": {"image": _png(_grey(digit.glyph)), "centre": _centre(digit.glyph)},
        "layers": _layers(view.activations, digit.glyph),
        "nearest": [
            {"image": _png(_grey(near.glyph)), "value": near.label, "distance": round(near.distance, 3)}
            for near in nearest
        ],
        "evidence": _evidence(reader.engine, digit),
    }


@lru_cache(maxsize=2)
def _model_view(path: Path, digest: str) -> ModelView:
    """The model in a file, provided the file is still the one the reader has loaded."""
    data = path.read_bytes()
    try:
        activations = Activations(data) if hashlib.sha256(data).hexdigest() == digest else None
    except NotInspectable:
        activations = None
    return ModelView(activations, Neighbours(activations))


def _picture(given: Pixels, page: Pixels) -> dict[str, Any]:
    """The picture's size, and whether its ink was lighter than its background."""
    return {"width": page.shape[1], "height": page.shape[0], "reversed": not np.array_equal(given, page)}


def _ink(page: UInt8[np.ndarray, "height width"]) -> dict[str, Any] | None:
    """The paper faded and the ink blue, and the ink's box as fractions of the picture; None without ink."""
    small = downscale(page, _SHOWN_PX)
    background = estimate_background(small)
    ink = find_ink(background) if background else None
    if ink is None or background is None:
        return None
    height, width = small.shape
    paper = 255 * (1 - 0.3 * np.clip(background.darkness, 0, 1))[..., None]
    strength = np.clip(ink.strength, 0, 1)[..., None]
    box = [ink.box.left / width, ink.box.top / height, ink.box.right / width, ink.box.bottom / height]
    return {"image": _png(paper * (1 - strength) + _INK_RGB * strength), "box": [round(side, 4) for side in box]}


def _centre(glyph: Float32[np.ndarray, "28 28"]) -> list[float]:
    """The ink's centre of mass (x, y), in pixels."""
    y, x = np.indices(glyph.shape)
    return [round(float((glyph * axis).sum() / glyph.sum()), 2) for axis in (x, y)]


def _layers(activations: Activations | None, glyph: Float32[np.ndarray, "28 28"]) -> list[dict[str, Any]]:
    if activations is None:
        return []
    return [_layer(maps[0], index) for index, maps in enumerate(activations.compute(glyph[None]).maps, start=1)]


def _layer(maps: Float32[np.ndarray, "channels height width"], index: int) -> dict[str, Any]:
    """A layer's most active maps, all on one brightness scale."""
    most_active = np.argsort(-maps.mean(axis=(1, 2)))[:MAX_MAPS]
    brightest = max(float(maps.max()), 1e-6)
    images = [_png(_grey((maps[n] / brightest) ** _GAMMA)) for n in most_active.tolist()]
    caption = layer_caption(index, shown=len(images), count=len(maps), side=maps.shape[1])
    return {"says": caption, "size": maps.shape[1], "images": images}


def _evidence(engine: Engine, digit: Digit) -> dict[str, Any]:
    """Evidence for the most likely digit in amber and against it in blue, over the glyph."""
    assert digit.glyph is not None
    value = int(np.argmax(digit.probabilities))
    drop = occlusion_map(engine, digit.glyph, value=value)
    strength = np.clip(np.abs(drop) / max(float(np.abs(drop).max()), 1e-6), 0, 1)[..., None] ** _GAMMA
    colour = np.where(drop[..., None] > 0, _FOR_RGB, _AGAINST_RGB)
    background = digit.glyph[..., None] * 110.0
    return {
        "image": _png(background * (1 - strength) + colour * strength),
        "value": value,
        "most": round(float(drop.max()), 2),
        "least": round(float(drop.min()), 2),
    }


def _answer(reader: Reader, digit: Digit) -> dict[str, Any]:
    """The ten probabilities, and the thresholds that turned them into an outcome."""
    card = reader.engine.card
    return {
        "outcome": digit.outcome.value,
        "text": "" if digit.value is None else str(digit.value),
        "confidence": digit.confidence,
        "probabilities": [] if digit.outcome is Outcome.BLANK else [round(p, 9) for p in digit.probabilities],
        "temperature": round(card.temperature, 3),
        "threshold": round(card.threshold(reader.target_error), 4),
        "floor": round(card.digit_floor, 4),
        "target_error": reader.target_error,
    }


def _grey(values: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    return np.asarray(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> str:
    """A picture as a data URL."""
    content = encoded(Image.fromarray(pixels.astype(np.uint8)))
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def encoded(image: Image.Image) -> bytes:
    """A picture as PNG, at the fastest compression level."""
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
