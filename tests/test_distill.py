"""Distillation: soft targets match their copies, are cached, and are learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from handigit.errors import RunError
from handigit.recipe import Recipe
from handigit.train.digit_task import NON_DIGIT, DigitBatch, DigitTask, Samples, digit_loss, label_targets
from handigit.train.distill import SoftTargets, load_soft_targets, mean_logits
from handigit.train.run import Run
from handigit.train.trainer import load_model
from test_train import SMALL, quadrants, train_small


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("teach") / "teacher")


@pytest.fixture(scope="module")
def recipe(teacher: Run) -> Recipe:
    return SMALL.replace(teachers=(str(teacher.path),), lessons=3, rotation_degrees=10, shift_px=2, seed=5, data_seed=1)


@pytest.fixture(scope="module")
def soft_targets(recipe: Recipe, tmp_path_factory) -> SoftTargets:
    loaded = load_soft_targets(quadrants(40), recipe, tmp_path_factory.mktemp("lessons"))
    assert loaded is not None
    return loaded


def test_soft_targets_are_the_teachers_logits(soft_targets: SoftTargets, teacher: Run) -> None:
    assert soft_targets.glyphs.shape == (120, 28, 28)
    glyphs = torch.from_numpy(np.array(soft_targets.glyphs)).unsqueeze(1).float() / 255
    expected = mean_logits(glyphs, [load_model(teacher)], precision="float32")
    assert torch.allclose(torch.from_numpy(np.array(soft_targets.logits)).float(), expected, atol=0.05, rtol=0.02)


def test_copies_differ_and_resemble_their_sample(soft_targets: SoftTargets) -> None:
    sample = quadrants(40)
    for index in (0, 17, 39):
        copies = soft_targets.glyphs[index * 3 : index * 3 + 3].astype(float)
        assert np.abs(copies[0] - copies[1]).mean() > 1
        likeness = [np.corrcoef(copies.mean(0).ravel(), other.ravel())[0, 1] for other in sample.glyphs]
        assert sample.labels is not None
        assert sample.labels[int(np.argmax(likeness))] == sample.labels[index]


def test_cache_serves_all_seeds(recipe: Recipe, tmp_path: Path) -> None:
    load_soft_targets(quadrants(20), recipe, tmp_path)
    (file,) = tmp_path.glob("*/answers.npy")
    written = file.stat().st_mtime_ns
    load_soft_targets(quadrants(20), recipe.replace(seed=99, epochs=7), tmp_path)
    assert [p.stat().st_mtime_ns for p in tmp_path.glob("*/answers.npy")] == [written]
    load_soft_targets(quadrants(20), recipe.replace(shift_px=1), tmp_path)
    assert len(list(tmp_path.glob("*/answers.npy"))) == 2


def test_recipe_without_teachers_has_no_soft_targets(tmp_path: Path) -> None:
    assert load_soft_targets(quadrants(20), SMALL, tmp_path) is None


def test_missing_teacher_is_named_before_the_run_starts(tmp_path: Path) -> None:
    recipe = SMALL.replace(teachers=(str(tmp_path / "missing"),))
    with pytest.raises(RunError, match=r"no finished teacher in .*missing; train it first"):
        train_small(tmp_path / "run", recipe)


def test_batches_are_digits_with_soft_targets_then_outliers(recipe: Recipe, soft_targets: SoftTargets) -> None:
    none = torch.full((9, 28, 28), 128, dtype=torch.uint8)
    samples = Samples.of(quadrants(40), torch.device("cpu")).with_outliers(none)
    task = DigitTask(recipe.replace(batch_size=16), samples)
    task.soft_targets = soft_targets
    batches = list(task.batches(0))
    assert len(batches) == 2
    for batch in batches:
        assert batch.teacher_logits is not None
        assert len(batch.teacher_logits) == 16
        assert len(batch.inputs) == len(batch.labels) == 18
        assert (batch.labels[16:] == NON_DIGIT).all()
        assert (batch.labels[:16] != NON_DIGIT).all()


def test_loss_is_lowest_for_the_teachers_logits() -> None:
    answers = torch.randn(6, 10) * 3
    labels = torch.cat([answers.argmax(1), torch.tensor([NON_DIGIT])])
    batch, recipe = DigitBatch(torch.zeros(7, 1, 28, 28), labels, answers), Recipe(teachers=("t",), teaching=1.0)
    flat = torch.zeros(1, 10)
    same = digit_loss(torch.cat([answers, flat]), batch, recipe)
    assert same.item() == pytest.approx(np.log(10) / 7, rel=1e-4)  # the non-digit still has a uniform target
    assert digit_loss(torch.cat([answers + torch.randn(6, 10), flat]), batch, recipe) > same


def test_loss_without_distillation_is_cross_entropy() -> None:
    logits, labels = torch.randn(5, 10), torch.tensor([0, 1, 2, 3, 4])
    plain = F.cross_entropy(logits, label_targets(labels, 0.0))
    batch = DigitBatch(torch.zeros(5, 1, 28, 28), labels, torch.randn(5, 10))
    assert digit_loss(logits, batch, Recipe(teaching=0.0)).item() == pytest.approx(plain.item(), rel=1e-5)


def test_student_learns_from_the_teacher_alone(teacher: Run, tmp_path: Path) -> None:
    recipe = SMALL.replace(teachers=(str(teacher.path),), lessons=2, teaching=1.0)
    student = train_small(tmp_path / "student", recipe)
    assert student.report["validation_accuracy"] > 0.8


def test_source_can_be_the_first_samples_of_a_set(tmp_path: Path) -> None:
    from handigit.train.digit_sources import load_source

    np.savez(tmp_path / "few.npz", glyphs=quadrants(30).glyphs, labels=quadrants(30).labels)
    part = load_source("few:12", folder=tmp_path, seed=0)
    assert (len(part), part.name) == (12, "few:12")
    assert np.array_equal(part.glyphs, quadrants(30).glyphs[:12])


def test_teachers_mistakes_are_ignored() -> None:
    labels = torch.tensor([3])
    mistaken = DigitBatch(torch.zeros(1, 1, 28, 28), labels, 9 * F.one_hot(torch.tensor([8]), 10).float())
    logits, recipe = torch.randn(1, 10), Recipe(teachers=("t",), teaching=1.0)
    assert digit_loss(logits, mistaken, recipe).item() == pytest.approx(
        F.cross_entropy(logits, labels).item(), rel=1e-5
    )
