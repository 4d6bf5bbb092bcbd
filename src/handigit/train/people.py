"""Real handwriting that is composed into crops: the hands of all digit and pen-stroke sets, and real non-digits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from handigit.data import load, split
from handigit.synth.pen_writers import PenWriters, draw_strokes, load_pen_writers, read_strokes
from handigit.synth.real_digits import Hands, crop_to_ink

Image = UInt8[np.ndarray, "_ _"]

GLYPH_SETS: Final = ("mnist", "optdigits", "semeion", "hwd1000")
STROKE_SETS: Final = ("uji2_digits", "pendigits_orig", "writemath_digits")
MARK_SETS: Final = ("omniglot", "quickdraw", "bhmsds_signs", "grade_marks")
"""Sets of non-digits under nondigits/; letters and signs of two stroke sets are added."""
_HELD_OUT: Final = 0.08
"""Fraction of each glyph set that is never trained on."""
_BLOCKS: Final = 12
"""Sets in order of their writers are held out by one block of this many."""
_IMAGE_WEIGHTS: Final = {"bhmsds": 60.0, "nist_prtools": 110.0}
"""Sampling weights; bhmsds is capped because it has few hands."""
_MAX_PX: Final = 64
_CONFUSABLE: Final = frozenset("oOlIiJsSzZbqgBDQxX|()/\\-_.,'`:;!=$€£") | {"\\|", "\\\\", "\\cdot"}
"""Labels of signs that could be part of a number."""


def load_people(folder: Path, *, held_out: bool) -> list[Hands | PenWriters]:
    """All hands in the data folder: those that are never trained on, or the others.

    Raises:
        DataError: a set that is missing or damaged.
    """
    hands: list[Hands | PenWriters] = []
    for name in GLYPH_SETS:
        whole = load(name, folder=folder)
        parts = split(whole, validation=round(_HELD_OUT * len(whole)), seed=5)
        part = parts.validation if held_out else parts.train
        assert part.labels is not None
        hands.append(Hands.of(part.glyphs, part.labels))
    for name, weight in _IMAGE_WEIGHTS.items():
        images, labels = _load_images(folder, name)
        block = np.arange(len(labels)) // (len(labels) // _BLOCKS)
        kept = np.flatnonzero((block == _BLOCKS // 2 - 1) == held_out)
        hands.append(Hands.of([images[index] for index in kept], labels[kept], weight=weight))
    files = [folder / "ink" / f"{name}.jsonl.gz" for name in STROKE_SETS]
    return [*hands, load_pen_writers(files, held_out=held_out)]


def _load_images(folder: Path, name: str) -> tuple[list[Image], Int64[np.ndarray, " n"]]:
    """A digit set as images with bright ink."""
    with np.load(folder / "digits" / f"{name}.npz", allow_pickle=False) as stored:
        if "data" in stored:
            images = [_reduce(image) for image in unpack(stored["data"], stored["shape"])]
        else:
            images = [255 - image for image in stored["images"]]
        return images, stored["labels"].astype(np.int64)


def unpack(data: UInt8[np.ndarray, " pixels"], shape: np.ndarray) -> Iterator[Image]:
    """Images of different sizes that are stored one after another."""
    ends = np.cumsum(shape[:, 0].astype(np.int64) * shape[:, 1])
    for end, (height, width) in zip(ends, shape.tolist(), strict=True):
        yield data[end - height * width : end].reshape(height, width)


def _reduce(image: Image) -> Image:
    """A binary image as a grey one, at most 64 pixels high, with a margin."""
    image = np.pad(image if image.max() > 1 else image * np.uint8(255), 2)
    scale = min(1.0, _MAX_PX / max(image.shape))
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def load_marks(folder: Path) -> list[Image]:
    """Real non-digits that cannot be part of a number, ink bright and cropped to it: letters, signs, doodles."""
    loaders = {name: np.load(folder / "nondigits" / f"{name}.npz", allow_pickle=False) for name in MARK_SETS}
    found: list[Image] = [255 - image for image in loaders["omniglot"]["images"]]
    found += list(loaders["quickdraw"]["images"][::3])
    signs = loaders["bhmsds_signs"]
    found += [255 - image for image in signs["images"][np.isin(signs["labels"], ["w", "y", "plus"])][::6]]
    photos = loaders["grade_marks"]
    pairs = zip(unpack(photos["data"], photos["shape"]), photos["labels"], strict=True)
    found += [_extract_ink(image) for image, label in pairs if label in ("correct", "question")]
    rng = np.random.default_rng(7)
    for name in ("uji_letters", "writemath_symbols"):
        for label, _, strokes in read_strokes(folder / "ink" / f"{name}.jsonl.gz"):
            if label not in _CONFUSABLE and not label.isdecimal() and strokes:
                found.append(draw_strokes(strokes, pen=float(rng.uniform(0.04, 0.14))))
    return [image for image in map(crop_to_ink, found) if min(image.shape) > 6 and np.ptp(image) > 60]


def _extract_ink(image: Image) -> Image:
    """A photographed mark as bright ink on black."""
    dark = cv2.subtract(np.full_like(image, int(np.median(image))), image)
    strong = max(float(np.quantile(dark, 0.98)), 20.0)
    return _reduce(np.clip(dark.astype(np.float32) * (255 / strong) - 60, 0, 255).astype(np.uint8))
