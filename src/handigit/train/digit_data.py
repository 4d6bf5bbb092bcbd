"""Load what a digit recipe trains on: data sets, validation split, non-digits, and their fingerprints.

The test set is never opened here: only `handigit evaluate` does that, and it reports overlap with the training data.
"""

import logging
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from handigit.data import Dataset, concatenate, split
from handigit.errors import DataError
from handigit.recipe import Recipe
from handigit.train.digit_sources import load_outliers, load_source
from handigit.train.run import describe_machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DigitData:
    """Training and validation digits, non-digits, and the metadata that a run keeps about them."""

    train: Dataset
    validation: Dataset
    metadata: dict[str, Any]
    outliers: Dataset | None = None

    def __str__(self) -> str:
        counts = self.metadata["samples"]
        text = f"{counts['train']:,} training samples, {counts['validation']:,} for validation"
        if dropped := counts["duplicates_dropped_from_train"]:
            text += f"; {dropped} exact duplicates of validation samples dropped from training"
        if skipped := counts["unreadable_inputs_skipped"]:
            text += f"; {skipped} unreadable inputs skipped (`handigit data show` lists them)"
        return text


def load_digit_data(recipe: Recipe, *, folder: Path, device: torch.device) -> DigitData:
    """Load the recipe's data sets from `folder` and cut the validation split, without duplicates across the cut.

    Raises:
        DataError: a set is missing or damaged, or the validation split leaves nothing to train on.
    """
    sets = [load_source(source, folder=folder, seed=recipe.drawn_from) for source in recipe.data]
    everything = sets[0] if len(sets) == 1 else concatenate(sets, name="+".join(s.name for s in sets))
    if recipe.validation >= len(everything):
        raise DataError(
            f"{everything.name}: a validation split of {recipe.validation} leaves no training samples out of "
            f"{len(everything)}; give a smaller --validation"
        )
    parts = split(everything, validation=recipe.validation, seed=recipe.drawn_from)
    outliers = load_outliers(recipe, folder=folder)
    log.info("loaded %s", ", ".join(f"{s.name} ({len(s):,} samples)" for s in sets))
    metadata = {
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
    return DigitData(parts.train, parts.validation, metadata, outliers)


def code_version() -> str:
    """The package's version, with the commit in a source checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return version("handigit")
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version('handigit')}+{commit}" if commit else version("handigit")
