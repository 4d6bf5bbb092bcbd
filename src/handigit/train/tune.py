"""Hyper-parameter search with Optuna: many short runs of one recipe, chosen by validation accuracy, resumable.

Each trial is a run in a folder of its own; the study's journal beside them lets a stopped search go on.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from handigit.errors import RecipeError, RunError
from handigit.recipe import Recipe
from handigit.train.digit_data import Prepared
from handigit.train.loop import Watch, fit, start_model
from handigit.train.run import Row, Run, write_whole


@dataclass(frozen=True)
class Tuned:
    """The best trial so far, and the recipe that made it."""

    trials: int
    pruned: int
    accuracy: float
    recipe: Recipe
    path: Path


def tune(
    recipe: Recipe,
    prepared: Prepared,
    path: Path,
    *,
    trials: int,
    device: torch.device,
    watch: Callable[[int, Row], None] = lambda _trial, _row: None,
) -> Tuned:
    """Search until `trials` are done, counting those of earlier calls in the same folder.

    The best recipe is written to `best.toml` there: `handigit train path/best.toml` trains it.

    Raises:
        RecipeError: no validation split to choose by.
        RunError: the folder holds a search of another recipe, or no trial came to its end.
    """
    if not recipe.validation:
        raise RecipeError("recipe: validation = 0 leaves nothing to choose by; give --validation 5000")
    study = _open_study(recipe, path)
    done = [t for t in study.get_trials(deepcopy=False) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    study.optimize(
        lambda trial: _run_trial(trial, recipe, prepared, path, device, watch), n_trials=max(0, trials - len(done))
    )
    return _summary(study, recipe, path)


def suggest(trial: Trial, recipe: Recipe) -> Recipe:
    """The recipe with what the search varies: step size, batch, smoothing, and how far glyphs are bent."""
    return recipe.replace(
        learning_rate=trial.suggest_float("learning_rate", 1e-4, 2e-2, log=True),
        batch_size=trial.suggest_categorical("batch_size", [64, 128, 256]),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.1),
        rotation_degrees=trial.suggest_float("rotation_degrees", 0.0, 20.0),
        scale=trial.suggest_float("scale", 0.0, 0.25),
        shift_px=trial.suggest_float("shift_px", 0.0, 3.0),
        elastic_px=trial.suggest_float("elastic_px", 0.0, 1.5),
    )


def _open_study(recipe: Recipe, path: Path) -> Any:
    """The study in this folder, new or taken up again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.mkdir(parents=True, exist_ok=True)
    base = path / "base.toml"
    if base.is_file() and base.read_text(encoding="utf-8") != recipe.to_toml():
        raise RunError(f"{path} holds a search of another recipe; name another folder by --run")
    write_whole(base, recipe.to_toml())
    return optuna.create_study(
        study_name="tune",
        storage=JournalStorage(JournalFileBackend(str(path / "journal.log"))),
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=recipe.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        load_if_exists=True,
    )


def _run_trial(
    trial: Trial,
    recipe: Recipe,
    prepared: Prepared,
    path: Path,
    device: torch.device,
    watch: Callable[[int, Row], None],
) -> float:
    """One run; stopped early where it falls behind the median of the others."""
    folder = path / f"trial-{trial.number:03d}"
    shutil.rmtree(folder, ignore_errors=True)  # left by a search that was killed before it noted the trial
    run = Run.create(folder, suggest(trial, recipe), prepared.facts)

    def after_epoch(row: Row) -> None:
        watch(trial.number, row)
        trial.report(row["validation_accuracy"], step=int(row["epoch"]))
        if row["epoch"] < recipe.epochs and trial.should_prune():
            raise optuna.TrialPruned

    start = start_model(run.recipe)
    fit(run, prepared, device=device, start=start, watch=Watch(epoch=after_epoch))
    return float(run.report["validation_accuracy"])


def _summary(study: Any, recipe: Recipe, path: Path) -> Tuned:
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    pruned = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    if not ended:
        raise RunError(f"no trial in {path} came to its end; give more --trials")
    best = study.best_trial
    chosen = recipe.replace(**best.params)
    write_whole(path / "best.toml", chosen.to_toml())
    return Tuned(len(ended) + pruned, pruned, best.value, chosen, path)
