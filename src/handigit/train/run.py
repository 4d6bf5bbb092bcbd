"""A training run on disk: a folder that keeps what was trained, on what, by which code, and how it went.

    recipe.toml               every field, so that a later change of a default does not touch this run
    run.json                  code version, fingerprints of the data, machine
    metrics.jsonl             one line an epoch
    checkpoint.safetensors    all that is needed to go on; written whole or not at all
    weights.safetensors       the trained weights, once the run has ended
    report.json, curves.png   the final report

It knows nothing of networks or optimisers: tensors go in and come out by name.
"""

import json
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from handigit.errors import RunError
from handigit.recipe import Recipe

Row = dict[str, float]


@dataclass(frozen=True)
class Run:
    """A run's folder and its recipe."""

    path: Path
    recipe: Recipe

    @classmethod
    def create(cls, path: Path, recipe: Recipe, facts: dict[str, Any]) -> "Run":
        """Start a run in a new folder.

        Raises:
            RunError: a run is there already.
        """
        if (path / "recipe.toml").exists():
            raise RunError(f"{path} already holds a run; go on with it by --resume, or name another folder by --run")
        path.mkdir(parents=True, exist_ok=True)
        write_whole(path / "run.json", json.dumps(facts, indent=2) + "\n")
        write_whole(path / "recipe.toml", recipe.to_toml())
        return cls(path, recipe)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """A run that exists.

        Raises:
            RunError: no run there.
            RecipeError: its recipe is not one of ours.
        """
        file = path / "recipe.toml"
        if not file.is_file():
            raise RunError(f"no run in {path}: it has no recipe.toml; check the folder, or train without --resume")
        return cls(path, Recipe.from_dict(tomllib.loads(file.read_text(encoding="utf-8")), source=str(file)))

    @classmethod
    def resume(cls, path: Path, recipe: Recipe) -> "Run":
        """A run that exists, to go on with by the same recipe.

        Raises:
            RunError: no run there, or it was started by another recipe.
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
    def facts(self) -> dict[str, Any]:
        """What `run.json` says: code version, data fingerprints, machine."""
        return dict(json.loads((self.path / "run.json").read_text(encoding="utf-8")))

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return (self.path / "weights.safetensors").is_file()

    @property
    def report(self) -> dict[str, Any]:
        """The final report; empty while the run goes on."""
        file = self.path / "report.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    def metrics(self) -> list[Row]:
        """One row an epoch, as far as the run has come."""
        file = self.path / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []

    def save_checkpoint(self, tensors: dict[str, Tensor], rows: list[Row]) -> None:
        """Keep a state to go on from, together with the metrics up to it.

        The rows travel inside the checkpoint, so that both change in the one rename: whenever the process dies, the
        folder holds the state and the metrics of the same epoch.
        """
        part = self.path / "checkpoint.part"
        save_file({name: t.contiguous() for name, t in tensors.items()}, part, metadata={"rows": json.dumps(rows)})
        put_in_place(part, self.path / "checkpoint.safetensors")
        self.write_metrics(rows)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], list[Row]] | None:
        """The last state and its metrics; None if the run died before its first.

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
        except (SafetensorError, KeyError) as problem:
            raise RunError(f"{file} is damaged ({problem}); delete the folder and train anew") from None

    def write_metrics(self, rows: list[Row]) -> None:
        """Write `metrics.jsonl` anew; rows of an epoch that is done again are not kept twice."""
        write_whole(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def finish(self, weights: dict[str, Tensor], report: dict[str, Any]) -> None:
        """Keep the trained weights and the final report; the checkpoint has done its work."""
        write_whole(self.path / "report.json", json.dumps(report, indent=2) + "\n")
        part = self.path / "weights.part"
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part)
        put_in_place(part, self.path / "weights.safetensors")
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def latest_weights(self) -> dict[str, Tensor]:
        """The trained weights; of a run that has not ended, those that its last checkpoint would keep.

        Raises:
            RunError: it has no checkpoint yet, or the file is damaged.
        """
        if self.finished:
            return self.weights()
        stored = self.load_checkpoint()
        if stored is None:
            raise RunError(f"the run in {self.path} has not come to its first checkpoint; let it train on")
        tensors = stored[0]
        kept = "average." if any(name.startswith("average.") for name in tensors) else "model."
        return {name.removeprefix(kept): tensor for name, tensor in tensors.items() if name.startswith(kept)}

    def weights(self) -> dict[str, Tensor]:
        """The trained weights.

        Raises:
            RunError: the run has not ended, or the file is damaged.
        """
        file = self.path / "weights.safetensors"
        if not file.is_file():
            raise RunError(f"the run in {self.path} has not ended; finish it with --resume")
        try:
            return load_file(file)
        except SafetensorError as problem:
            raise RunError(f"{file} is damaged ({problem}); train the run anew") from None


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    put_in_place(part, path)


def put_in_place(part: Path, path: Path) -> None:
    """Rename once the bytes are on the disk: a crash of the machine leaves one whole file too."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)


def describe_machine(device: torch.device) -> dict[str, Any]:
    """What bit-equal results depend on besides recipe and data."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": str(device)}
