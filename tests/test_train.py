"""Training: bit-equal repeats, resuming after a kill, fine-tuning, early stopping, search."""

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
from handigit.train.batches import Samples, targets
from handigit.train.digit_data import Prepared, prepare
from handigit.train.loop import Watch, evaluate_loss, fit, pick_device, predict_logits, start_model
from handigit.train.optimizer import Average, estimate_batch_norm, one_cycle
from handigit.train.run import Run

CPU = torch.device("cpu")
SMALL = Recipe(model="lenet5", epochs=3, batch_size=32, validation=40, learning_rate=3e-3, ema=0.9, shift_px=1.0)


def quadrants(count: int = 400, seed: int = 0) -> Dataset:
    """Ten easy classes: a bright block at one of ten places, in noise."""
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
    watch: Watch | None = None,
    resume: bool = False,
    outliers: Dataset | None = None,
) -> Run:
    parts = split(quadrants(), validation=recipe.validation, seed=recipe.seed)
    run = Run.resume(path, recipe) if resume else Run.create(path, recipe, {"data": {}})
    prepared = Prepared(parts.train, parts.validation, {}, outliers)
    fit(run, prepared, device=CPU, start=start_model(recipe), watch=watch or Watch())
    return run


def same_weights(a: Run, b: Run) -> bool:
    first, second = a.weights(), b.weights()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("runs") / "finished")


def test_it_learns_and_the_folder_tells_how(finished: Run) -> None:
    rows = finished.metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["validation_accuracy"] > 0.9
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert finished.report["validation_accuracy"] == rows[-1]["validation_accuracy"]
    assert {path.name for path in finished.path.iterdir()} == {
        "recipe.toml", "run.json", "metrics.jsonl", "report.json", "weights.safetensors",
    }  # fmt: skip


def test_the_same_recipe_ends_in_bit_equal_weights(finished: Run, tmp_path) -> None:
    assert same_weights(finished, train_small(tmp_path / "again"))


def test_another_seed_ends_elsewhere(finished: Run, tmp_path) -> None:
    assert not same_weights(finished, train_small(tmp_path / "other", SMALL.replace(seed=1)))


class PowerCutError(Exception):
    """Stands for the end of the process at an arbitrary step."""


@pytest.mark.parametrize("dies_at_step", [1, 11, 12, 25, 33])
def test_an_interrupted_run_ends_bit_equal(finished: Run, tmp_path, dies_at_step: int) -> None:
    def cut(done: int, _total: int) -> None:
        if done == dies_at_step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_small(tmp_path / "cut", watch=Watch(step=cut))
    assert not Run.open(tmp_path / "cut").finished
    resumed = train_small(tmp_path / "cut", resume=True)
    assert same_weights(finished, resumed)
    timeless = [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.metrics()]
    assert timeless == [{k: v for k, v in row.items() if k != "seconds"} for row in finished.metrics()]


@pytest.mark.slow
def test_killed_again_and_again_it_still_ends_bit_equal(finished: Run, tmp_path) -> None:
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
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert same_weights(finished, train_small(path, resume=True))


def test_resuming_a_finished_run_changes_nothing(finished: Run) -> None:
    before = (finished.path / "weights.safetensors").read_bytes()
    train_small(finished.path, resume=True)
    assert (finished.path / "weights.safetensors").read_bytes() == before


def test_a_missing_run_cannot_be_resumed(tmp_path) -> None:
    with pytest.raises(RunError, match=r"no run in .*nowhere: it has no recipe.toml"):
        Run.resume(tmp_path / "nowhere", SMALL)


def test_a_run_is_not_resumed_by_another_recipe(finished: Run) -> None:
    with pytest.raises(RunError, match=r"was started with epochs = 3, not 4; resume it with the same recipe"):
        Run.resume(finished.path, SMALL.replace(epochs=4))


def test_a_run_is_not_overwritten(finished: Run) -> None:
    with pytest.raises(RunError, match="already holds a run; go on with it by --resume"):
        Run.create(finished.path, SMALL, {})


def test_damaged_files_of_a_run_are_named(tmp_path) -> None:
    run = Run.create(tmp_path / "run", SMALL, {})
    with pytest.raises(RunError, match="has not ended; finish it with --resume"):
        run.weights()
    (run.path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match=r"checkpoint.safetensors is damaged"):
        run.load_checkpoint()
    (run.path / "weights.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(RunError, match=r"weights.safetensors is damaged"):
        run.weights()


def test_fine_tuning_starts_from_the_other_runs_weights(finished: Run) -> None:
    started = start_model(SMALL, from_run=finished).state_dict()
    assert all(torch.equal(started[name], tensor) for name, tensor in finished.weights().items())
    with pytest.raises(RunError, match="holds a lenet5, and the recipe asks for a cnn; give --model lenet5"):
        start_model(SMALL.replace(model="cnn"), from_run=finished)


def test_early_stopping_keeps_the_best_epoch(tmp_path) -> None:
    recipe = SMALL.replace(epochs=40, patience=2, learning_rate=2e-3, ema=0.0, schedule="constant")
    run = train_small(tmp_path / "patient", recipe)
    accuracies = [row["validation_accuracy"] for row in run.metrics()]
    assert len(accuracies) < 40
    assert run.report["kept_epoch"] == int(np.argmax(accuracies)) + 1
    model = start_model(recipe, from_run=run)
    held_out = split(quadrants(), validation=40, seed=0).validation
    assert evaluate_loss(model, Samples.of(held_out, CPU))[1] == pytest.approx(max(accuracies))


def test_data_without_labels_is_refused(tmp_path) -> None:
    bare = Dataset("bare", np.zeros((5, 28, 28), np.uint8), None)
    run = Run.create(tmp_path / "run", SMALL, {})
    with pytest.raises(DataError, match="bare: 5 samples, of which none has a label to learn from"):
        fit(run, Prepared(bare, bare, {}), device=CPU, start=start_model(SMALL), watch=Watch())


def test_every_architecture_takes_a_step_in_either_precision(tmp_path) -> None:
    for model in ("dense", "mobilenet", "digitnet"):
        recipe = SMALL.replace(model=model, epochs=1, precision="bfloat16", ema=0.0)
        assert train_small(tmp_path / model, recipe).finished


@given(st.integers(2, 500), st.floats(0.0, 1.0))
def test_one_cycle_rises_to_its_peak_and_falls_to_nothing(total: int, warmup: float) -> None:
    rates = [one_cycle(step, total, warmup) for step in range(total)]
    peak = int(np.argmax(rates))
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_average_of_constant_weights_is_themselves() -> None:
    model = start_model(Recipe(model="mobilenet"))
    average = Average(model, 0.9)
    for step in range(5):
        average.update(model, step)
    pairs = zip(average.model.parameters(), model.parameters(), strict=True)
    assert all(torch.allclose(a, b) for a, b in pairs)


def test_batch_norm_statistics_are_those_of_the_batches() -> None:
    layer = torch.nn.BatchNorm2d(1)
    batches = [torch.randn(64, 1, 28, 28) * 3 + 5 for _ in range(4)]
    estimate_batch_norm(torch.nn.Sequential(layer), batches, count=4)
    assert layer.running_mean is not None
    assert math.isclose(layer.running_mean.item(), 5, abs_tol=0.05)
    assert layer.momentum == 0.1


def test_a_validation_split_that_leaves_nothing_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "tiny.npz", images=np.eye(28, dtype=np.uint8)[None].repeat(4, 0) * 255, labels=np.arange(4))
    with pytest.raises(DataError, match="a validation split of 4 leaves nothing of 4 samples"):
        prepare(SMALL.replace(data=(str(tmp_path / "tiny.npz"),), validation=4), folder=tmp_path, device=CPU)


def test_the_device_is_found_or_taken_at_its_word() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}


@pytest.mark.slow
def test_a_search_goes_on_where_it_stopped_and_its_best_is_a_recipe(tmp_path) -> None:
    from handigit.recipe import load_recipe
    from handigit.train.tune import tune

    parts = split(quadrants(200), validation=40, seed=0)
    prepared = Prepared(parts.train, parts.validation, {"data": {}})
    recipe = SMALL.replace(epochs=1, model="dense")
    first = tune(recipe, prepared, tmp_path / "search", trials=2, device=CPU)
    second = tune(recipe, prepared, tmp_path / "search", trials=4, device=CPU)
    assert (first.trials, second.trials) == (2, 4)
    assert len(list((tmp_path / "search").glob("trial-*"))) == 4
    assert load_recipe(str(second.path / "best.toml")) == second.recipe
    best = max(Run.open(p).report["validation_accuracy"] for p in (tmp_path / "search").glob("trial-*"))
    assert second.accuracy == best
    with pytest.raises(RunError, match="holds a search of another recipe"):
        tune(recipe.replace(seed=9), prepared, tmp_path / "search", trials=4, device=CPU)
    with pytest.raises(RecipeError, match="validation = 0 leaves nothing to choose by"):
        tune(recipe.replace(validation=0), prepared, tmp_path / "none", trials=1, device=CPU)


def test_digits_may_be_drawn_for_training(tmp_path) -> None:
    prepared = prepare(SMALL.replace(data=("synth:60",), validation=10), folder=tmp_path, device=CPU)
    assert (len(prepared.train), len(prepared.validation)) == (50, 10)
    assert list(prepared.facts["data"]) == ["synth:60"]
    assert "50 samples to learn from, 10 to choose by" in str(prepared)


@pytest.mark.parametrize("source", ["synth:", "synth:0", "synth:many"])
def test_a_number_of_drawn_digits_must_be_one(tmp_path, source: str) -> None:
    with pytest.raises(DataError, match=f"{source}: .* is no number of glyphs to draw; write it as synth:40000"):
        prepare(SMALL.replace(data=(source,)), folder=tmp_path, device=CPU)


def test_targets_are_the_digit_smoothed_or_all_ten_equally() -> None:
    wanted = targets(torch.tensor([3, -1]), 0.2)
    assert torch.allclose(wanted.sum(1), torch.ones(2))
    assert wanted[0, 3] == pytest.approx(0.82)
    assert torch.allclose(wanted[1], torch.full((10,), 0.1))


def test_what_is_learnt_to_be_no_digit_gets_no_confident_answer(tmp_path) -> None:
    stripes = np.zeros((120, 28, 28), np.uint8)
    stripes[:, ::4] = np.random.default_rng(0).integers(120, 255, (120, 1, 1))
    outliers = Dataset("stripes", stripes, None)
    recipe = SMALL.replace(epochs=6, ema=0.0)
    run = train_small(tmp_path / "careful", recipe, outliers=outliers)
    samples = Samples(torch.from_numpy(stripes), torch.zeros(120, dtype=torch.int64))
    sure = predict_logits(start_model(recipe, from_run=run), samples).softmax(1).max(1).values
    careless = predict_logits(start_model(recipe, from_run=train_small(tmp_path / "careless", recipe)), samples)
    assert sure.mean() < 0.3 < careless.softmax(1).max(1).values.mean()
    assert run.report["validation_accuracy"] > 0.9


def test_outliers_may_be_drawn(tmp_path) -> None:
    recipe = SMALL.replace(data=("synth:60",), outliers=("synth:30",), validation=10)
    prepared = prepare(recipe, folder=tmp_path, device=CPU)
    assert prepared.outliers is not None
    assert len(prepared.outliers) == 30
    assert list(prepared.facts["outliers"]) == ["outliers synth:30"]
