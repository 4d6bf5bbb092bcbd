"""From a recipe to the samples it learns from, and the facts that a run keeps about them.

The test set is not opened here: `handigit evaluate` alone does that, and reports whether it overlaps.
"""

import logging
import subprocess
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handigit.data import Dataset, concatenate, load, split
from handigit.errors import DataError
from handigit.recipe import Recipe
from handigit.synth import digits, nondigits
from handigit.train.run import describe_machine

log = logging.getLogger(__name__)
DRAWN = "synth:"


@dataclass(frozen=True)
class Prepared:
    """Samples to learn from, samples to choose by, what is no digit, and what a run says of them."""

    train: Dataset
    validation: Dataset
    facts: dict[str, Any]
    outliers: Dataset | None = None

    def __str__(self) -> str:
        counts = self.facts["samples"]
        text = f"{counts['train']:,} samples to learn from, {counts['validation']:,} to choose by"
        if dropped := counts["duplicates_dropped_from_train"]:
            text += f"; {dropped} exact duplicates of those taken out of training"
        if skipped := counts["unreadable_inputs_skipped"]:
            text += f"; {skipped} inputs skipped, which `handigit data show` names"
        return text


def prepare(recipe: Recipe, *, folder: Path, device: torch.device) -> Prepared:
    """Load the recipe's data from `folder`, cut the validation split, and take exact duplicates apart.

    Raises:
        DataError: a set that is missing or damaged, or a validation split larger than the data.
    """
    sets = [load_source(source, folder=folder, seed=recipe.drawn_from) for source in recipe.data]
    everything = sets[0] if len(sets) == 1 else concatenate(sets, name="+".join(s.name for s in sets))
    if recipe.validation >= len(everything):
        raise DataError(
            f"{everything.name}: a validation split of {recipe.validation} leaves nothing of {len(everything)} samples "
            "to learn from; give a smaller --validation"
        )
    parts = split(everything, validation=recipe.validation, seed=recipe.drawn_from)
    outliers = load_outliers(recipe, folder=folder)
    log.info("loaded %s", ", ".join(f"{s.name} ({len(s):,} samples)" for s in sets))
    facts = {
        "code_version": code_version(),
        "data": {s.name: s.fingerprint for s in sets},
        "outliers": {outliers.name: outliers.fingerprint} if outliers else {},
        "samples": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "duplicates_dropped_from_train": parts.dropped,
            "unreadable_inputs_skipped": sum(len(s.skipped) for s in sets),
        },
        "machine": describe_machine(device),
    }
    return Prepared(parts.train, parts.validation, facts, outliers)


def load_source(source: str, *, folder: Path, seed: int) -> Dataset:
    """A data set by name or path; `synth:40000` is that many digits drawn by `handigit.synth`.

    `omniglot:440` is the first 440 of a set: the rest stays unseen, to measure on.

    Raises:
        DataError: as `handigit.data.load`, or no number after `synth:`.
    """
    if not source.startswith(DRAWN):
        name, _, first = source.rpartition(":")
        if name and first.isdecimal():
            whole = load(name, folder=folder, part="train")
            return replace(whole.take(np.arange(min(int(first), len(whole)))), name=source)
        return load(source, folder=folder, part="train")
    drawn = digits(_count(source), seed=seed)
    return Dataset(source, drawn.glyphs, drawn.labels)


def fingerprints(recipe: Recipe, *, folder: Path) -> dict[str, str]:
    """The data sets that a recipe names, each with its fingerprint.

    Raises:
        DataError: as `load_source`.
    """
    sets = [load_source(source, folder=folder, seed=recipe.drawn_from) for source in recipe.data]
    return {one.name: one.fingerprint for one in sets}


def load_outliers(recipe: Recipe, *, folder: Path) -> Dataset | None:
    """What the recipe gives as no digit; labels that such a set may have are left aside.

    Raises:
        DataError: as `load_source`.
    """
    if not recipe.outliers:
        return None
    # Another seed than the digits', so that no writer draws both.
    seed = recipe.drawn_from + 1_000_000
    glyphs = [
        nondigits(_count(source), seed=seed).glyphs
        if source.startswith(DRAWN)
        else load_source(source, folder=folder, seed=seed).glyphs
        for source in recipe.outliers
    ]
    return Dataset("outliers " + "+".join(recipe.outliers), np.concatenate(glyphs), None)


def _count(source: str) -> int:
    """The number in `synth:40000`."""
    count = source.removeprefix(DRAWN)
    if not count.isdecimal() or not int(count):
        raise DataError(f"{source}: {count!r} is no number of glyphs to draw; write it as {DRAWN}40000")
    return int(count)


def code_version() -> str:
    """The package's version, with the commit where this is a source checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return version("handigit")
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version('handigit')}+{commit}" if commit else version("handigit")
