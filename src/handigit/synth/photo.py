"""Photographs of handwriting on paper, for samples, tests and hard training data; tens of milliseconds each.

A `Scene` holds writer, pen, paper and camera; without one, they are drawn from the seed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from handigit.errors import DataError
from handigit.records import Box
from handigit.synth.camera import Camera, photograph
from handigit.synth.ink import Ink, coverage
from handigit.synth.nondigits import KINDS
from handigit.synth.photo_paper import INKS, Paper, Rgb, apply_ink, draw_sheet
from handigit.synth.shapes import SIGNS
from handigit.synth.strokes import parse_figure
from handigit.synth.writer import Pen, Writer, write, write_digit


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything in a picture but the text.

    `height` is a digit's height as a fraction of the picture's; `place` is the centre of the text, (x, y) as fractions.
    """

    writer: Writer
    pen: Pen
    paper: Paper
    camera: Camera
    ink: Rgb
    height: float = 0.6
    place: tuple[float, float] = (0.5, 0.5)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Scene":
        """A random scene with the digit well inside the picture."""
        return cls(
            writer=Writer.draw(rng),
            pen=Pen.draw(rng),
            paper=Paper.draw(rng),
            camera=Camera.draw(rng),
            ink=INKS[rng.integers(len(INKS))],
            height=float(rng.uniform(0.25, 0.6)),
            place=(float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.4, 0.6))),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """RGB pixels, the text, and the box of its ink before the camera's tilt; None for an empty picture."""

    pixels: UInt8[np.ndarray, "h w 3"]
    text: str
    box: Box | None


def picture(
    text: str | int, *, seed: int, size_px: tuple[int, int] = (160, 160), scene: Scene | None = None
) -> Picture:
    """A picture of (height, width) of a text, a kind of non-digit (by its name), or nothing ("").

    Raises:
        DataError: a character that has no strokes.
    """
    rng = np.random.default_rng(seed)
    scene = scene or Scene.draw(rng)
    ink = _write(str(text), scene, rng)
    height_px = scene.height * size_px[0]
    if ink is not None:
        ink = ink if scene.pen.jagged else ink.smooth()
        ink = _move_to(ink, height_px, (scene.place[0] * size_px[1], scene.place[1] * size_px[0]))
    box = _box_of(ink) if ink is not None else _nominal_box(scene, size_px)
    page = draw_sheet(scene.paper, size_px, digit=box, rng=rng)
    if ink is not None:
        page = apply_ink(page, coverage(ink, *size_px), pen=scene.pen, colour=scene.ink, rng=rng)
    return Picture(photograph(page, scene.camera, rng), str(text), box if ink is not None else None)


def write_text(text: str, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Digits, letters and signs side by side, in heights; a space is half a height wide.

    Raises:
        DataError: a character that has no strokes, or none at all.
    """
    line: Ink | None = None
    gap = 0.0
    for character in text:
        if character == " ":
            gap += 0.5
            continue
        ink = _write_character(character, writer, pen, rng)
        if line is not None:
            right = float(line.extent()[1, 0] - ink.extent()[0, 0])
            ink = ink.transformed(1.0, (right + gap + float(rng.uniform(0.05, 0.25)), float(rng.normal(0, 0.04))))
        line, gap = ink if line is None else line + ink, 0.0
    if line is None:
        raise DataError(f"nothing to write in {text!r}; give at least one digit, letter or sign")
    return line


def _write_character(character: str, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One digit, letter or sign, in heights."""
    if character in "0123456789":
        return write_digit(int(character), writer, pen, rng)
    if character not in SIGNS:
        raise DataError(f"no strokes for {character!r}; there are: 0123456789{''.join(SIGNS)}")
    shapes = SIGNS[character]
    return write(parse_figure(shapes[rng.integers(len(shapes))]), writer, pen, rng)


def _write(text: str, scene: Scene, rng: np.random.Generator) -> Ink | None:
    """The ink of a text or kind of non-digit; None for an empty text."""
    if text in KINDS:
        return KINDS[text][0](scene.writer, scene.pen, rng)
    return write_text(text, scene.writer, scene.pen, rng) if text else None


def _move_to(ink: Ink, height_px: float, centre_px: tuple[float, float]) -> Ink:
    """The ink in pixels, a digit's height being `height_px`, its box centred at (x, y)."""
    x, y = ink.extent().mean(axis=0) * height_px
    return ink.transformed(height_px, (centre_px[0] - float(x), centre_px[1] - float(y)))


def _box_of(ink: Ink) -> Box:
    """The box of ink in pixels."""
    (left, top), (right, bottom) = ink.extent()
    return Box(int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom)))


def _nominal_box(scene: Scene, size_px: tuple[int, int]) -> Box:
    """The position of a digit on an empty sheet, for its printed lines and frame."""
    height = scene.height * size_px[0]
    x, y = scene.place[0] * size_px[1], scene.place[1] * size_px[0]
    return Box(int(x - height * 0.35), int(y - height / 2), int(x + height * 0.35), int(y + height / 2))
