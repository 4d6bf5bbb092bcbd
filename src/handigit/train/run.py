"""A training run on disk: one folder with the recipe, the data's fingerprints, the code version and the results.

    recipe.toml               every field, so that a later change of a default does not affect this run
    run.json                  code version, fingerprints of the data, machine
    metrics.jsonl             one line per epoch
    checkpoint.safetensors    the training state to resume from
    weights.safetensors       the trained weights of a finished run
    report.json, curves.png   the final report

Every file is written completely or not at all.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from handigit.atomic import write_file
from handigit.errors import RunError
from handigit.recipe import Recipe, read_toml

Row = dict[str, float]
"""Metrics of one epoch, as in `metrics.jsonl`."""


@dataclass(frozen=True)
class Run:
    """A run's folder and its recipe."""

    path: Path
    recipe: Recipe

    @classmethod
    def create(cls, path: Path, recipe: Recipe, metadata: dict[str, Any]) -> "Run":
        """Start a run in a new folder; `metadata` goes into `run.json`.

        Raises:
            RunError: the folder already contains a run.
        """
        if (path / "recipe.toml").exists():
            raise RunError(f"{path} already contains a run; continue it with --resume, or choose another --run folder")
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "run.json", json.dumps(metadata, indent=2) + "\n")
        write_text(path / "recipe.toml", recipe.to_toml())
        return cls(path, recipe)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """An existing run.

        Raises:
            RunError: no run in this folder.
            RecipeError: its recipe is not valid.
        """
        file = path / "recipe.toml"
        if not file.is_file():
            raise RunError(f"no run in {path}: it has no recipe.toml; check the folder, or train without --resume")
        return cls(path, Recipe.from_dict(read_toml(file), source=str(file)))

    @classmethod
    def resume(cls, path: Path, recipe: Recipe) -> "Run":
        """An existing run, to be continued with the same recipe.

        Raises:
            RunError: no run in this folder, or its recipe differs.
        """
        run = cls.open(path)
        if run.recipe != recipe:
            names = [f.name for f in fields(recipe) if getattr(recipe, f.name) != getattr(run.recipe, f.name)]
            raise RunError(
                f"{path} was started with {names[0]} = {getattr(run.recipe, names[0])!r}, not "
                f"{getattr(recipe, names[0])!r}; resume it with the same recipe and flags, or give another --run"
            )
        return run

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def metadata(self) -> dict[str, Any]:
        """The content of `run.json`: code version, data fingerprints, machine.

        Raises:
            RunError: the file is damaged.
        """
        return _read_object(self.path / "run.json")

    @property
    def finished(self) -> bool:
        """Whether the run has its trained weights."""
        return (self.path / "weights.safetensors").is_file()

    @property
    def report(self) -> dict[str, Any]:
        """The final report; empty before the run is finished.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "report.json"
        return _read_object(file) if file.is_file() else {}

    def metrics(self) -> list[Row]:
        """One row per finished epoch.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return []
        try:
            return [dict(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        except (ValueError, TypeError) as problem:
            raise _damaged(file, problem) from None

    def save_checkpoint(self, tensors: dict[str, Tensor], rows: list[Row]) -> None:
        """Save the training state and the metrics so far.

        The rows are stored inside the checkpoint, so one rename replaces both: state and metrics always belong to the
        same epoch, even if the process dies here.
        """
        _write_tensors(self.path / "checkpoint.safetensors", tensors, metadata={"rows": json.dumps(rows)})
        self.write_metrics(rows)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], list[Row]] | None:
        """The last training state and its metrics; None before the first checkpoint.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "checkpoint.safetensors"
        if not file.is_file():
            return None
        try:
            with safe_open(file, framework="pt") as stored:
                rows: list[Row] = json.loads(stored.metadata()["rows"])
                return {name: stored.get_tensor(name) for name in stored.keys()}, rows  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as problem:
            raise _damaged(file, problem) from None

    def write_metrics(self, rows: list[Row]) -> None:
        """Replace `metrics.jsonl`, so that a repeated epoch is listed once."""
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def finish(self, weights: dict[str, Tensor], report: dict[str, Any]) -> None:
        """Save the trained weights and the final report, and delete the checkpoint."""
        write_text(self.path / "report.json", json.dumps(report, indent=2) + "\n")
        _write_tensors(self.path / "weights.safetensors", weights)
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def latest_weights(self) -> dict[str, Tensor]:
        """The trained weights, or those of the last checkpoint if the run is not finished.

        Raises:
            RunError: no checkpoint yet, or a damaged file.
        """
        if self.finished:
            return self.weights()
        stored = self.load_checkpoint()
        if stored is None:
            raise RunError(f"the run in {self.path} has no checkpoint yet; train at least one epoch")
        tensors = stored[0]
        averaged = any(name.startswith("average.") for name in tensors)
        prefix = "average.module." if averaged else "model."
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    def weights(self) -> dict[str, Tensor]:
        """The trained weights.

        Raises:
            RunError: the run is not finished, or the file is damaged.
        """
        file = self.path / "weights.safetensors"
        if not file.is_file():
            raise RunError(f"the run in {self.path} is not finished; finish it with --resume")
        try:
            return load_file(file)
        except SafetensorError as problem:
            raise _damaged(file, problem) from None


def _read_object(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as problem:
        raise _damaged(file, problem) from None


def _damaged(file: Path, problem: Exception) -> RunError:
    return RunError(f"{file} is damaged ({problem}); delete the folder and train again")


def write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all."""
    with write_file(path, error=RunError, durable=True) as file:
        file.write(text.encode())


def _write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    with write_file(path, error=RunError, durable=True) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What bit-equal results depend on besides recipe and data."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": str(device)}
