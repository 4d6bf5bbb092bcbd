"""What several verbs need put together: the data set, the model, the run that were named on the command line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Int64

from handigit.cli.terminal import say
from handigit.errors import DataError, HandigitError, ModelError
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.card import Card
    from handigit.data import Dataset
    from handigit.evaluate.compare import RunSummary
    from handigit.images import Limits
    from handigit.read import Engine
    from handigit.train.digit_data import Prepared
    from handigit.train.run import Run

EMBEDDED = "embedded"
MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class NamedModel:
    """An ONNX file and, where it lies in a run's folder, the run that made it."""

    path: Path
    run: "Run | None"

    @property
    def folder(self) -> Path:
        """Where what belongs to it is written; nothing is ever written beside the embedded models."""
        return Path("out") if self.path == embedded_model() else self.path.parent


def embedded_model() -> Path:
    """The digit model inside the package."""
    from handigit.read.reader import EMBEDDED as FOLDER

    return FOLDER / "digit.onnx"


def find_model(name: str) -> NamedModel:
    """The model that a command line means by a file, a run's folder, or "embedded".

    Raises:
        ModelError: none of these.
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
    """A data set by name or path, read within the settings' limits.

    Raises:
        DataError: as `handigit.data.load`.
    """
    from handigit.data import load

    settings = Settings()
    return load(source, folder=settings.data, part=part, limits=limits_of(settings))


def limits_of(settings: Settings) -> "Limits":
    """The largest pictures that the settings allow to be decoded."""
    from handigit.images import Limits

    return Limits(**settings.limits)


def labels_of(dataset: "Dataset") -> Int64[np.ndarray, " n"]:
    """The labels of a data set that must have them.

    Raises:
        DataError: nobody said which digits they are.
    """
    if dataset.labels is None:
        raise DataError(f"{dataset.name} has no labels to score against; `handigit submit` answers such a table")
    return dataset.labels


def count_shared(card: "Card", dataset: "Dataset") -> int | None:
    """How many of these glyphs the model was trained on, pixel for pixel; None if its data is not at hand."""
    from handigit.data import overlap

    shared = 0
    try:
        for source in card.recipe.get("data", ["mnist"] if card.recipe else []):
            shared += overlap(load_data(source, "train"), dataset)
    except HandigitError:
        return None
    return shared if card.recipe else None


def card_facts(engine: "Engine", shared: int | None) -> dict[str, str]:
    """What a report says of the model."""
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


def limit_torch() -> None:
    """Hold PyTorch to HANDIGIT_THREADS."""
    import torch

    if threads := Settings().threads:
        torch.set_num_threads(threads)


def export_run(run: "Run", path: Path, prepared: "Prepared", *, name: str | None = None, int8: bool = False) -> None:
    """Write a run's ONNX file and say how it compares with PyTorch."""
    from handigit.train.export import export

    done = export(run, path, prepared, name=name, int8=int8)
    say(
        f"wrote {done.path}: {done.size_bytes / 1e6:.2f} MB, sha256 {done.digest[:16]}, answers equal to PyTorch's on "
        f"{done.glyphs_checked:,} glyphs, probabilities within {done.parity:.0e}"
        + (f"; eight bits then change {done.changed} of these answers" if int8 else "")
    )


def conclude_run(run: "Run", prepared: "Prepared") -> None:
    """What a finished run gets besides its weights: curves, and a model to read with."""
    from handigit.evaluate.plots import LIGHT, curves, png

    (run.path / "curves.png").write_bytes(png(curves(run.metrics(), LIGHT)))
    if len(prepared.validation):
        export_run(run, run.path / MODEL_FILE, prepared)
        say(f"score it with: handigit evaluate {run.path}")


def summarise_run(path: Path) -> "RunSummary":
    """A run as `handigit compare` shows it, with its test scores where `handigit evaluate` has left them."""
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
