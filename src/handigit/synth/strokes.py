"""The notation of written figures, and the splines that turn their few points into smooth pen paths.

A figure is one string: strokes separated by `/`, points `x,y` in percent of its height (y downward, 0 at the top, 100
at the base line), `!` after a point where the pen turns sharply. "0,25 22,0! 22,100" is a 1 with a flag.

Everything between points and path is linear, so a figure keeps two matrices and each glyph costs one product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float64
from numpy.lib.stride_tricks import sliding_window_view

SAMPLES_PER_SPAN = 5
"""Path points between two neighbouring control points; more are not visible at 28 pixels."""
SOFTENING = 3.0
"""Standard deviation, in path points, of the blur that turns a careful path into a hasty one."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure's control points (in heights) and the two matrices that turn any variant of them into paths.

    `sharp @ points` passes through every point, with corners; `soft @ points` cuts the corners, as in haste. Rows
    `ends[i - 1]` to `ends[i]` are stroke `i`.
    """

    points: Float64[np.ndarray, "k 2"]
    sharp: Float64[np.ndarray, "m k"]
    soft: Float64[np.ndarray, "m k"]
    ends: tuple[int, ...]


@cache
def parse_figure(notation: str) -> Figure:
    """The figure of a notation; cached.

    Raises:
        ValueError: a point that is not `x,y` in numbers, or a stroke of fewer than two points.
    """
    return _build_figure([_parse(stroke) for stroke in notation.split("/")])


def smooth_stroke(points: Float64[np.ndarray, "k 2"]) -> Figure:
    """The figure of one smooth stroke through these points, in heights.

    Its spline is the uniform one: the matrices depend only on the number of points, so they are cached.
    """
    even = _evenly_spaced(len(points))
    return Figure(points, even.sharp, even.soft, even.ends)


@cache
def _evenly_spaced(count: int) -> Figure:
    """One stroke of `count` equidistant points on a line."""
    points = np.stack([np.arange(count), np.zeros(count)], axis=1)
    return _build_figure([(points, [0, count - 1])])


def combine(parts: Sequence[tuple[Figure, Float64[np.ndarray, "_ 2"]]]) -> Figure:
    """One figure from several, each at the given points; their spline matrices are kept."""
    ends = np.cumsum([0, *(len(part.sharp) for part, _ in parts)])
    return Figure(
        points=np.concatenate([points for _, points in parts]),
        sharp=_block_diagonal([part.sharp for part, _ in parts]),
        soft=_block_diagonal([part.soft for part, _ in parts]),
        ends=tuple(int(start + end) for start, (part, _) in zip(ends[:-1], parts, strict=True) for end in part.ends),
    )


def _build_figure(strokes: list[tuple[Float64[np.ndarray, "_ 2"], list[int]]]) -> Figure:
    """A figure from each stroke's points and corners."""
    paths = [_interpolation_matrix(points, corners) for points, corners in strokes]
    sharp = _block_diagonal(paths)
    soft = _block_diagonal([_soften_matrix(len(path)) @ path for path in paths])
    ends = tuple(int(end) for end in np.cumsum([len(path) for path in paths]))
    return Figure(np.concatenate([points for points, _ in strokes]), sharp, soft, ends)


def _parse(stroke: str) -> tuple[Float64[np.ndarray, "k 2"], list[int]]:
    """Points in heights, and the indices of the corners, including both ends."""
    words = stroke.split()
    try:
        points = np.array([[float(value) / 100 for value in word.rstrip("!").split(",")] for word in words])
        if points.shape != (len(words), 2) or len(words) < 2:
            raise ValueError(points.shape)
    except ValueError:
        raise ValueError(f"stroke {stroke.strip()!r} is not two or more points such as '0,25 22,0! 22,100'") from None
    inner = [index for index, word in enumerate(words) if word.endswith("!") and 0 < index < len(words) - 1]
    return points, [0, *inner, len(words) - 1]


def _interpolation_matrix(points: Float64[np.ndarray, "k 2"], corners: list[int]) -> Float64[np.ndarray, "m k"]:
    """The matrix from a stroke's control points to its path: one Catmull-Rom spline between each two corners."""
    rows = []
    for first, last in pairwise(corners):
        piece = np.zeros(((last - first) * SAMPLES_PER_SPAN + 1, len(points)))
        piece[:, first : last + 1] = _catmull_rom(points[first : last + 1])
        rows.append(piece if last == len(points) - 1 else piece[:-1])
    return np.concatenate(rows)


def _catmull_rom(points: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "m k"]:
    """The centripetal Catmull-Rom spline (Barry & Goldman 1988; Yuksel et al. 2011) as a matrix.

    The knots are those of these nominal points, so the spline stays linear in the points it is applied to. Each end is
    extended by a mirrored point.
    """
    count = len(points)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    values = np.eye(count)
    values = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    steps = np.maximum(np.linalg.norm(np.diff(padded, axis=0), axis=1), 1e-3) ** 0.5
    knots = np.concatenate([[0.0], np.cumsum(steps)])
    spans = _interpolate_spans(sliding_window_view(values, 4, axis=0), sliding_window_view(knots, 4))
    return np.concatenate([spans, np.eye(count)[-1:]])


def _interpolate_spans(
    values: Float64[np.ndarray, "n k 4"], knots: Float64[np.ndarray, "n 4"]
) -> Float64[np.ndarray, "s k"]:
    """All spans, by the pyramid of linear interpolations; the end point of each belongs to the next."""
    v, k = np.moveaxis(values, 2, 0)[:, :, None], knots.T[:, :, None, None]
    t = k[1] + (k[2] - k[1]) * np.linspace(0, 1, SAMPLES_PER_SPAN, endpoint=False)[:, None]

    def mix(a: np.ndarray, b: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        return np.asarray(((stop - t) * a + (t - start) * b) / (stop - start))

    a = [mix(v[i], v[i + 1], k[i], k[i + 1]) for i in range(3)]
    b = [mix(a[i], a[i + 1], k[i], k[i + 2]) for i in range(2)]
    return mix(b[0], b[1], k[1], k[2]).reshape(-1, values.shape[1])


def _soften_matrix(count: int) -> Float64[np.ndarray, "m m"]:
    """A Gaussian blur along the path, narrower towards the ends so that they keep their positions."""
    index = np.arange(count)
    width = np.minimum(SOFTENING, np.minimum(index, count - 1 - index) / 2) + 1e-3
    weights = np.exp(-(((index[None] - index[:, None]) / width[:, None]) ** 2) / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _block_diagonal(blocks: list[Float64[np.ndarray, "_ _"]]) -> Float64[np.ndarray, "m k"]:
    """A matrix of zeros with the blocks along its diagonal."""
    matrix = np.zeros((sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks)))
    row = column = 0
    for block in blocks:
        matrix[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return matrix
