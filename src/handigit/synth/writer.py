"""Writers and pens: the style that all figures of one person share, and the pen's line.

`write` turns a figure into ink: paths with a width at each point, in heights of the figure (y downward). All randomness
comes from the generator passed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64

from handigit.errors import DataError
from handigit.synth.ink import Ink
from handigit.synth.shapes import DIGITS, Allograph
from handigit.synth.strokes import Figure, parse_figure, smooth_stroke

HABITS = 96
"""Number of a writer's habitual displacements; each figure uses its own section of them."""

PenKind = Literal["ballpoint", "felt", "marker", "pencil", "mouse"]


@dataclass(frozen=True, slots=True)
class Pen:
    """A pen. `width` is the mean line width as a fraction of the figure's height; the others are in 0..1.

    `pressure`: how far the width follows the hand; `darkness`: how much light the ink absorbs; `grain`: how much of the
    paper's roughness shows in the line; `jagged`: drawn with a mouse, in a few straight steps on a coarse grid.
    """

    kind: PenKind
    width: float
    pressure: float
    darkness: float
    grain: float
    jagged: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator, *, kind: PenKind | None = None) -> "Pen":
        """A random pen, of the given kind or of any."""
        kind = kind or _PEN_KINDS[int(rng.choice(len(_PEN_KINDS), p=_PEN_SHARES))]
        width, spread, pressure, darkness, grain = _PENS[kind]
        return cls(
            kind=kind,
            width=float(np.clip(width * np.exp(rng.normal(0, spread)), 0.025, 0.35)),
            pressure=pressure * float(rng.random()),
            darkness=float(np.clip(rng.normal(darkness, 0.08), 0.35, 1)),
            grain=grain * float(rng.random()),
            jagged=kind == "mouse",
        )


# Width, its spread (of the logarithm), maximum pressure, darkness, maximum grain.
_PENS: dict[PenKind, tuple[float, float, float, float, float]] = {
    "ballpoint": (0.1, 0.3, 0.5, 0.8, 0.35),
    "felt": (0.15, 0.22, 0.35, 0.95, 0.1),
    "marker": (0.21, 0.24, 0.2, 0.95, 0.1),
    "pencil": (0.095, 0.25, 0.5, 0.6, 0.6),
    "mouse": (0.11, 0.35, 0.0, 1.0, 0.0),
}
_PEN_KINDS = tuple(_PENS)
_PEN_SHARES = (0.37, 0.28, 0.13, 0.14, 0.08)


@dataclass(frozen=True, slots=True, eq=False)
class Writer:
    """The constant features of one person's handwriting.

    `slant` is the shear to the right, `rotation_rad` the rotation of the line of writing, `aspect` the width of figures
    relative to the usual one. `haste` (0..1) cuts corners and overshoots; `care_sd` is how far control points vary from
    one figure to the next, `tremor` the amplitude of the hand's shake, both in heights. `habit` displaces the control
    points of every figure, always alike; `warp` bends the whole figure; `preference` selects the allograph of each
    digit, and `variation_rate` is how often another one is used instead.
    """

    slant: float
    rotation_rad: float
    aspect: float
    haste: float
    care_sd: float
    tremor: float
    habit: Float64[np.ndarray, "96 2"]
    warp: Float64[np.ndarray, "3 2"]
    preference: Float64[np.ndarray, "10"]
    variation_rate: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Writer":
        """A random writer."""
        return cls(
            slant=float(np.clip(rng.normal(0.14, 0.26), -0.5, 0.85)),
            rotation_rad=float(rng.normal(0, 0.08)),
            aspect=float(np.clip(np.exp(rng.normal(0.08, 0.28)), 0.65, 2.0)),
            haste=float(rng.random()),
            care_sd=float(0.028 * np.exp(rng.normal(0, 0.35))),
            tremor=float(0.004 * np.exp(rng.normal(0, 0.8))),
            habit=rng.normal(0, 0.05, (HABITS, 2)),
            warp=rng.normal(0, 0.13, (3, 2)),
            preference=rng.random(10),
            variation_rate=0.25 * float(rng.random()),
        )

    def allograph(
        self, value: int, rng: np.random.Generator, *, among: Mapping[int, Sequence[Allograph]] = DIGITS
    ) -> Allograph:
        """The allograph that this writer uses this time: nearly always the same."""
        preference = self.preference[value] if rng.random() >= self.variation_rate else rng.random()
        shares = _cumulative_shares(among[value])
        return among[value][int(np.searchsorted(shares, preference * shares[-1], side="right"))]

    def preferring(self, value: int, name: str) -> "Writer":
        """The same writer, always using the named allograph for this digit.

        Raises:
            DataError: the digit has no allograph of that name.
        """
        names = [allograph.name for allograph in DIGITS[value]]
        if name not in names:
            raise DataError(f"no {value} named {name!r}; there are: {', '.join(names)}")
        index, shares = names.index(name), np.concatenate([[0.0], _cumulative_shares(DIGITS[value])])
        preference = self.preference.copy()
        preference[value] = (shares[index] + shares[index + 1]) / 2 / shares[-1]
        return replace(self, preference=preference, variation_rate=0.0)


def _cumulative_shares(allographs: Sequence[Allograph]) -> Float64[np.ndarray, " k"]:
    """The cumulative shares of a digit's allographs."""
    return np.cumsum([allograph.share for allograph in allographs])


def write_digit(value: int, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One digit by this writer; no two are equal."""
    return write(parse_figure(writer.allograph(value, rng).strokes), writer, pen, rng)


def write_stroke(points: Float64[np.ndarray, "k 2"], writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """One smooth stroke through these points (in heights) by this writer."""
    return write(smooth_stroke(points), writer, pen, rng)


def write(shape: Figure, writer: Writer, pen: Pen, rng: np.random.Generator) -> Ink:
    """Any figure by this writer."""
    path = _style(_bend(_trace(shape, writer, rng), writer, rng), writer, rng)
    strokes = np.split(path, shape.ends[:-1])
    if len(strokes) > 1 and rng.random() < 0.06 * writer.haste:
        strokes = [np.concatenate(strokes)]  # the pen was not lifted
    strokes = [_reach(stroke, writer, rng) for stroke in strokes]
    if pen.jagged:
        strokes = [_mouse(stroke, rng) for stroke in strokes]
    return Ink(tuple(strokes), tuple(_widths(stroke, pen, rng) for stroke in strokes))


def _trace(shape: Figure, writer: Writer, rng: np.random.Generator) -> Float64[np.ndarray, "m 2"]:
    """The path through the control points, displaced by the writer's habit and by chance."""
    count = len(shape.points)
    first = (
        round(float(shape.points.sum()) * 100) % HABITS
    )  # any section will do, as long as it is the same in each run
    habit = writer.habit.take(range(first, first + count), axis=0, mode="wrap")
    points = shape.points + habit + rng.normal(0, writer.care_sd, (count, 2))
    softness = min(1.0, max(0.0, writer.haste + 0.2 * rng.standard_normal()))
    path = shape.sharp @ points
    return np.asarray(path + softness * (shape.soft @ points - path))


def _bend(path: Float64[np.ndarray, "m 2"], writer: Writer, rng: np.random.Generator) -> Float64[np.ndarray, "m 2"]:
    """The figure bent by a smooth warp, then shaken by tremor."""
    x, y = path[:, 0] - 0.3, path[:, 1] - 0.5
    warp = writer.warp + rng.normal(0, 0.06, (3, 2))
    waves = np.sin(np.arange(len(path))[:, None] * rng.uniform(0.3, 2.5, 4) + rng.uniform(0, 6.28, 4))
    shake = waves @ rng.normal(0, writer.tremor, (4, 2))
    return np.asarray(path + np.stack([x * y, y * y, x * x], axis=1) @ warp + shake)


def _style(path: Float64[np.ndarray, "m 2"], writer: Writer, rng: np.random.Generator) -> Float64[np.ndarray, "m 2"]:
    """Aspect, slant and rotation as one matrix; each figure differs a little from the writer's mean."""
    aspect, slant, turn = rng.standard_normal(3)
    wide = writer.aspect * np.exp(0.08 * aspect)
    shear = writer.slant + 0.05 * slant
    angle = writer.rotation_rad + 0.05 * turn
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(path @ np.array([[wide, 0.0], [-shear, 1.0]]) @ np.array([[cos, sin], [-sin, cos]]))


def _reach(stroke: Float64[np.ndarray, "m 2"], writer: Writer, rng: np.random.Generator) -> Float64[np.ndarray, "_ 2"]:
    """The stroke started or ended too early or too late, more so in haste."""
    start, end = rng.normal(0, 0.02 + 0.04 * writer.haste, 2)
    if end > 0:
        stroke = np.concatenate([stroke, stroke[-1:] + _direction(stroke[-4:]) * end])
    if start > 0:
        stroke = np.concatenate([stroke[:1] + _direction(stroke[3::-1]) * start, stroke])
    spare = len(stroke) // 8
    return stroke[min(spare, int(max(0.0, -start) * 40)) : len(stroke) - min(spare, int(max(0.0, -end) * 40))]


def _direction(points: Float64[np.ndarray, "_ 2"]) -> Float64[np.ndarray, "2"]:
    """The unit vector from the first point to the last."""
    way = points[-1] - points[0]
    return np.asarray(way / (np.hypot(way[0], way[1]) + 1e-6))


def _mouse(stroke: Float64[np.ndarray, "m 2"], rng: np.random.Generator) -> Float64[np.ndarray, "_ 2"]:
    """The stroke as a mouse reports it: only every few points, on a grid."""
    step, grid = int(rng.integers(2, 6)), rng.uniform(20, 60)
    points = np.concatenate([stroke[:-1:step], stroke[-1:]])
    return np.asarray(np.round((points + rng.normal(0, 0.008, points.shape)) * grid) / grid)


def _widths(stroke: Float64[np.ndarray, "m 2"], pen: Pen, rng: np.random.Generator) -> Float64[np.ndarray, " m"]:
    """Line width along the stroke: heavier downward, slowly swelling, thinner where the pen is lifted."""
    width = pen.width * np.exp(0.1 * rng.standard_normal())
    if pen.pressure < 0.12:
        return np.full(len(stroke), width)
    along = np.linspace(0, 1, len(stroke))
    down = np.diff(stroke[:, 1], append=stroke[-1:, 1]) * len(stroke)
    swell = np.sin(along * rng.uniform(2, 9) + rng.uniform(0, 6.28))
    lift = np.exp(-np.minimum(along, 1 - along) * 12) * rng.uniform(-0.2, 1)
    change = 0.35 * np.tanh(down / 2) + 0.4 * swell - 0.8 * lift
    return np.asarray(width * np.clip(1 + pen.pressure * change, 0.3, 1.7))
