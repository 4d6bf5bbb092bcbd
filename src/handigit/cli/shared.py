"""Data sets, models and runs by the names given on the command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Int64

from handigit.errors import DataError, HandigitError, ModelError
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.card import Card
    from handigit.data import Dataset
    from handigit.evaluate.compare import RunSummary
    from handigit.images import Limits
    from handigit.read import Engine
    from handigit.train.run import Run

EMBEDDED = "embedded"
MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class NamedModel:
    """An ONNX file and, if it is in a run's folder, that run."""

    path: Path
    run: "Run | None"

    @property
    def folder(self) -> Path:
        """Folder for its reports; nothing is written beside the embedded models."""
        return Path("out") if self.path == embedded_model() else self.path.parent


def embedded_model() -> Path:
    """The digit model inside the package."""
    from handigit.read.engine import EMBEDDED as FOLDER

    return FOLDER / "digit.onnx"


def find_model(name: str) -> NamedModel:
    """A model by file, run folder, or "embedded".

    Raises:
        ModelError: there is no such model.
    """
    if name == EMBEDDED:
        return NamedModel(embedded_model(), None)
    path = Path(name)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"no model at {name}: give an ONNX file, the folder of a finished run, or {EMBEDDED!r}")
    if not (file.parent / "recipe.toml").is_file():
        return NamedModel(file, None)
    from handigit.train.run import Run

    return NamedModel(file, Run.open(file.parent))


def load_data(source: str, part: Literal["train", "test"]) -> "Dataset":
    """A data set by name or path, within the limits of the settings.

    Raises:
        DataError: as `handigit.data.load`.
    """
    from handigit.data import load

    settings = Settings()
    return load(source, folder=settings.data, part=part, limits=limits_of(settings))


def limits_of(settings: Settings) -> "Limits":
    """The decoding limits of the settings."""
    from handigit.images import Limits

    return Limits(**settings.limits)


def labels_of(dataset: "Dataset") -> Int64[np.ndarray, " n"]:
    """The labels of a data set that needs them.

    Raises:
        DataError: the data set has no labels.
    """
    if dataset.labels is None:
        raise DataError(f"{dataset.name} has no labels to score against; `handigit submit` answers such a table")
    return dataset.labels


def count_shared(card: "Card", dataset: "Dataset") -> int | None:
    """Number of these glyphs that are in the model's training data, pixel for pixel; None if that data is missing."""
    from handigit.data import overlap

    shared = 0
    try:
        for source in card.recipe.get("data", ["mnist"] if card.recipe else []):
            shared += overlap(load_data(source, "train"), dataset)
    except HandigitError:
        return None
    return shared if card.recipe else None


def card_facts(engine: "Engine", shared: int | None) -> dict[str, str]:
    """Facts about the model for a report."""
    card = engine.card
    facts = {
        "architecture": card.architecture,
        "parameters": f"{card.parameters:,}" if card.parameters else "unknown",
        "sha256 of the file": engine.digest,
        "temperature": f"{card.temperature:.3f}",
        "trained on": ", ".join(f"{name} ({digest[:12]})" for name, digest in card.data.items()) or "unknown",
        "glyphs shared with its training data": "unknown" if shared is None else str(shared),
        "licence": card.licence,
    }
    return facts | {f"recipe: {name}": str(value) for name, value in card.recipe.items()}


def summarise_run(path: Path) -> "RunSummary":
    """A run for `handigit compare`, with its test scores if `handigit evaluate` has written them."""
    from handigit.evaluate.compare import RunSummary
    from handigit.models import describe
    from handigit.train.run import Run

    run = Run.open(path)
    scored = path / "evaluation" / "scores.json"
    return RunSummary(
        name=run.name,
        recipe=run.recipe.differences(),
        metrics=tuple(run.metrics()),
        scores=json.loads(scored.read_text(encoding="utf-8"))["scores"] if scored.is_file() else None,
        parameters=describe(run.recipe.model).parameters,
    )
