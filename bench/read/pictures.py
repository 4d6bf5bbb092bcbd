"""Pictures to measure on: digits of other data sets, and non-digits.

As in their sets: any size, either polarity, not normalised.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handigit.synth import Camera, Scene, nondigits, picture
from handigit.synth.photo_paper import Ruling

DARK_INK = {"usps": False, "unipen": True, "optdigits": False, "semeion": False, "hwd1000": True}
"""The sets of digits, each with whether its ink is dark: only the tutorial's reader needs to know."""
LOOK_ALIKES = frozenset("oOlIisSzZbqgBDQ|()/'") | {"Korean/character21"}
"""What can be taken for a digit, so that it says nothing about rejection; the last two are lone upright strokes."""
OMNIGLOT_UNSEEN = slice(560, None)
"""Recipes may learn the first 440 of Omniglot as non-digits; from here on there is none of their alphabets."""
DRAWN = 500
PHOTOGRAPHED = 200
"""How many of each kind are drawn as glyphs, and drawn on paper and seen by a camera."""

Change = Callable[[Scene, np.random.Generator], Scene]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one kind, uint8 and grey or RGB; `labels` are their digits, empty where they are none."""

    name: str
    images: list[np.ndarray]
    dark_ink: bool
    labels: np.ndarray


def digit_sets(data: Path) -> list[Pictures]:
    """Every set of digits that is not MNIST; of a set with two parts, the test part."""
    return [_digit_set(name, data / "digits" / f"{name}.npz", dark_ink=dark) for name, dark in DARK_INK.items()]


def _digit_set(name: str, path: Path, *, dark_ink: bool) -> Pictures:
    with np.load(path, allow_pickle=False) as stored:
        chosen = stored["is_test"].astype(bool) if "is_test" in stored else np.ones(len(stored["labels"]), bool)
        return Pictures(name, list(stored["images"][chosen]), dark_ink, stored["labels"][chosen].astype(np.int64))


def nondigit_sets(data: Path) -> list[Pictures]:
    """Letters, signs, scribbles and blanks; those that look like a digit stand apart."""
    letters, likenesses = _told_apart(*_signs(data / "nondigits" / "unipen_letters_symbols.npz"))
    characters, more_likenesses = _told_apart(*_signs(data / "nondigits" / "omniglot.npz", OMNIGLOT_UNSEEN))
    drawn = {
        "drawn scribbles": nondigits(DRAWN, seed=99, kinds=("scribble",)).glyphs,
        "drawn, all kinds": nondigits(DRAWN, seed=98).glyphs,
    }
    return [
        _no_digits("unipen letters and symbols", letters),
        _no_digits("omniglot", characters),
        *(_no_digits(name, list(255 - glyphs)) for name, glyphs in drawn.items()),
        _no_digits("scribbles on paper", photographed("scribble", _as_it_is, seed=5_000_000)),
        *(_no_digits(f"blank, {kind}", photographed("", change, seed=6_000_000)) for kind, change in BLANKS.items()),
        _no_digits("look-alikes", likenesses + more_likenesses),
    ]


def _no_digits(name: str, images: list[np.ndarray]) -> Pictures:
    return Pictures(name, images, True, np.zeros(0, np.int64))


def _signs(path: Path, part: slice = slice(None)) -> tuple[np.ndarray, list[str]]:
    """A part of a set's pictures, and what they are."""
    with np.load(path, allow_pickle=False) as stored:
        return stored["images"][part], stored["chars"][part].tolist()


def _told_apart(images: np.ndarray, chars: list[str]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What is clearly no digit, and what looks like one."""
    clear = [image for image, char in zip(images, chars, strict=True) if char not in LOOK_ALIKES]
    return clear, [image for image, char in zip(images, chars, strict=True) if char in LOOK_ALIKES]


def photographed(text: str, change: Change, *, seed: int) -> list[np.ndarray]:
    """Text of this kind, or nothing, on photographed paper: each scene is drawn at random, then changed."""
    images = []
    for number in range(seed, seed + PHOTOGRAPHED):
        rng = np.random.default_rng(number)
        images.append(picture(text, seed=number, scene=change(Scene.draw(rng), rng)).pixels)
    return images


def _as_it_is(scene: Scene, rng: np.random.Generator) -> Scene:
    del rng
    return scene


def _noisy(scene: Scene, rng: np.random.Generator) -> Scene:
    """Rough paper in a grainy picture."""
    paper = replace(scene.paper, ruling="plain", frame=False, texture=float(rng.uniform(2, 10)))
    return replace(scene, paper=paper, camera=Camera(noise=float(rng.uniform(3, 12)), jpeg=int(rng.integers(35, 95))))


def _ruled(scene: Scene, rng: np.random.Generator) -> Scene:
    """Printed lines, squares, dots or comb fields."""
    rulings: tuple[Ruling, ...] = ("ruled", "squared", "dotted", "comb")
    ruling = rulings[rng.integers(len(rulings))]
    return replace(scene, paper=replace(scene.paper, ruling=ruling, frame=False))


def _boxed(scene: Scene, rng: np.random.Generator) -> Scene:
    """An empty printed box."""
    del rng
    return replace(scene, paper=replace(scene.paper, ruling="plain", frame=True))


def _shadowed(scene: Scene, rng: np.random.Generator) -> Scene:
    """Uneven light, and the edge of a shadow across the sheet."""
    camera = replace(scene.camera, uneven=float(rng.uniform(0.2, 0.45)), shadow=float(rng.uniform(0.2, 0.5)))
    return replace(scene, paper=replace(scene.paper, ruling="plain", frame=False), camera=camera)


BLANKS: Mapping[str, Change] = {
    "noisy": _noisy,
    "ruled": _ruled,
    "boxed": _boxed,
    "shadowed": _shadowed,
    "any paper": _as_it_is,
}
"""Blank sheets, by what may make them look written on."""
