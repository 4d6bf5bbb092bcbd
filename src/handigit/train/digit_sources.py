"""Resolve the data sources that a recipe names: sets, parts of sets, drawn glyphs, recorded pen strokes.

mnist                a set of the data folder, or a path
omniglot:440         the first 440 samples of a set; the rest stays unseen, for measuring
bhmsds@300           the first 300 samples of each label
synth:40000          that many digits (or non-digits) drawn by `handigit.synth`
ink:uji2_digits      recorded pen strokes, each drawn once with a pen of random width
altered:20000        that many non-digits made from the digits of the recipe's first set: turned, struck, two in one
recombined:8000      that many non-digits of the recipe's recorded signs, each with a stroke of another one

Of non-digits, `*4` after any of these repeats a small set four times, pen strokes each time with another pen.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from handigit.data import Dataset, load
from handigit.data.npz import load_names
from handigit.errors import DataError
from handigit.recipe import Recipe
from handigit.synth import digits, nondigits
from handigit.synth.altered import Alterations
from handigit.synth.ink import GLYPH_PX, Ink, glyph
from handigit.synth.pen_writers import Strokes, read_strokes
from handigit.synth.shapes import RECORDED_LOOK_ALIKES

SYNTHETIC: Final = "synth:"
INK: Final = "ink:"
ALTERED: Final = "altered:"
RECOMBINED: Final = "recombined:"
LOOK_ALIKES: Final = frozenset("oOlIisSzZbqgBDQ|()/") | RECORDED_LOOK_ALIKES
"""Signs that many people write like a digit; they are never used as non-digits."""
_PEN: Final = (0.04, 0.17)
"""Thinnest and thickest pen for recorded strokes, in sides of the ink box."""
_OUTLIER_SEED: Final = 1_000_000
"""Offset of the seed for non-digits, so that no synthetic writer draws both."""
_REPEAT_SEED: Final = 10_000_000
"""Offset of the seed for each repetition of a set."""


def load_source(source: str, *, folder: Path, seed: int) -> Dataset:
    """The data set that `source` names, in one of the forms above.

    Raises:
        DataError: as `handigit.data.load`, or no count after `synth:`.
    """
    if source.startswith(SYNTHETIC):
        drawn = digits(_count(source, SYNTHETIC), seed=seed)
        return Dataset(source, drawn.glyphs, drawn.labels)
    if source.startswith(INK):
        return _load_ink(source, folder=folder, seed=seed)
    mark = "@" if "@" in source else ":"
    name, _, count = source.rpartition(mark)
    if not (name and count.isdecimal()):
        return load(source, folder=folder, part="train")
    dataset = load(name, folder=folder, part="train")
    if mark == ":":
        selected = np.arange(min(int(count), len(dataset)))
    else:
        kinds = _kinds(name, dataset, folder=folder)
        selected = np.flatnonzero((_ranks(kinds) < int(count)) & ~np.isin(kinds, list(LOOK_ALIKES)))
    return replace(dataset.take(selected), name=source)


def load_outliers(recipe: Recipe, *, folder: Path) -> Dataset | None:
    """The recipe's non-digits, without labels; None if it names none.

    Raises:
        DataError: as `load_source`.
    """
    if not recipe.outliers:
        return None
    seed = recipe.drawn_from + _OUTLIER_SEED
    glyphs = []
    for written in recipe.outliers:
        source, mark, times = written.partition("*")
        count = _count(f"{mark}{times}", mark, example=4) if mark else 1
        seeds = [seed + n * _REPEAT_SEED for n in range(count)]
        glyphs += [_load_nondigits(source, recipe, folder=folder, seed=one) for one in seeds]
    return Dataset("outliers " + "+".join(recipe.outliers), np.concatenate(glyphs), None)


def _load_nondigits(source: str, recipe: Recipe, *, folder: Path, seed: int) -> UInt8[np.ndarray, "n 28 28"]:
    """The glyphs of one source of non-digits."""
    if source.startswith(SYNTHETIC):
        return nondigits(_count(source, SYNTHETIC), seed=seed).glyphs
    if source.startswith(ALTERED):
        first = load_source(recipe.data[0], folder=folder, seed=recipe.drawn_from)
        if first.labels is None:
            raise DataError(f"{source}: {first.name} has no labels; name a set of digits first in data")
        return Alterations(first.glyphs, first.labels).draw(_count(source, ALTERED), seed=seed)
    if source.startswith(RECOMBINED):
        names = [other.partition("*")[0] for other in recipe.outliers if other.startswith(INK)]
        recorded = [strokes for name in names for _label, strokes in _recorded(name, folder=folder)]
        if not any(len(strokes) > 1 for strokes in recorded):
            raise DataError(f"{source}: no recorded sign of two strokes; name pen strokes (ink:...) in outliers too")
        return _recombine(recorded, _count(source, RECOMBINED), seed=seed)
    return load_source(source, folder=folder, seed=seed).glyphs


def _recombine(recorded: list[Strokes], count: int, *, seed: int) -> UInt8[np.ndarray, "n 28 28"]:
    """Signs of two strokes or more, each with a stroke of another sign somewhere across it.

    Fewer strokes would now and then be a digit: an L with an upright stroke is a 4.
    """
    rng = np.random.default_rng(seed)
    several = [strokes for strokes in recorded if len(strokes) > 1]
    glyphs = np.zeros((count, GLYPH_PX, GLYPH_PX), np.uint8)
    for index in range(count):
        strokes, others = several[rng.integers(len(several))], recorded[rng.integers(len(recorded))]
        points = np.concatenate(strokes)
        corner, size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-6)
        added = others[rng.integers(len(others))]
        scale = size.max() * rng.uniform(0.4, 1.0) / max(float(np.ptp(added, axis=0).max()), 1e-6)
        middle = corner + size * rng.uniform(0.1, 0.9, 2)
        moved = (added - (added.min(axis=0) + added.max(axis=0)) / 2) * scale + middle
        glyphs[index] = _stroke_glyph((*strokes, moved), rng)
    return glyphs


def fingerprints(recipe: Recipe, *, folder: Path) -> dict[str, str]:
    """Fingerprint of each data set that the recipe names.

    Raises:
        DataError: as `load_source`.
    """
    sets = [load_source(source, folder=folder, seed=recipe.drawn_from) for source in recipe.data]
    return {dataset.name: dataset.fingerprint for dataset in sets}


def _load_ink(source: str, *, folder: Path, seed: int) -> Dataset:
    """Recorded strokes of `ink/NAME.jsonl.gz` as glyphs; labelled if all of them are digits.

    Raises:
        DataError: as `_recorded`.
    """
    rng = np.random.default_rng(seed)
    recorded = _recorded(source, folder=folder)
    glyphs = np.stack([_stroke_glyph(strokes, rng) for _label, strokes in recorded])
    labels = [label for label, _strokes in recorded]
    known_digits = all(label.isdecimal() for label in labels)
    return Dataset(source, glyphs, np.array(labels, np.int64) if known_digits else None)


def _recorded(source: str, *, folder: Path) -> list[tuple[str, Strokes]]:
    """Label and strokes of each recording of `ink/NAME.jsonl.gz`, without look-alikes of digits.

    Raises:
        DataError: no such file; or BadDataFile, its child: a line is not a recording.
    """
    file = folder / "ink" / f"{source.removeprefix(INK)}.jsonl.gz"
    if not file.is_file():
        known = ", ".join(sorted(path.name.removesuffix(".jsonl.gz") for path in file.parent.glob("*.jsonl.gz")))
        raise DataError(f"no pen strokes named {source!r}: {file.parent} has: {known or 'nothing'}")
    return [(label, strokes) for label, _writer, strokes in read_strokes(file) if label not in LOOK_ALIKES]


def _stroke_glyph(strokes: Strokes, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """Strokes drawn as a glyph, with a pen of random width."""
    pen = float(np.exp(rng.uniform(*np.log(_PEN))))
    side = max(float(np.ptp(np.concatenate(strokes), axis=0).max()), 1e-6)
    return glyph(
        Ink(tuple(stroke / side for stroke in strokes), tuple(np.full(len(stroke), pen) for stroke in strokes))
    )


def _kinds(name: str, dataset: Dataset, *, folder: Path) -> Shaped[np.ndarray, " n"]:
    """Label of each sample, or the name of each non-digit."""
    return dataset.labels if dataset.labels is not None else load_names(name, folder=folder, skipped=dataset.skipped)


def _ranks(kinds: Shaped[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Position of each sample among those of its own kind, from 0."""
    ranks = np.zeros(len(kinds), np.int64)
    for kind in np.unique(kinds):
        members = kinds == kind
        ranks[members] = np.arange(int(members.sum()))
    return ranks


def _count(source: str, prefix: str, *, example: int = 40_000) -> int:
    """The number after a prefix, as in `synth:40000`."""
    count = source.removeprefix(prefix)
    if not count.isdecimal() or not int(count):
        raise DataError(f"{source}: {count!r} is not a number; write it as {prefix}{example}")
    return int(count)
