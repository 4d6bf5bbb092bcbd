"""Teachers: their answers belong to the copies that the student sees, are asked once, and are learnt."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator

from handigit.errors import RunError
from handigit.recipe import Recipe
from handigit.train.batches import NO_DIGIT, Batch, Samples, batch_loss, draw_batches, targets
from handigit.train.distill import Lessons, answer, load_model, make_lessons
from handigit.train.run import Run
from test_train import SMALL, quadrants, train_small


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("teach") / "teacher")


@pytest.fixture(scope="module")
def recipe(teacher: Run) -> Recipe:
    return SMALL.replace(teachers=(str(teacher.path),), lessons=3, rotation_degrees=10, shift_px=2, seed=5, data_seed=1)


@pytest.fixture(scope="module")
def lessons(recipe: Recipe, tmp_path_factory) -> Lessons:
    made = make_lessons(quadrants(40), recipe, tmp_path_factory.mktemp("lessons"))
    assert made is not None
    return made


def test_the_answers_are_those_of_the_teacher_on_the_copies(lessons: Lessons, teacher: Run) -> None:
    assert lessons.glyphs.shape == (120, 28, 28)
    glyphs = torch.from_numpy(np.array(lessons.glyphs)).unsqueeze(1).float() / 255
    expected = answer(glyphs, [load_model(teacher)], precision="float32")
    assert torch.allclose(torch.from_numpy(np.array(lessons.answers)).float(), expected, atol=0.05, rtol=0.02)


def test_copies_differ_and_each_is_of_its_own_sample(lessons: Lessons) -> None:
    sample = quadrants(40)
    for index in (0, 17, 39):
        copies = lessons.glyphs[index * 3 : index * 3 + 3].astype(float)
        assert np.abs(copies[0] - copies[1]).mean() > 1
        likeness = [np.corrcoef(copies.mean(0).ravel(), other.ravel())[0, 1] for other in sample.glyphs]
        assert sample.labels is not None
        assert sample.labels[int(np.argmax(likeness))] == sample.labels[index]


def test_they_are_asked_once_for_all_seeds(recipe: Recipe, tmp_path: Path) -> None:
    make_lessons(quadrants(20), recipe, tmp_path)
    (file,) = tmp_path.glob("*/answers.npy")
    written = file.stat().st_mtime_ns
    make_lessons(quadrants(20), recipe.replace(seed=99, epochs=7), tmp_path)
    assert [p.stat().st_mtime_ns for p in tmp_path.glob("*/answers.npy")] == [written]
    make_lessons(quadrants(20), recipe.replace(shift_px=1), tmp_path)
    assert len(list(tmp_path.glob("*/answers.npy"))) == 2


def test_a_recipe_without_teachers_has_no_lessons(tmp_path: Path) -> None:
    assert make_lessons(quadrants(20), SMALL, tmp_path) is None


def test_a_teacher_that_is_no_finished_run_is_named(tmp_path: Path) -> None:
    recipe = SMALL.replace(teachers=(str(tmp_path / "nobody"),))
    with pytest.raises(RunError, match=r"no teacher's run in .*nobody; train it first"):
        make_lessons(quadrants(20), recipe, tmp_path)


def test_batches_hold_the_digits_answers_and_then_the_outliers(recipe: Recipe, lessons: Lessons) -> None:
    none = torch.full((9, 28, 28), 128, dtype=torch.uint8)
    samples = Samples.of(quadrants(40), torch.device("cpu")).with_outliers(none)
    batches = list(draw_batches(samples, recipe.replace(batch_size=16), Generator().manual_seed(0), lessons=lessons))
    assert len(batches) == 2
    for batch in batches:
        assert batch.answers is not None
        assert len(batch.answers) == 16
        assert len(batch.glyphs) == len(batch.labels) == 18
        assert (batch.labels[16:] == NO_DIGIT).all()
        assert (batch.labels[:16] != NO_DIGIT).all()


def test_the_loss_is_least_where_the_student_answers_as_taught() -> None:
    answers = torch.randn(6, 10) * 3
    labels = torch.cat([answers.argmax(1), torch.tensor([NO_DIGIT])])
    batch, taught = Batch(torch.zeros(7, 1, 28, 28), labels, answers), Recipe(teachers=("t",), teaching=1.0)
    flat = torch.zeros(1, 10)
    same = batch_loss(torch.cat([answers, flat]), batch, taught)
    assert same.item() == pytest.approx(np.log(10) / 7, rel=1e-4)  # what is no digit still asks for a flat answer
    assert batch_loss(torch.cat([answers + torch.randn(6, 10), flat]), batch, taught) > same


def test_without_teaching_the_loss_is_that_of_the_labels() -> None:
    logits, labels = torch.randn(5, 10), torch.tensor([0, 1, 2, 3, 4])
    plain = F.cross_entropy(logits, targets(labels, 0.0))
    batch = Batch(torch.zeros(5, 1, 28, 28), labels, torch.randn(5, 10))
    assert batch_loss(logits, batch, Recipe(teaching=0.0)).item() == pytest.approx(plain.item(), rel=1e-5)


def test_a_student_of_a_good_teacher_learns(teacher: Run, tmp_path: Path) -> None:
    recipe = SMALL.replace(teachers=(str(teacher.path),), lessons=2, teaching=1.0)
    student = train_small(tmp_path / "student", recipe)
    assert student.report["validation_accuracy"] > 0.8


def test_a_set_may_be_taken_in_part(tmp_path: Path) -> None:
    from handigit.train.digit_data import load_source

    np.savez(tmp_path / "few.npz", glyphs=quadrants(30).glyphs, labels=quadrants(30).labels)
    part = load_source("few:12", folder=tmp_path, seed=0)
    assert (len(part), part.name) == (12, "few:12")
    assert np.array_equal(part.glyphs, quadrants(30).glyphs[:12])


def test_a_teachers_mistake_is_no_lesson() -> None:
    labels = torch.tensor([3])
    mistaken = Batch(torch.zeros(1, 1, 28, 28), labels, 9 * F.one_hot(torch.tensor([8]), 10).float())
    logits, taught = torch.randn(1, 10), Recipe(teachers=("t",), teaching=1.0)
    assert batch_loss(logits, mistaken, taught).item() == pytest.approx(
        F.cross_entropy(logits, labels).item(), rel=1e-5
    )
