"""Accuracy of a reader on corrupted and on varied pictures. A reader is a callable: pictures in, digits out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from handigit.errors import BadDataFile, DataError
from handigit.evaluate.corruptions import CORRUPTIONS, corrupt

FRAME_PX = 56
"""Side of the frame in which a glyph of 28 px is shifted, scaled and turned: twice its own."""
FINE = 4
"""Upsampling factor for changing the pen's width."""

Glyphs = UInt8[np.ndarray, "n 28 28"]
Pictures = UInt8[np.ndarray, "n h w"]


@dataclass(frozen=True, slots=True)
class Variation:
    """One step of a grid: a name with units, and a function. Ink stays bright unless the name states otherwise."""

    name: str
    apply: Callable[[Glyphs], Pictures]


def _shift(glyphs: Glyphs, *, right_px: int, down_px: int) -> Pictures:
    """Off-centre on an empty frame."""
    top, left = (FRAME_PX - 28) // 2 + down_px, (FRAME_PX - 28) // 2 + right_px
    frames = np.zeros((len(glyphs), FRAME_PX, FRAME_PX), dtype=np.uint8)
    frames[:, top : top + 28, left : left + 28] = glyphs
    return frames


def _rotate(glyphs: Glyphs, *, degrees: float = 0.0, size: float = 1.0) -> Pictures:
    """Centred on an empty frame, rotated counter-clockwise and scaled."""
    matrix = cv2.getRotationMatrix2D((13.5, 13.5), degrees, size)
    matrix = matrix + np.array([0, 0, FRAME_PX / 2 - 14])
    return _stack([cv2.warpAffine(glyph, matrix, (FRAME_PX, FRAME_PX)) for glyph in glyphs], FRAME_PX)


def _pen(glyphs: Glyphs, *, wider_px: float) -> Pictures:
    """Strokes wider or narrower by `wider_px` on either side."""
    reach = round(abs(wider_px) * FINE)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    change = cv2.dilate if wider_px > 0 else cv2.erode
    fine = (cv2.resize(glyph, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC) for glyph in glyphs)
    return _stack([cv2.resize(change(image, brush), (28, 28), interpolation=cv2.INTER_AREA) for image in fine], 28)


def _invert(glyphs: Glyphs) -> Pictures:
    """Ink dark on light."""
    return 255 - glyphs


def _contrast(glyphs: Glyphs, *, share: float) -> Pictures:
    """Contrast reduced around middle grey."""
    return np.rint(127.5 + (glyphs - 127.5) * share).astype(np.uint8)


def _jpeg(glyphs: Glyphs, *, quality: int) -> Pictures:
    """Through a JPEG file and back."""
    files = (cv2.imencode(".jpg", glyph, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for glyph in glyphs)
    return _stack([cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files], 28)


def _stack(images: list[Any], side_px: int) -> Pictures:
    """A batch, also of no images."""
    return np.array(images, dtype=np.uint8).reshape(-1, side_px, side_px)


_STEPS_PX = (-14, -7, 0, 7, 14)

GRIDS: Mapping[str, tuple[Variation, ...]] = MappingProxyType(
    {
        "shift": tuple(
            Variation(f"{right:+d} px right, {down:+d} px down", partial(_shift, right_px=right, down_px=down))
            for down in _STEPS_PX
            for right in _STEPS_PX
        ),
        "scale": tuple(
            Variation(f"{size:g} of its size", partial(_rotate, size=size))
            for size in (0.5, 0.6, 0.75, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0)
        ),
        "rotation": tuple(
            Variation(f"{degrees:+d} degrees", partial(_rotate, degrees=float(degrees)))
            for degrees in (-30, -20, -15, -10, -5, 5, 10, 15, 20, 30)
        ),
        "pen": tuple(
            Variation(f"{wider:+g} px on either side", partial(_pen, wider_px=wider))
            for wider in (-0.75, -0.5, -0.25, 0.25, 0.5, 1.0, 1.5)
        ),
        "polarity": (Variation("dark ink on light", _invert),),
        "contrast": tuple(
            Variation(f"{share:g} of the contrast", partial(_contrast, share=share))
            for share in (0.1, 0.2, 0.35, 0.5, 0.75)
        ),
        "jpeg": tuple(
            Variation(f"quality {quality}", partial(_jpeg, quality=quality)) for quality in (5, 10, 20, 50, 80)
        ),
    }
)
"""The grids by name. Shift, scale and rotation give 56 x 56 pixels, the others 28 x 28."""


Read = Callable[[UInt8[np.ndarray, "n h w"]], Int64[np.ndarray, " n"]]
"""Pictures (bright ink unless inverted, 28 x 28 or 56 x 56) to digits; -1 for no answer."""


@dataclass(frozen=True, slots=True)
class RobustnessScores:
    """Accuracy on the unchanged glyphs, by corruption, and by grid and variation."""

    n: int
    seed: int
    clean: float
    corruptions: Mapping[str, float]
    grids: Mapping[str, Mapping[str, float]]

    @property
    def mean(self) -> float:
        """The mean over the corruptions, as MNIST-C reports it."""
        return sum(self.corruptions.values()) / len(self.corruptions)

    @property
    def hardest(self) -> str:
        """The corruption with the lowest accuracy."""
        return min(self.corruptions, key=lambda name: self.corruptions[name])

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and dicts, for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RobustnessScores":
        """The inverse of `as_dict`.

        Raises:
            BadDataFile: a field is missing or unknown.
        """
        try:
            return cls(**values)
        except TypeError as problem:
            raise BadDataFile(f"these are not robustness scores: {problem}; measure the model again") from None


def robustness(
    read: Read,
    glyphs: UInt8[np.ndarray, "n 28 28"],
    labels: Int64[np.ndarray, " n"],
    *,
    seed: int,
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    grids: Iterable[str] = tuple(GRIDS),
) -> RobustnessScores:
    """Accuracy on the glyphs unchanged, under each corruption, and under each variation of each grid.

    Raises:
        DataError: no glyphs, or no corruption or grid of that name.
    """
    if len(labels) == 0:
        raise DataError("nothing to read: 0 glyphs; give at least one")

    def accuracy(pictures: UInt8[np.ndarray, "n h w"]) -> float:
        return float((read(pictures) == labels).mean())

    return RobustnessScores(
        n=len(labels),
        seed=seed,
        clean=accuracy(glyphs),
        corruptions={name: accuracy(corrupt(glyphs, name, seed=seed)) for name in corruptions},
        grids={name: {step.name: accuracy(step.apply(glyphs)) for step in grid(name)} for name in grids},
    )


def grid(name: str) -> tuple[Variation, ...]:
    """The variations of a grid.

    Raises:
        DataError: no grid of that name.
    """
    if name not in GRIDS:
        raise DataError(f"no grid named {name!r}; there are: {', '.join(GRIDS)}")
    return GRIDS[name]
