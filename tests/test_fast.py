"""Fast training: the fixed first layer, partial epochs, memory reuse, and the training-speed bench."""

import resource
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.results_io import load_results
from bench.train import peers, speed
from handigit.data import Dataset, load, split
from handigit.models import describe
from handigit.models.fast import Fast, oriented_filters
from handigit.recipe import Recipe, load_recipe
from handigit.train.digit_task import DigitTask, Samples, predict_logits
from handigit.train.hard_examples import difficulty, sample
from handigit.train.optimizer import keep_freed_memory
from handigit.train.trainer import Callbacks, fit_in_memory, start_model
from test_train import SMALL, quadrants, train_small

CPU = torch.device("cpu")
FEW = Recipe(model="fast", epochs=1, batch_size=32, learning_rate=1e-2)


# --- the network


def test_fixed_filters_have_zero_sum_and_unit_norm() -> None:
    filters = oriented_filters(8, side=7, sigma=1.3)
    assert filters.shape == (16, 1, 7, 7)
    assert torch.allclose(filters.sum((1, 2, 3)), torch.zeros(16), atol=1e-5)
    assert torch.allclose(filters.square().sum((1, 2, 3)), torch.ones(16), atol=1e-5)


def test_every_filter_has_a_negative() -> None:
    edges, lines = oriented_filters(8, side=7, sigma=1.3).flatten(1).chunk(2)
    assert torch.allclose(edges[:4], -edges[4:], atol=1e-5)
    assert torch.allclose(lines[:4], -lines[4:], atol=1e-5)


def test_each_filter_responds_most_to_its_own_edge_or_line() -> None:
    filters = oriented_filters(8, side=7, sigma=1.3)[:, 0]
    bright_right, upright = torch.zeros(7, 7), torch.zeros(7, 7)
    bright_right[:, 4:], upright[:, 3] = 1, 1
    edges, lines = filters.chunk(2)
    assert int((edges * bright_right).sum((1, 2)).argmax()) == 0
    assert int((edges * bright_right.T).sum((1, 2)).argmax()) == 2
    assert int((lines * upright).sum((1, 2)).argmax()) == 0
    assert int((lines * upright.T).sum((1, 2)).argmax()) == 2


def test_training_changes_all_but_the_first_layer() -> None:
    before, after = start_model(FEW), fit_in_memory(DigitTask(FEW, Samples.of(quadrants(64), CPU)))
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    still = [name for (name, old), new in pairs if torch.equal(old, new)]
    assert still == ["maps.0.weight"]


def test_cost_includes_the_fixed_filters() -> None:
    assert describe("fast").macs == 144 * 49 * 12 + 36 * 9 * 12 * 32 + 1152 * 128 + 128 * 10


# --- hard examples


def test_the_hardest_digits_are_those_unlike_their_class() -> None:
    samples = Samples.of(quadrants(200), CPU)
    labels = samples.labels.clone()
    labels[:10] = (labels[:10] + 1) % 4
    ranks = difficulty(samples.glyphs, labels)
    assert set(ranks.argsort(descending=True)[:10].tolist()) == set(range(10))
    assert ranks.min() == 0
    assert ranks.max() == 1


def test_difficulty_does_not_need_shuffled_digits() -> None:
    samples = Samples.of(quadrants(200), CPU)
    order = samples.labels.argsort(stable=True)
    sorted_ranks = difficulty(samples.glyphs[order], samples.labels[order])
    assert torch.allclose(sorted_ranks.sort().values, difficulty(samples.glyphs, samples.labels).sort().values)
    assert sorted_ranks.unique().numel() == 200


def test_sampling_follows_the_weights_without_repeats() -> None:
    weights = torch.cat([torch.full((500,), 9.0), torch.full((500,), 1.0)])
    generator = torch.Generator().manual_seed(0)
    chosen = sample(weights, 300, generator)
    assert chosen.unique().numel() == 300
    assert (chosen < 500).float().mean() > 0.75
    assert 0.6 < (chosen[:150] < 500).float().mean() / (chosen[150:] < 500).float().mean() < 1.6  # shuffled


def test_never_more_often_than_once_and_never_the_easiest() -> None:
    assert 3 not in sample(torch.tensor([1.0, 1.0, 1.0, 0.0]), 3, torch.Generator().manual_seed(0))


def test_short_trainings_prefer_hard_digits() -> None:
    samples = Samples.of(quadrants(400), CPU)
    noisy = samples.glyphs.clone()
    noisy[:100] = torch.randint(0, 256, (100, 28, 28), dtype=torch.uint8)
    recipe = SMALL.replace(epoch_share=0.25, batch_size=50, shift_px=0.0, hard_examples=3.0)
    task = DigitTask(recipe, Samples(noisy, samples.labels))
    seen = torch.cat([batch.inputs for batch in task.batches(0)])
    hard = {(glyph.float() / 255).numpy().tobytes() for glyph in noisy[:100]}
    assert sum(glyph[0].numpy().tobytes() in hard for glyph in seen) > 50  # 25 of 100 if drawn equally often


# --- the loop


def test_partial_epochs_use_different_samples() -> None:
    samples = Samples.of(quadrants(400), CPU)
    recipe = SMALL.replace(epoch_share=0.5, batch_size=40, shift_px=0.0)
    task = DigitTask(recipe, samples)
    first, second = (torch.cat([batch.inputs for batch in task.batches(epoch)]) for epoch in (0, 1))
    assert task.steps(0) == 5
    assert len(first) == len(second) == 200
    seen = {glyph.numpy().tobytes() for glyph in first}
    assert len(seen) == 200
    assert 0 < sum(glyph.numpy().tobytes() in seen for glyph in second) < 200


def test_schedule_covers_the_partial_epochs() -> None:
    steps: list[tuple[int, int]] = []
    recipe = FEW.replace(epochs=3, epoch_share=0.5)
    task = DigitTask(recipe, Samples.of(quadrants(128), CPU))
    fit_in_memory(task, callbacks=Callbacks(step=lambda *step: steps.append(step)))
    assert steps == [(done, 6) for done in range(1, 7)]


def test_training_in_memory_equals_training_with_a_run(tmp_path) -> None:
    run = train_small(tmp_path / "run")
    parts = split(quadrants(), validation=SMALL.validation, seed=SMALL.seed)
    weights = fit_in_memory(DigitTask(SMALL, Samples.of(parts.train, CPU))).state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in run.weights().items())


@pytest.mark.slow  # counts page faults, which other programs can disturb
@pytest.mark.skipif(sys.platform != "linux", reason="the C library's memory is set on Linux alone")
def test_freed_memory_is_reused() -> None:
    if not keep_freed_memory():
        pytest.skip("no glibc here")

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        [torch.ones(2**20) for _ in range(4)]  # 16 MB, all held at once, then all freed
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert min(faults() for _ in range(5)) < 100  # given back, it would be 4,096 pages each time


@pytest.mark.slow
@pytest.mark.data
def test_fast_recipe_generalises(data_folder: Path) -> None:
    parts = split(load("mnist", folder=data_folder, part="train"), validation=10_000, seed=0)
    network = fit_in_memory(DigitTask(load_recipe("fast", validation=10_000), Samples.of(parts.train, CPU)))
    held_out = Samples.of(parts.validation, CPU)
    assert (predict_logits(network, held_out).argmax(1) == held_out.labels).double().mean() > 0.985


# --- the bench


@pytest.mark.parametrize(("network", "weights"), [("MnistFast", 215_194), ("KerasExample", 34_826)])
def test_peers_networks_have_the_original_weight_counts(network: str, weights: int) -> None:
    made = getattr(peers, network)()
    assert sum(parameter.numel() for parameter in made.parameters()) == weights
    assert made.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("peer", "given"), [("train_mnist_fast", {}), ("train_keras_example", {"epochs": 2})])
def test_peers_learn(peer: str, given: dict[str, int]) -> None:
    samples = Samples.of(quadrants(2000), CPU)
    network = getattr(peers, peer)(samples, seed=0, **given)
    assert (predict_logits(network, samples).argmax(1) == samples.labels).double().mean() > 0.5


class AlwaysOne(nn.Module):
    """Answers 1, whatever it is shown."""

    def forward(self, glyphs: torch.Tensor) -> torch.Tensor:
        """Logits that say 1."""
        return torch.eye(10)[torch.ones(len(glyphs), dtype=torch.int64)]


def test_interrupted_bench_continues(tmp_path) -> None:
    conditions, file = speed.Conditions(threads=1, samples=20, device="cpu", torch="any"), tmp_path / "speed.json"
    trained: list[tuple[int, int]] = []

    def train(samples: Samples, *, seed: int) -> nn.Module:
        trained.append((len(samples), seed))
        if len(trained) == 4:
            raise KeyboardInterrupt
        return AlwaysOne()

    test = Dataset("test", np.zeros((4, 28, 28), np.uint8), np.array([1, 1, 1, 2]))
    contestant = {speed.RULER: speed.Contestant(train, seeds=3)}
    with pytest.raises(KeyboardInterrupt):
        speed.hold(contestant, conditions, train=quadrants(20), test=test, file=file)
    speed.hold(contestant, conditions, train=quadrants(20), test=test, file=file)
    assert [seed for _, seed in trained] == [0, 0, 1, 2, 0, 2]  # each call warms up with seed 0
    found = load_results(file)[speed.RULER]
    assert found["accuracy"] == {"mean": 75.0, "sd": 0.0}
    assert (found["seeds"], found["ratio"]) == (3, 1.0)
    with pytest.raises(SystemExit, match="with threads = 1, not 2; give another --output"):
        speed.hold(contestant, replace(conditions, threads=2), train=quadrants(20), test=test, file=file)


def test_our_recipes_run_in_the_packages_trainer() -> None:
    everyone = speed.contestants(seeds=2, keras_seeds=1, keras_epochs=1)
    assert list(everyone) == ["fast", "fast-plus", "train_mnist_fast", "keras_example"]
    assert isinstance(everyone["fast"].train(Samples.of(quadrants(600), CPU), seed=0), Fast)
