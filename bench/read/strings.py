"""Crops of numbers with their texts, and crops that are not numbers.

No model was trained on any of them: MNIST's test digits composed into strings with a fixed seed, the sets under
strings/ and forms/ of the data folder, and synthetic non-numbers.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from handigit.data import load
from handigit.data.writers import part_of
from handigit.synth.crops import NO_NUMBER, Mix, draw_crop

SEED = 20_260_101
STRINGS = 2_000
MARGIN = 0.1
"""Of a field's width and height, around its box."""
LOOK_ALIKES = frozenset("oOlIiJsSzZbqgBDQ|()/\\xX+-_~.,'`:;!G")


@dataclass(frozen=True, eq=False)
class Crop:
    """Grey pixels and the digits written there; "" where there is no number."""

    name: str
    pixels: np.ndarray
    text: str


def mnist_strings(folder: Path, count: int = STRINGS) -> Iterator[Crop]:
    """Three to seven MNIST test digits side by side, dark on white, from overlapping by 3 pixels to 8 pixels apart."""
    digits = load("mnist", folder=folder, part="test")
    assert digits.labels is not None
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(digits))
    at = 0
    for number in range(count):
        length = int(rng.integers(3, 8))
        if at + length > len(order):
            return
        chosen, at = order[at : at + length], at + length
        low, high = sorted(rng.integers(-3, 9, 2).tolist())
        text = "".join(str(digits.labels[index]) for index in chosen)
        yield Crop(f"{number}", _side_by_side([digits.glyphs[index] for index in chosen], rng, (low, high)), text)


def _side_by_side(glyphs: list[np.ndarray], rng: np.random.Generator, gaps: tuple[int, int]) -> np.ndarray:
    """Digits cut to their ink, gaps drawn within those bounds, feet up to 2 pixels off the line."""
    page = np.zeros((44, 32 * len(glyphs) + 16), np.uint8)
    left = 8
    for glyph in glyphs:
        columns = np.flatnonzero(glyph.any(axis=0))
        cut = glyph[:, columns[0] : columns[-1] + 1]
        top = 8 + int(rng.integers(-2, 3))
        there = page[top : top + 28, left : left + cut.shape[1]]
        np.maximum(there, cut, out=there)
        left = max(left + 1, left + cut.shape[1] + int(rng.integers(gaps[0], gaps[1] + 1)))
    right = int(np.flatnonzero(page.any(axis=0))[-1])
    return 255 - page[:, : right + 9]


def labelled(folder: Path, name: str, *, shortest: int = 1) -> Iterator[Crop]:
    """A set under strings/: each picture with its digits."""
    place = folder / "strings" / name
    with (place / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if len(row["label"]) >= shortest:
                yield Crop(
                    row["file"], np.asarray(Image.open(place / "images" / row["file"]).convert("L")), row["label"]
                )


def held_out(folder: Path, name: str) -> Iterator[Crop]:
    """The strings of a set by writers that are neither trained on nor used to choose."""
    place = folder / "strings" / name
    with (place / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if part_of(name, row["writer"]) == "test":
                pixels = np.asarray(Image.open(place / "images" / row["file"]).convert("L"))
                yield Crop(row["file"], pixels, row["label"])


@dataclass(frozen=True)
class Field:
    """A field of a form: its box, and the digits in it without fillers."""

    box: tuple[int, int, int, int]
    text: str


def forms(folder: Path) -> Iterator[tuple[str, np.ndarray, list[Field]]]:
    """The pages of forms/c1 with their fields."""
    place = folder / "forms" / "c1"
    pages: dict[str, list[Field]] = {}
    with (place / "forms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            left, top, right, bottom = (round(float(row[name])) for name in ("x0", "y0", "x1", "y1"))
            pages.setdefault(row["file"], []).append(Field((left, top, right, bottom), row["label"]))
    for name, fields in pages.items():
        yield name, np.asarray(Image.open(place / "images" / name).convert("L")), fields


def fields(folder: Path) -> Iterator[Crop]:
    """Each field of forms/c1, cut with a margin; its digits, "" for one crossed out altogether."""
    for name, page, boxes in forms(folder):
        for number, field in enumerate(boxes):
            left, top, right, bottom = field.box
            across, down = round(MARGIN * (right - left)), round(MARGIN * (bottom - top))
            cut = page[max(top - down, 0) : bottom + down, max(left - across, 0) : right + across]
            yield Crop(f"{name}#{number}", cut, field.text)


def drawn_nothing(kind: str, count: int) -> Iterator[Crop]:
    """Drawn lines that hold no number, by a seed that no training uses: `words` (scribbles, dashes too) or `blanks`."""
    mix = Mix(nothing=1.0, no_number=0.0) if kind == "blanks" else Mix(nothing=0.0, no_number=1.0)
    rng = np.random.default_rng(SEED)
    made = 0
    while made < count:
        crop = draw_crop(rng, mix=mix)
        if kind == "blanks" or NO_NUMBER in crop.text or not any(map(str.isdecimal, crop.text)):
            made += 1
            yield Crop(f"{made}", crop.pixels, "")


def letters_in_words(folder: Path, count: int) -> Iterator[Crop]:
    """Words of three to six real letters of unipen, none of which looks like a digit, in random order."""
    with np.load(folder / "nondigits" / "unipen_letters_symbols.npz", allow_pickle=False) as stored:
        pictures, characters = stored["images"], stored["chars"]
    clear = np.flatnonzero([str(character) not in LOOK_ALIKES and str(character).isalpha() for character in characters])
    rng = np.random.default_rng(SEED)
    for number in range(count):
        chosen = rng.choice(clear, int(rng.integers(3, 7)))
        glyphs = [255 - np.asarray(Image.fromarray(pictures[index]).resize((28, 28))) for index in chosen]
        yield Crop(f"{number}", _side_by_side([np.where(glyph > 20, glyph, 0) for glyph in glyphs], rng, (1, 5)), "")
