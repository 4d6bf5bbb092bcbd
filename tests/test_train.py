"""Training: bit-equal repeats and resumes, fine-tuning, early stopping, outliers, search."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handigit.data import Dataset, split
from handigit.errors import DataError, RecipeError, RunError
from handigit.recipe import Recipe
from handigit.train.device import available_devices, pick_device
from handigit.train.digit_data import DigitData, load_digit_data
from handigit.train.digit_task import DigitTask, Samples, label_targets, predict_logits, score_digits
from handigit.train.optimizer import make_average, make_optimizer, make_schedule, one_cycle
from handigit.train.run import Run
from handigit.train.trainer import Callbacks, Trainer, fit, start_model

CPU = torch.device("cpu")
SMALL = Recipe(model="lenet5", epochs=3, batch_size=32, validation=40, learning_rate=3e-3, ema=0.9, shift_px=1.0)


def quadrants(count: int = 400, seed: int = 0) -> Dataset:
    """Ten easy classes: a bright block in one of ten positions, in noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    glyphs = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for glyph, label in zip(glyphs, labels, strict=True):
        row, column = divmod(int(label), 5)
        glyph[row * 12 + 2 : row * 12 + 10, column * 5 + 2 : column * 5 + 6] = 255
    return Dataset("quadrants", glyphs, labels.astype(np.int64))


def train_small(
    path: Path,
    recipe: Recipe = SMALL,
    *,
    callbacks: Callbacks | None = None,
    resume: bool = False,
    outliers: Dataset | None = None,
    threads: int | None = None,
) -> Run:
    parts = split(quadrants(), validation=recipe.validation, seed=recipe.seed)
    run = Run.resume(path, recipe) if resume else Run.create(path, recipe, {"data": {}})
    data = DigitData(parts.train, parts.validation, {}, outliers)
    fit(run, DigitTask.of(recipe, data, device=CPU), start_model(recipe), callbacks=callbacks, threads=threads)
    return run


def same_weights(a: Run, b: Run) -> bool:
    first, second = a.weights(), b.weights()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("runs") / "finished")


def test_training_learns_and_records_its_metrics(finished: Run) -> None:
    rows = finished.metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["validation_accuracy"] > 0.9
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert finished.report["validation_accuracy"] == rows[-1]["validation_accuracy"]
    assert {path.name for path in finished.path.iterdir()} == {
        "recipe.toml", "run.json", "metrics.jsonl", "report.json", "weights.safetensors",
    }  # fmt: skip


def test_blended_weights_lie_between_start_and_end(tmp_path) -> None:
    recipe = SMALL.replace(model="fast", blend=0.25, epochs=1, ema=0.0)
    start, run = start_model(recipe).state_dict(), train_small(tmp_path / "blended", recipe)
    whole = train_small(tmp_path / "whole", recipe.replace(blend=1.0))
    for name, weights in run.weights().items():
        if weights.is_floating_point():
            assert torch.allclose(weights, torch.lerp(start[name], whole.weights()[name], 0.25), atol=1e-6)
        else:
            assert torch.equal(weights, whole.weights()[name])  # batch norm's count of batches


def test_same_recipe_gives_bit_equal_weights(finished: Run, tmp_path) -> None:
    assert same_weights(finished, train_small(tmp_path / "again"))


def test_another_seed_gives_other_weights(finished: Run, tmp_path) -> None:
    assert not same_weights(finished, train_small(tmp_path / "other", SMALL.replace(seed=1)))


class PowerCutError(Exception):
    """The process ends at an arbitrary step."""


@pytest.mark.parametrize("dies_at_step", [1, 11, 12, 25, 33])
def test_interrupted_run_resumes_bit_equal(finished: Run, tmp_path, dies_at_step: int) -> None:
    def cut(done: int, _total: int) -> None:
        if done == dies_at_step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_small(tmp_path / "cut", callbacks=Callbacks(step=cut))
    assert not Run.open(tmp_path / "cut").finished
    resumed = train_small(tmp_path / "cut", resume=True)
    assert same_weights(finished, resumed)
    without_time = [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.metrics()]
    assert without_time == [{k: v for k, v in row.items() if k != "seconds"} for row in finished.metrics()]


@pytest.mark.slow
def test_run_killed_repeatedly_still_ends_bit_equal(finished: Run, tmp_path) -> None:
    path = tmp_path / "killed"
    first = f"import conftest; from test_train import *; train_small(Path({str(path)!r}))"
    again = f"import conftest; from test_train import *; train_small(Path({str(path)!r}), resume=True)"
    for attempt, seconds in enumerate((0.0, 0.15, 0.3, 0.5)):
        command = [sys.executable, "-c", again if attempt else first]
        process = subprocess.Popen(command, cwd=Path(__file__).parent)
        marker = path / ("metrics.jsonl" if attempt else "recipe.toml")
        deadline = time.monotonic() + 60
        while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(seconds)  # an arbitrary moment is the point of the test
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert same_weights(finished, train_small(path, resume=True))


def test_resuming_a_finished_run_changes_nothing(finished: Run) -> None:
    before = (finished.path / "weights.safetensors").read_bytes()
    train_small(finished.path, resume=True)
    assert (finished.path / "weights.safetensors").read_bytes() == before


def test_missing_run_cannot_be_resumed(tmp_path) -> None:
    with pytest.raises(RunError, match=r"no run in .*nowhere: it has no recipe.toml"):
        Run.resume(tmp_path / "nowhere", SMALL)


def test_run_is_not_resumed_with_another_recipe(finished: Run) -> None:
    with pytest.raises(RunError, match=r"was started with epochs = 3, not 4; resume it with the same recipe"):
        Run.resume(finished.path, SMALL.replace(epochs=4))


def test_run_is_not_overwritten(finished: Run) -> None:
    with pytest.raises(RunError, match="already contains a run; continue it with --resume"):
        Run.create(finished.path, SMALL, {})


def test_errors_name_damaged_files(tmp_path) -> None:
    run = Run.create(tmp_path / "run", SMALL, {})
    with pytest.raises(RunError, match="is not finished; finish it with --resume"):
        run.weights()
    with pytest.raises(RunError, match="has no checkpoint yet"):
        run.latest_weights()
    (run.path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match=r"checkpoint.safetensors is damaged"):
        run.load_checkpoint()
    (run.path / "weights.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(RunError, match=r"weights.safetensors is damaged"):
        run.weights()


def test_fine_tuning_starts_from_the_other_runs_weights(finished: Run) -> None:
    started = start_model(SMALL, from_run=finished).state_dict()
    assert all(torch.equal(started[name], tensor) for name, tensor in finished.weights().items())
    with pytest.raises(RunError, match="has a lenet5, but the recipe trains a cnn; give --model lenet5"):
        start_model(SMALL.replace(model="cnn"), from_run=finished)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_fine_tuning_can_start_from_a_checkpoint(tmp_path, ema: float) -> None:
    recipe = SMALL.replace(ema=ema)

    def cut(done: int, _total: int) -> None:
        if done == 13:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_small(tmp_path / "cut", recipe, callbacks=Callbacks(step=cut))
    start_model(recipe, from_run=Run.open(tmp_path / "cut"))  # strict loading: every weight is there


def test_early_stopping_keeps_the_best_epoch(tmp_path) -> None:
    recipe = SMALL.replace(epochs=40, patience=2, learning_rate=2e-3, ema=0.0, schedule="constant")
    run = train_small(tmp_path / "patient", recipe)
    accuracies = [row["validation_accuracy"] for row in run.metrics()]
    assert len(accuracies) < 40
    assert run.report["kept_epoch"] == int(np.argmax(accuracies)) + 1
    model = start_model(recipe, from_run=run)
    held_out = split(quadrants(), validation=40, seed=0).validation
    assert score_digits(model, Samples.of(held_out, CPU))[1] == pytest.approx(max(accuracies))


def test_unlabelled_data_is_refused() -> None:
    unlabelled = Dataset("bare", np.zeros((5, 28, 28), np.uint8), None)
    with pytest.raises(DataError, match="bare: 5 samples without labels; training needs labelled digits"):
        DigitTask.of(SMALL, DigitData(unlabelled, unlabelled, {}), device=CPU)


def test_every_architecture_trains_in_bfloat16(tmp_path) -> None:
    for model in ("dense", "mobilenet", "digitnet"):
        recipe = SMALL.replace(model=model, epochs=1, precision="bfloat16", ema=0.0)
        assert train_small(tmp_path / model, recipe).finished


@given(st.integers(2, 500), st.floats(0.0, 1.0))
def test_one_cycle_rises_to_one_peak_and_falls(total: int, warmup: float) -> None:
    rates = [one_cycle(step, total, warmup) for step in range(total)]
    peak = int(np.argmax(rates))
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_schedule_continues_at_any_step() -> None:
    recipe = SMALL.replace(warmup=0.3)
    model = start_model(recipe)
    for done in (0, 7, 19):
        schedule = make_schedule(make_optimizer(model, recipe), recipe, total=20, done=done)
        assert schedule.get_last_lr()[0] == pytest.approx(recipe.learning_rate * one_cycle(done, 20, 0.3))


def test_average_of_constant_weights_equals_them() -> None:
    model = start_model(Recipe(model="mobilenet"))
    average = make_average(model, 0.9)
    for _ in range(5):
        average.update_parameters(model)
    pairs = zip(average.module.parameters(), model.parameters(), strict=True)
    assert all(torch.allclose(a, b) for a, b in pairs)


def test_averaged_model_has_batch_norm_statistics_of_its_own() -> None:
    recipe = SMALL.replace(model="mobilenet", ema=0.9)
    trainer = Trainer(DigitTask(recipe, Samples.of(quadrants(), CPU)), start_model(recipe))
    trainer.train_epoch(0, Callbacks())
    model = trainer.current_model(0)
    layer = next(part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d))
    trained = next(part for part in trainer.model.modules() if isinstance(part, torch.nn.BatchNorm2d))
    assert layer.momentum == 0.1
    assert layer.running_mean is not None
    assert math.isfinite(layer.running_mean.sum().item())
    assert trained.running_mean is not None
    assert not torch.equal(layer.running_mean, trained.running_mean)


def test_validation_split_must_leave_training_samples(tmp_path) -> None:
    np.savez(tmp_path / "tiny.npz", images=np.eye(28, dtype=np.uint8)[None].repeat(4, 0) * 255, labels=np.arange(4))
    recipe = SMALL.replace(data=(str(tmp_path / "tiny.npz"),), validation=4)
    with pytest.raises(DataError, match="a validation split of 4 leaves no training samples out of 4"):
        load_digit_data(recipe, folder=tmp_path, device=CPU)


def test_devices_are_the_ones_of_this_machine() -> None:
    assert pick_device("cpu") == CPU
    assert str(pick_device("auto")) == available_devices()[0]


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "CPU", ""])
def test_missing_device_is_named_with_the_available_ones(name: str) -> None:
    with pytest.raises(RunError, match=rf"no device '{name}' on this machine; there are: auto, .*cpu"):
        pick_device(name)


@pytest.mark.slow
def test_search_continues_and_writes_its_best_recipe(tmp_path) -> None:
    from handigit.recipe import load_recipe
    from handigit.train.tune import tune

    parts = split(quadrants(200), validation=40, seed=0)
    data = DigitData(parts.train, parts.validation, {"data": {}})
    recipe = SMALL.replace(epochs=1, model="dense")
    first = tune(recipe, data, tmp_path / "search", trials=2, device=CPU)
    second = tune(recipe, data, tmp_path / "search", trials=4, device=CPU)
    assert (first.trials, second.trials) == (2, 4)
    assert len(list((tmp_path / "search").glob("trial-*"))) == 4
    assert load_recipe(str(second.path / "best.toml")) == second.recipe
    best = max(Run.open(p).report["validation_accuracy"] for p in (tmp_path / "search").glob("trial-*"))
    assert second.accuracy == best
    with pytest.raises(RunError, match="contains a search of another recipe"):
        tune(recipe.replace(seed=9), data, tmp_path / "search", trials=4, device=CPU)
    with pytest.raises(RecipeError, match="validation = 0 leaves nothing to compare trials on"):
        tune(recipe.replace(validation=0), data, tmp_path / "none", trials=1, device=CPU)


def test_training_digits_can_be_synthetic(tmp_path) -> None:
    data = load_digit_data(SMALL.replace(data=("synth:60",), validation=10), folder=tmp_path, device=CPU)
    assert (len(data.train), len(data.validation)) == (50, 10)
    assert list(data.metadata["data"]) == ["synth:60"]
    assert "50 training samples, 10 for validation" in str(data)


@pytest.mark.parametrize("source", ["synth:", "synth:0", "synth:many"])
def test_synthetic_source_needs_a_count(tmp_path, source: str) -> None:
    with pytest.raises(DataError, match=f"{source}: .* is not a number; write it as synth:40000"):
        load_digit_data(SMALL.replace(data=(source,)), folder=tmp_path, device=CPU)


def test_targets_are_smoothed_digits_or_uniform() -> None:
    targets = label_targets(torch.tensor([3, -1]), 0.2)
    assert torch.allclose(targets.sum(1), torch.ones(2))
    assert targets[0, 3] == pytest.approx(0.82)
    assert torch.allclose(targets[1], torch.full((10,), 0.1))


def test_trained_outliers_get_low_confidence(tmp_path) -> None:
    stripes = np.zeros((120, 28, 28), np.uint8)
    stripes[:, ::4] = np.random.default_rng(0).integers(120, 255, (120, 1, 1))
    recipe = SMALL.replace(epochs=6, ema=0.0)
    with_outliers = train_small(tmp_path / "with", recipe, outliers=Dataset("stripes", stripes, None))
    without = train_small(tmp_path / "without", recipe)
    samples = Samples(torch.from_numpy(stripes), torch.zeros(120, dtype=torch.int64))
    confidence, baseline = (
        predict_logits(start_model(recipe, from_run=run), samples).softmax(1).max(1).values.mean()
        for run in (with_outliers, without)
    )
    assert confidence < 0.3 < baseline
    assert with_outliers.report["validation_accuracy"] > 0.9


def test_outliers_can_be_synthetic(tmp_path) -> None:
    recipe = SMALL.replace(data=("synth:60",), outliers=("synth:30",), validation=10)
    data = load_digit_data(recipe, folder=tmp_path, device=CPU)
    assert data.outliers is not None
    assert len(data.outliers) == 30
    assert list(data.metadata["outliers"]) == ["outliers synth:30"]
