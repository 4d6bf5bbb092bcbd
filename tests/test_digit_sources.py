"""Sources that a digit recipe can name: sets, parts of sets, recorded pen strokes, images of different sizes."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from handigit.data import load
from handigit.errors import BadDataFile, DataError
from handigit.recipe import Recipe
from handigit.train.digit_sources import load_outliers, load_source


def square(side: int) -> np.ndarray:
    """A dark ring on paper, `side` pixels wide."""
    picture = np.full((side, side), 255, np.uint8)
    picture[6:-6, 6:-6] = 0
    picture[10:-10, 10:-10] = 255
    return picture


SEVEN = [[[0, 0], [10, 0], [4, 20]]]


def write_ink(folder: Path, labels: str, *, strokes: list[list[list[int]]] = SEVEN) -> None:
    (folder / "ink").mkdir(exist_ok=True)
    with gzip.open(folder / "ink" / "pen.jsonl.gz", "wt", encoding="utf-8") as stream:
        for label in labels:
            stream.write(json.dumps({"label": label, "writer": "w1", "strokes": strokes}) + "\n")


def test_recorded_strokes_become_labelled_glyphs(tmp_path: Path) -> None:
    write_ink(tmp_path, "77")
    dataset = load_source("ink:pen", folder=tmp_path, seed=1)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [7, 7]
    assert dataset.glyphs.shape == (2, 28, 28)
    assert (dataset.glyphs.max(axis=(1, 2)) > 200).all()
    assert dataset.fingerprint == load_source("ink:pen", folder=tmp_path, seed=1).fingerprint


def test_letters_lose_their_look_alikes_and_labels(tmp_path: Path) -> None:
    write_ink(tmp_path, "AoK")
    dataset = load_source("ink:pen", folder=tmp_path, seed=1)
    assert (len(dataset), dataset.labels) == (2, None)


def test_missing_strokes_are_named(tmp_path: Path) -> None:
    write_ink(tmp_path, "7")
    with pytest.raises(DataError, match=r"no pen strokes named 'ink:pencil': .* has: pen"):
        load_source("ink:pencil", folder=tmp_path, seed=1)


def test_a_count_per_label(tmp_path: Path) -> None:
    images, labels = np.stack([square(40)] * 6), np.array([3, 3, 3, 5, 5, 5])
    np.savez(tmp_path / "rings.npz", images=images, labels=labels)
    dataset = load_source("rings@2", folder=tmp_path, seed=0)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [3, 3, 5, 5]


def test_a_count_per_name_skips_look_alikes_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "nondigits").mkdir()
    blank = np.full((40, 40), 255, np.uint8)
    images = np.stack([blank, square(40), square(40), square(40), square(40)])
    np.savez(
        tmp_path / "nondigits" / "signs.npz", images=images, labels=np.array(["plus", "plus", "plus", "slash", "tick"])
    )
    assert len(load_source("signs@1", folder=tmp_path, seed=0)) == 2


def test_images_of_different_sizes(tmp_path: Path) -> None:
    images = [square(30), square(44)]
    np.savez(
        tmp_path / "ragged.npz",
        data=np.concatenate([image.ravel() for image in images]),
        shape=np.array([image.shape for image in images], np.int32),
        labels=np.array([0, 8], np.uint8),
    )
    dataset = load("ragged", folder=tmp_path)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 8]


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        (np.zeros(10, np.uint8), np.array([[4, 4]]), "shape describes 16 pixels, data has 10"),
        (np.zeros(16, np.uint8), np.array([[-4, -4]]), "shape describes"),
        (np.zeros(16, np.float32), np.array([[4, 4]]), r"data must be uint8 \(pixels,\)"),
        (np.zeros(16, np.uint8), np.array([16]), r"data must be uint8 \(pixels,\)"),
    ],
)
def test_inconsistent_sizes_are_refused(tmp_path: Path, data: np.ndarray, shape: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "ragged.npz", data=data, shape=shape)
    with pytest.raises(BadDataFile, match=message):
        load("ragged", folder=tmp_path)


def test_nondigits_are_repeated_with_other_pens(tmp_path: Path) -> None:
    write_ink(tmp_path, "KY")
    outliers = load_outliers(Recipe(outliers=("ink:pen*3", "synth:4*2")), folder=tmp_path)
    assert outliers is not None
    assert len(outliers) == 2 * 3 + 4 * 2
    assert not np.array_equal(outliers.glyphs[:2], outliers.glyphs[2:4])
    assert not np.array_equal(outliers.glyphs[6:10], outliers.glyphs[10:])


def test_nondigits_made_from_the_recipes_digits(tmp_path: Path) -> None:
    glyphs = np.zeros((20, 28, 28), np.uint8)
    for value in range(20):
        glyphs[value, 4:24, 8 : 12 + value % 10] = 255
    np.savez(tmp_path / "bars.npz", glyphs=glyphs, labels=np.arange(20) % 10)
    recipe = Recipe(data=("bars",), outliers=("altered:30",))
    outliers, again = (load_outliers(recipe, folder=tmp_path) for _ in range(2))
    assert outliers is not None
    assert again is not None
    assert outliers.glyphs.shape == (30, 28, 28)
    assert outliers.fingerprint == again.fingerprint
    assert (outliers.glyphs.max(axis=(1, 2)) > 200).all()
    known = {glyph.tobytes() for glyph in glyphs}
    assert not known & {glyph.tobytes() for glyph in outliers.glyphs}


def test_nondigits_are_not_made_from_unlabelled_pictures(tmp_path: Path) -> None:
    np.savez(tmp_path / "rings.npz", images=np.stack([square(40)] * 2))
    with pytest.raises(DataError, match="altered:30: rings has no labels; name a set of digits first in data"):
        load_outliers(Recipe(data=("rings",), outliers=("altered:30",)), folder=tmp_path)


@pytest.mark.parametrize("count", ["x", "0", "-1"])
def test_a_count_is_a_number(tmp_path: Path, count: str) -> None:
    write_ink(tmp_path, "K")
    with pytest.raises(DataError, match=rf"\*{count}: '{count}' is not a number; write it as \*4"):
        load_outliers(Recipe(outliers=(f"ink:pen*{count}",)), folder=tmp_path)


def test_recorded_signs_are_recombined(tmp_path: Path) -> None:
    write_ink(tmp_path, "KY")
    recipe = Recipe(outliers=("ink:pen", "recombined:6"))
    with pytest.raises(DataError, match="recombined:6: no recorded sign of two strokes"):
        load_outliers(recipe, folder=tmp_path)
    write_ink(tmp_path, "KY", strokes=[[[0, 0], [0, 20]], [[10, 0], [0, 10], [10, 20]]])
    outliers, again = (load_outliers(recipe, folder=tmp_path) for _ in range(2))
    assert outliers is not None
    assert again is not None
    assert outliers.glyphs.shape == (2 + 6, 28, 28)
    assert outliers.fingerprint == again.fingerprint
    assert len({glyph.tobytes() for glyph in outliers.glyphs[2:]}) == 6
