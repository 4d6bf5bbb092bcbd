"""The fifteen corruptions of MNIST-C (Mu & Gilmer 2019), on whole batches, at the severity of the published set.

Written from the paper's description; the constants are the published severities. A corruption takes ink in 0..1, bright
on 0, and a random generator, and returns the same number of pictures, not always within 0..1; call `corrupt`, which
clips.
"""

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from numpy.random import Generator

from handigit.errors import DataError

Ink = Float32[np.ndarray, "n 28 28"]
Corruption = Callable[[Ink, Generator], Ink]

SIDE_PX = 28
CENTRE_PX = (SIDE_PX - 1) / 2
COLUMNS = np.arange(SIDE_PX)

PHOTONS = 3
IMPULSES = 0.17
GLASS_SIGMA_PX, GLASS_ROUNDS = 0.7, 2
MOTION_SIGMA_PX, MOTION_REACH_PX, MOTION_DEGREES = 3.0, 10, 45.0
SHEAR = 0.4
SCALE = 0.7
ROTATION_RADIANS = 0.4
SHIFT_PX = 3
BRIGHTNESS = 0.5
STRIPE_PX = 7
FOG_DENSITY, FOG_DECAY, FOG_FIELD_PX, FOG_CROPS = 3.0, 1.4**2, 256, 32
DROP_MEAN, DROP_SPREAD, DROP_SIGMA_PX, DROP_LEVEL = 0.65, 0.3, 1.0, 0.65
SPLASH_SIGMA_PX, SPLASH_LEVEL, MUD = 1.5, 0.8, 63 / 255
LINE_REACH_PX = 2.3
ZIGZAG_FROM_PX, ZIGZAG_TO_PX, ZIGZAG_HEIGHT_PX, ZIGZAG_PERIOD_PX = 2, 25, 2.0, 8.0
CANNY_LOW, CANNY_HIGH = 102, 204  # 0.1 and 0.2 of the steepest edge: Sobel's kernel gives 4 x 255 there


def corrupt(glyphs: UInt8[np.ndarray, "n 28 28"], name: str, *, seed: int) -> UInt8[np.ndarray, "n 28 28"]:
    """The glyphs, corrupted: the same for the same glyphs, name and seed.

    Raises:
        DataError: no corruption of that name.
    """
    if name not in CORRUPTIONS:
        raise DataError(f"no corruption named {name!r}; there are: {', '.join(CORRUPTIONS)}")
    # The name is part of the seed, so that a corruption does not depend on which others are there.
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    ink = CORRUPTIONS[name](glyphs.astype(np.float32) / 255, rng)
    return np.asarray(np.rint(np.clip(ink, 0, 1) * 255), dtype=np.uint8)


def shot_noise(ink: Ink, rng: Generator) -> Ink:
    """Poisson noise: three photons for full ink."""
    return _ink(rng.poisson(ink * PHOTONS) / PHOTONS)


def impulse_noise(ink: Ink, rng: Generator) -> Ink:
    """Salt and pepper on 17 % of the pixels."""
    draw = rng.random(ink.shape, dtype=np.float32)
    peppered = np.where(draw < IMPULSES / 2, 0, ink)
    return _ink(np.where(draw > 1 - IMPULSES / 2, 1, peppered))


def glass_blur(ink: Ink, rng: Generator) -> Ink:
    """Frosted glass: blurred, neighbours exchanged, blurred again."""
    pixels = _blur(ink, GLASS_SIGMA_PX).reshape(len(ink), SIDE_PX**2).T.copy()
    images = np.arange(len(ink))
    # Half of the time no change; else a pixel changes places with itself or one of three neighbours above and left.
    # Iterating from the last pixel to the first carries some ink far, which makes this corruption hard.
    offsets = np.array([0, 0, 0, 0, 0, 1, SIDE_PX, SIDE_PX + 1])
    order = [row * SIDE_PX + column for row in COLUMNS[:1:-1] for column in COLUMNS[:1:-1]]
    for pixel in order * GLASS_ROUNDS:
        neighbour = pixel - offsets[rng.integers(0, len(offsets), len(ink))]
        kept = pixels[pixel].copy()
        pixels[pixel] = pixels[neighbour, images]
        pixels[neighbour, images] = kept
    return _blur(pixels.T.reshape(ink.shape), GLASS_SIGMA_PX)


def motion_blur(ink: Ink, rng: Generator) -> Ink:
    """Motion blur in one direction, up to 45 degrees from horizontal, with half a Gaussian of 3 px."""
    steps = np.arange(2 * MOTION_REACH_PX + 1)
    weights = np.exp(-(steps**2) / (2 * MOTION_SIGMA_PX**2))
    angles = np.radians(rng.uniform(-MOTION_DEGREES, MOTION_DEGREES, (len(ink), 1)))
    rows, columns = (np.rint(wave(angles) * steps).astype(int) for wave in (np.sin, np.cos))
    size = 2 * len(steps) - 1
    kernels = np.zeros((len(ink), size, size), dtype=np.float32)
    np.add.at(kernels, (np.arange(len(ink))[:, None], rows + size // 2, columns + size // 2), weights / weights.sum())
    return _each(ink, lambda image, kernel: cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), kernels)


def shear(ink: Ink, rng: Generator) -> Ink:
    """Slanted to either side by 0.4 of the height."""
    slants = np.tile(np.eye(2), (len(ink), 1, 1))
    slants[:, 0, 1] = SHEAR * _signs(rng, len(ink))
    return _warp(ink, slants)


def scale(ink: Ink, rng: Generator) -> Ink:
    """Shrunk to 0.7 of its size."""
    del rng  # every picture alike
    return _warp(ink, np.tile(np.eye(2) / SCALE, (len(ink), 1, 1)))


def rotate(ink: Ink, rng: Generator) -> Ink:
    """Rotated by 0.4 radians (23 degrees) in either direction."""
    angles = ROTATION_RADIANS * _signs(rng, len(ink))
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
    return _warp(ink, turns.transpose(2, 0, 1))


def brightness(ink: Ink, rng: Generator) -> Ink:
    """Every pixel brighter by half of the range."""
    del rng  # every picture alike
    return _ink(ink + BRIGHTNESS)


def translate(ink: Ink, rng: Generator) -> Ink:
    """Moved by 3 px to the left or right and 3 px up or down."""
    shifts = SHIFT_PX * np.stack([_signs(rng, len(ink)), _signs(rng, len(ink))], axis=1)
    return _warp(ink, np.tile(np.eye(2), (len(ink), 1, 1)), shifts)


def stripe(ink: Ink, rng: Generator) -> Ink:
    """The left and the right quarter inverted."""
    del rng  # every picture alike
    middle = (COLUMNS >= STRIPE_PX) & (COLUMNS < SIDE_PX - STRIPE_PX)
    return _ink(np.where(middle, ink, 1 - ink))


def fog(ink: Ink, rng: Generator) -> Ink:
    """Ink at a quarter of its strength under fractal fog; pictures share fog fields, cropped at random."""
    fields = _plasma(-(-len(ink) // FOG_CROPS), rng)
    corners = rng.integers(0, FOG_FIELD_PX, (len(ink), 2))
    rows, columns = ((corners[:, [axis]] + COLUMNS) % FOG_FIELD_PX for axis in (0, 1))
    field = np.arange(len(ink))[:, None, None] // FOG_CROPS
    foggy = ink + FOG_DENSITY * fields[field, rows[:, :, None], columns[:, None, :]]
    brightest = ink.max(axis=(1, 2), keepdims=True)
    return _ink(foggy * brightest / (brightest + FOG_DENSITY))


def spatter(ink: Ink, rng: Generator) -> Ink:
    """Dark grey splashes of mud that hide the ink under them."""
    drops = rng.normal(DROP_MEAN, DROP_SPREAD, ink.shape).astype(np.float32)
    wet = (_blur(drops, DROP_SIGMA_PX) > DROP_LEVEL).astype(np.float32)
    splash = _blur(wet, SPLASH_SIGMA_PX)
    splash[splash < SPLASH_LEVEL] = 0
    return _ink(ink * (1 - splash) + MUD * splash)


def dotted_line(ink: Ink, rng: Generator) -> Ink:
    """A straight dotted line across the whole width, two pixels on and two off."""
    ends = rng.integers(0, SIDE_PX - 1, (2, len(ink), 1))
    heights = ends[0] + (ends[1] - ends[0]) * COLUMNS / (SIDE_PX - 1)
    return _ink(ink + _line(heights) * (COLUMNS // 2 % 2))


def zigzag(ink: Ink, rng: Generator) -> Ink:
    """A zigzag along a straight line, 2 px to either side of it, from nearly one edge to the other."""
    start = rng.integers(0, SIDE_PX - 1, (len(ink), 1))
    rise = rng.integers(-5, 5, (len(ink), 1))
    along = COLUMNS - ZIGZAG_FROM_PX
    # A triangle wave that starts at 0 and first runs down the picture.
    wave = np.abs((along / ZIGZAG_PERIOD_PX + 0.75) % 1 - 0.5) * 4 - 1
    heights = start + rise * along / (ZIGZAG_TO_PX - ZIGZAG_FROM_PX) + ZIGZAG_HEIGHT_PX * wave
    drawn = (COLUMNS >= ZIGZAG_FROM_PX) & (COLUMNS < ZIGZAG_TO_PX)
    return _ink(ink + _line(heights) * drawn)


def canny_edges(ink: Ink, rng: Generator) -> Ink:
    """Nothing but the edges (Canny 1986), after a blur of 1 px."""
    del rng  # every picture alike
    smooth = np.rint(_blur(ink, 1.0) * 255).astype(np.uint8)
    edges = [cv2.Canny(image, CANNY_LOW, CANNY_HIGH, L2gradient=True) for image in smooth]
    return np.array(edges, dtype=np.float32).reshape(ink.shape) / 255


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        corruption.__name__: corruption
        for corruption in (
            shot_noise,
            impulse_noise,
            glass_blur,
            motion_blur,
            shear,
            scale,
            rotate,
            brightness,
            translate,
            stripe,
            fog,
            spatter,
            dotted_line,
            zigzag,
            canny_edges,
        )
    }
)
"""Every corruption by its name, in the order of the paper."""


def _ink(values: np.ndarray) -> Ink:
    """Convert to float32."""
    return np.asarray(values, dtype=np.float32)


def _each(ink: Ink, change: Callable[..., np.ndarray], parameters: np.ndarray) -> Ink:
    """Apply a change to every picture, each with its own parameters."""
    changed = np.empty_like(ink)
    for index, (image, parameter) in enumerate(zip(ink, parameters, strict=True)):
        changed[index] = change(image, parameter)
    return changed


def _blur(ink: Ink, sigma_px: float) -> Ink:
    """A Gaussian blur with replicated borders."""
    sigmas = np.full(len(ink), sigma_px)
    return _each(ink, lambda image, s: cv2.GaussianBlur(image, (0, 0), s, borderType=cv2.BORDER_REPLICATE), sigmas)


def _warp(ink: Ink, matrices: Float[np.ndarray, "n 2 2"], shifts: Int64[np.ndarray, "n 2"] | None = None) -> Ink:
    """Every picture warped by its matrix (target to source) about the centre, then shifted."""
    moved = np.zeros((len(ink), 2)) if shifts is None else shifts
    centre = np.full(2, CENTRE_PX)
    offsets = centre - (matrices @ centre) - moved
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    maps = np.concatenate([matrices, offsets[:, :, None]], axis=2)
    return _each(ink, lambda image, back: cv2.warpAffine(image, back, (SIDE_PX, SIDE_PX), flags=flags), maps)


def _signs(rng: Generator, n: int) -> Int64[np.ndarray, " n"]:
    """Random directions, -1 or 1."""
    return rng.integers(0, 2, n) * 2 - 1


def _line(heights: Float[np.ndarray, "n 28"]) -> Ink:
    """A soft line that passes each column at the given height: full in its middle, fading over 2.3 px."""
    distance = np.abs(np.arange(SIDE_PX)[:, None] - heights[:, None, :])
    near = np.clip(1 - distance / LINE_REACH_PX, 1e-6, 1)
    return _ink(np.maximum(np.log(near) + 1, 0))


def _plasma(count: int, rng: Generator) -> Float[np.ndarray, "n 256 256"]:
    """Periodic fractal fields in 0..1 by diamond-square (Fournier et al. 1982)."""
    fields = np.zeros((count, FOG_FIELD_PX, FOG_FIELD_PX))
    step, roughness = FOG_FIELD_PX, 1.0
    while step > 1:
        half = step // 2
        corner = fields[:, ::step, ::step].copy()
        east, south = np.roll(corner, -1, axis=2), np.roll(corner, -1, axis=1)
        centre = _displace(corner + east + south + np.roll(east, -1, axis=1), roughness, rng)
        fields[:, half::step, half::step] = centre
        fields[:, ::step, half::step] = _displace(corner + east + centre + np.roll(centre, 1, axis=1), roughness, rng)
        fields[:, half::step, ::step] = _displace(corner + south + centre + np.roll(centre, 1, axis=2), roughness, rng)
        step, roughness = half, roughness / FOG_DECAY
    low, high = fields.min(axis=(1, 2), keepdims=True), fields.max(axis=(1, 2), keepdims=True)
    return np.asarray((fields - low) / (high - low))


def _displace(sums: np.ndarray, roughness: float, rng: Generator) -> np.ndarray:
    """The mean of four neighbours plus uniform noise of this roughness."""
    return np.asarray(sums / 4 + rng.uniform(-roughness, roughness, sums.shape))
