"""Hyper-parameter search with Optuna: many short runs of one recipe, compared by validation accuracy, resumable.

Each trial is a run in its own folder. The study is a journal file beside them, or a database that several machines
share.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from handigit.errors import RecipeError, RunError
from handigit.recipe import Recipe
from handigit.train.digit_data import DigitData
from handigit.train.digit_task import DigitTask
from handigit.train.run import Row, Run, write_text
from handigit.train.trainer import Callbacks, fit, start_model

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

OnEpoch = Callable[[int, Row], None]
"""Receives the trial's number and the epoch's metrics."""


@dataclass(frozen=True)
class SearchResult:
    """The best trial so far, and its recipe."""

    trials: int
    pruned: int
    accuracy: float
    recipe: Recipe
    path: Path


def tune(
    recipe: Recipe,
    data: DigitData,
    path: Path,
    *,
    trials: int,
    device: torch.device,
    storage: str | None = None,
    on_epoch: OnEpoch = lambda _trial, _row: None,
) -> SearchResult:
    """Search until `trials` are finished, including those of earlier calls and of other machines.

    `storage` is a database URL (SQLAlchemy), such as postgresql://user@host/studies. Every machine that searches the
    same recipe on the same data with that URL joins one study. Writes the best recipe to `best.toml` in `path`;
    `handigit train path/best.toml` trains it.

    Raises:
        RecipeError: no validation split to compare trials on.
        RunError: the folder contains a search of another recipe, the database cannot be used, or no trial finished.
    """
    if not recipe.validation:
        raise RecipeError("recipe: validation = 0 leaves nothing to compare trials on; give --validation 5000")
    study = _open_study(recipe, data, path, storage)
    limit = MaxTrialsCallback(trials, states=FINISHED)

    def objective(trial: Trial) -> float:
        folder = path / f"trial-{trial.number:03d}"
        shutil.rmtree(folder, ignore_errors=True)  # from a search that was killed before it recorded the trial
        run = Run.create(folder, suggest(trial, recipe), data.metadata)
        return _run_trial(trial, run, data, device, on_epoch)

    missing = trials - len(study.get_trials(deepcopy=False, states=FINISHED))
    if missing > 0:
        study.optimize(objective, n_trials=missing, callbacks=[limit])
    return _summarise(study, recipe, path)


def suggest(trial: Trial, recipe: Recipe) -> Recipe:
    """The recipe with this trial's learning rate, batch size, label smoothing and augmentation."""
    return recipe.replace(
        learning_rate=trial.suggest_float("learning_rate", 1e-4, 2e-2, log=True),
        batch_size=trial.suggest_categorical("batch_size", [64, 128, 256]),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.1),
        rotation_degrees=trial.suggest_float("rotation_degrees", 0.0, 20.0),
        scale=trial.suggest_float("scale", 0.0, 0.25),
        shift_px=trial.suggest_float("shift_px", 0.0, 3.0),
        elastic_px=trial.suggest_float("elastic_px", 0.0, 1.5),
    )


def _open_study(recipe: Recipe, data: DigitData, path: Path, storage: str | None) -> optuna.Study:
    """The study in this folder or database, new or continued."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.mkdir(parents=True, exist_ok=True)
    base = path / "base.toml"
    if base.is_file() and base.read_text(encoding="utf-8") != recipe.to_toml():
        raise RunError(f"{path} contains a search of another recipe; give another folder with --run")
    write_text(base, recipe.to_toml())
    sampler = optuna.samplers.TPESampler(seed=recipe.seed)
    backend: BaseStorage = JournalStorage(JournalFileBackend(str(path / "journal.log")))
    if storage is not None:
        # Machines that start together must not all try the same point.
        sampler = optuna.samplers.TPESampler(constant_liar=True)
        backend = _open_database(storage)
    return optuna.create_study(
        study_name=_study_name(recipe, data) if storage else "tune",
        storage=backend,
        direction="maximize",
        sampler=sampler,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        load_if_exists=True,
    )


def _open_database(url: str) -> RDBStorage:
    """A shared study's database."""
    try:
        return RDBStorage(url)
    except (ImportError, ValueError, StorageInternalError, SQLAlchemyError) as problem:
        shown = url.split("@")[-1] if "@" in url else url  # without the password
        raise RunError(
            f"cannot open the study database {shown}: {problem}; give a URL such as sqlite:///study.db"
        ) from None


def _study_name(recipe: Recipe, data: DigitData) -> str:
    """The same for the same recipe on the same data, so that different searches in one database do not mix."""
    content = recipe.to_toml() + json.dumps(data.metadata.get("data", {}), sort_keys=True)
    return f"handigit-{recipe.model}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _run_trial(trial: Trial, run: Run, data: DigitData, device: torch.device, on_epoch: OnEpoch) -> float:
    """Validation accuracy of one run; pruned when it falls behind the median of the others."""

    def report(row: Row) -> None:
        on_epoch(trial.number, row)
        trial.report(row["validation_accuracy"], step=int(row["epoch"]))
        if row["epoch"] < run.recipe.epochs and trial.should_prune():
            raise optuna.TrialPruned

    task = DigitTask.of(run.recipe, data, device=device)
    fit(run, task, start_model(run.recipe), callbacks=Callbacks(epoch=report))
    return float(run.report["validation_accuracy"])


def _summarise(study: optuna.Study, recipe: Recipe, path: Path) -> SearchResult:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    pruned = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    if not complete:
        raise RunError(f"no trial in {path} finished; give more --trials")
    best = recipe.replace(**study.best_trial.params)
    write_text(path / "best.toml", best.to_toml())
    return SearchResult(len(complete) + pruned, pruned, study.best_value, best, path)
