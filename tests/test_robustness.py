"""Corruptions and variations: what each does to a picture, and a reader scored under all of them."""

import json

import cv2
import numpy as np
import pytest

from handigit.errors import BadDataFile, DataError
from handigit.evaluate.corruptions import CORRUPTIONS, corrupt
from handigit.evaluate.robustness import GRIDS, RobustnessScores, robustness


@pytest.fixture(scope="module")
def glyphs() -> np.ndarray:
    """Twelve rings and bars, drawn as MNIST has its digits: bright, within 20 px, in the middle."""
    pages = np.zeros((12, 28, 28), dtype=np.uint8)
    for index, page in enumerate(pages):
        if index % 2:
            cv2.ellipse(page, (14, 14), (7, 8), 0, 0, 360, 255, 2, cv2.LINE_AA)
        else:
            cv2.line(page, (14, 7), (14, 21), 255, 3, cv2.LINE_AA)
    return pages


def read_rings(pictures: np.ndarray) -> np.ndarray:
    """A reader by hand: ink spread wide is a ring (0), else a bar (1), wherever it stands."""
    answers = []
    for picture in pictures:
        columns = np.flatnonzero((picture > 127).any(axis=0))
        answers.append(0 if len(columns) and columns[-1] - columns[0] > 5 else 1)
    return np.array(answers)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_is_reproducible(name: str, glyphs: np.ndarray) -> None:
    before = glyphs.copy()
    found = corrupt(glyphs, name, seed=3)
    assert found.shape == glyphs.shape
    assert (found != glyphs).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(found, corrupt(glyphs, name, seed=3))
    np.testing.assert_array_equal(glyphs, before)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"scale", "brightness", "stripe", "canny_edges"}))
def test_random_corruption_follows_its_seed(name: str, glyphs: np.ndarray) -> None:
    assert (corrupt(glyphs, name, seed=1) != corrupt(glyphs, name, seed=2)).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_takes_empty_batches_and_empty_pictures(name: str) -> None:
    assert corrupt(np.zeros((0, 28, 28), dtype=np.uint8), name, seed=0).shape == (0, 28, 28)
    assert corrupt(np.zeros((2, 28, 28), dtype=np.uint8), name, seed=0).shape == (2, 28, 28)


def test_corruptions_are_the_fifteen_of_the_paper() -> None:
    assert len(CORRUPTIONS) == 15


def centre(picture: np.ndarray) -> np.ndarray:
    """The centre of mass, row and column."""
    return np.array([(np.indices(picture.shape)[axis] * picture).sum() / picture.sum() for axis in (0, 1)])


def test_translation_is_three_pixels_both_ways(glyphs: np.ndarray) -> None:
    moves = np.array([centre(b) - centre(a) for a, b in zip(glyphs, corrupt(glyphs, "translate", seed=0), strict=True)])
    np.testing.assert_allclose(np.abs(moves), 3, atol=0.01)
    assert len(np.unique(np.sign(moves), axis=0)) > 1


def test_scale_rotation_and_shear_keep_the_centre(glyphs: np.ndarray) -> None:
    for name in ("scale", "rotate", "shear"):
        for before, after in zip(glyphs, corrupt(glyphs, name, seed=0), strict=True):
            np.testing.assert_allclose(centre(after) - 13.5, (centre(before) - 13.5), atol=0.4)


def test_scale_is_seven_tenths(glyphs: np.ndarray) -> None:
    share = corrupt(glyphs, "scale", seed=0).sum() / glyphs.sum()
    assert share == pytest.approx(0.49, abs=0.02)


def test_impulses_hit_a_sixth_of_the_pixels() -> None:
    grey = np.full((100, 28, 28), 128, dtype=np.uint8)
    found = corrupt(grey, "impulse_noise", seed=0)
    assert (found == 0).mean() == pytest.approx(0.085, abs=0.005)
    assert (found == 255).mean() == pytest.approx(0.085, abs=0.005)


def test_stripes_invert_the_outer_quarters(glyphs: np.ndarray) -> None:
    found = corrupt(glyphs, "stripe", seed=0)
    np.testing.assert_array_equal(found[:, :, 7:21], glyphs[:, :, 7:21])
    np.testing.assert_array_equal(found[:, :, :7], 255 - glyphs[:, :, :7])


def test_fog_leaves_a_quarter_of_the_contrast(glyphs: np.ndarray) -> None:
    foggy = corrupt(glyphs, "fog", seed=0).astype(float)
    lifted = np.array([f[g == 255].mean() - f[g == 0].mean() for f, g in zip(foggy, glyphs, strict=True)])
    assert lifted.mean() == pytest.approx(255 / 4, abs=12)


def test_unknown_corruption_names_the_known_ones(glyphs: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"'rain'.*shot_noise"):
        corrupt(glyphs, "rain", seed=0)


@pytest.mark.parametrize(("grid", "side"), [("shift", 56), ("scale", 56), ("rotation", 56), ("pen", 28), ("jpeg", 28)])
def test_grid_keeps_all_ink_inside_its_frame(grid: str, side: int, glyphs: np.ndarray) -> None:
    for step in GRIDS[grid]:
        pictures = step.apply(glyphs)
        assert pictures.shape == (len(glyphs), side, side)
        edges = np.concatenate([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]])
        assert edges.max() < 64, step.name


def test_wider_pen_has_more_ink(glyphs: np.ndarray) -> None:
    ink = [int(step.apply(glyphs).sum()) for step in GRIDS["pen"]]
    assert ink == sorted(ink)
    assert ink[0] < glyphs.sum() < ink[-1]


def test_polarity_is_its_own_inverse(glyphs: np.ndarray) -> None:
    (invert,) = GRIDS["polarity"]
    np.testing.assert_array_equal(invert.apply(invert.apply(glyphs)), glyphs)


def test_robustness_counts_right_answers_under_each_change(glyphs: np.ndarray) -> None:
    labels = 1 - np.arange(12) % 2
    scores = robustness(read_rings, glyphs, labels, seed=0)
    assert (scores.n, scores.clean) == (12, 1.0)
    assert tuple(scores.corruptions) == tuple(CORRUPTIONS)
    assert tuple(scores.grids) == tuple(GRIDS)
    assert set(scores.grids["shift"].values()) == {1.0}
    assert scores.grids["polarity"]["dark ink on light"] == 0.5
    assert scores.corruptions["stripe"] == 0.5  # all look wide
    assert scores.corruptions[scores.hardest] == min(scores.corruptions.values()) <= 0.5
    assert scores.mean == pytest.approx(np.mean(list(scores.corruptions.values())))
    assert RobustnessScores.from_dict(json.loads(json.dumps(scores.as_dict()))) == scores


def test_no_answer_counts_as_wrong(glyphs: np.ndarray) -> None:
    scores = robustness(
        lambda pictures: np.full(len(pictures), -1), glyphs, np.ones(12, dtype=np.int64), seed=0, grids=()
    )
    assert (scores.clean, scores.mean) == (0.0, 0.0)


def test_invalid_input_is_refused(glyphs: np.ndarray) -> None:
    with pytest.raises(DataError, match="0 glyphs"):
        robustness(read_rings, glyphs[:0], np.zeros(0, dtype=np.int64), seed=0)
    with pytest.raises(DataError, match=r"'blur'.*shift"):
        robustness(read_rings, glyphs, np.zeros(12, dtype=np.int64), seed=0, corruptions=(), grids=["blur"])
    with pytest.raises(BadDataFile, match="not robustness scores"):
        RobustnessScores.from_dict({"n": 3})
