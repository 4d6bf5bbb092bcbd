"""The scikit-learn estimator: it learns, is reproducible, and passes scikit-learn's own checks on square pictures."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra 'sklearn' is not installed")
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from handigit.sklearn import DigitClassifier
from handigit.synth import digits

NOT_SQUARE = "which is not a square picture"


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    made = digits(600, seed=4)
    return made.glyphs.reshape(-1, 784), made.labels


def test_it_learns_mnists_format_and_is_reproducible(drawn) -> None:
    x, y = drawn
    first, second = (DigitClassifier(epochs=4, random_state=3).fit(x[:500], y[:500]) for _ in range(2))
    assert np.array_equal(first.predict_proba(x[500:]), second.predict_proba(x[500:]))
    assert first.score(x[500:], y[500:]) > 0.6
    assert np.allclose(first.predict_proba(x[500:]).sum(axis=1), 1)
    images = DigitClassifier(epochs=4, random_state=3).fit(x[:500].reshape(-1, 28, 28) / 255, y[:500])
    assert np.array_equal(images.predict(x[500:] / 255), first.predict(x[500:]))


def test_other_sizes_and_labels_of_any_type() -> None:
    x, y = load_digits(return_X_y=True)
    names = np.array(["even", "odd"])[y % 2]
    model = DigitClassifier(epochs=3, augment=False).fit(x[:600], names[:600])
    assert model.classes_.tolist() == ["even", "odd"]
    assert model.score(x[600:900], names[600:900]) > 0.7


def test_it_clones_pickles_and_searches(drawn) -> None:
    x, y = drawn
    model = DigitClassifier(epochs=1, batch_size=64).fit(x[:100], y[:100])
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    assert np.array_equal(again.predict(x[:50]), model.predict(x[:50]))
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(FunctionTransformer(lambda pixels: pixels / 255), DigitClassifier(epochs=1))
    search = GridSearchCV(pipeline, {"digitclassifier__learning_rate": [1e-3, 1e-2]}, cv=2).fit(x[:120], y[:120])
    assert search.best_params_["digitclassifier__learning_rate"] in (1e-3, 1e-2)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 10)), [0, 1, 0, 1], NOT_SQUARE),
        (np.zeros((4, 16)), [0, 0, 0, 0], "y has one class"),
        (np.zeros((22, 16)), list(range(11)) * 2, "y has 11 classes"),
    ],
)
def test_what_cannot_be_learnt_is_named(x, y, message) -> None:
    with pytest.raises(ValueError, match=message):
        DigitClassifier(epochs=1).fit(x, y)


class AnyRows(DigitClassifier):
    """Rows of any length and sign, padded to square pictures: scikit-learn's checks use two to ten features."""

    def _to_glyphs(self, pictures: np.ndarray) -> np.ndarray:
        side = int(np.ceil(pictures.shape[1] ** 0.5))
        padded = np.zeros((len(pictures), side * side))
        padded[:, : pictures.shape[1]] = (pictures + self.scale_) / 2
        return super()._to_glyphs(padded)


@pytest.mark.slow
def test_it_passes_scikit_learns_own_checks() -> None:
    estimator = AnyRows(epochs=20, augment=False, learning_rate=3e-3, batch_size=32)
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    failed.pop("check_do_not_raise_errors_in_init_or_set_params", None)  # our tests check the types of arguments
    assert failed == {}
    assert sum(result["status"] == "passed" for result in results) > 50
