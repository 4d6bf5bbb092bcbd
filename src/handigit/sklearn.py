"""Handigit's digit networks as a scikit-learn estimator, for pipelines, cross-validation and grid search.

>>> from handigit.sklearn import DigitClassifier
>>> from sklearn.datasets import load_digits
>>> X, y = load_digits(return_X_y=True)
>>> DigitClassifier(epochs=5).fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
True
"""

from typing import Any, Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from handigit.data import Dataset
from handigit.recipe import load_recipe
from handigit.train.device import pick_device
from handigit.train.digit_task import DigitTask, Samples, predict_logits
from handigit.train.trainer import fit_in_memory

SIDE: Final = 28
MAX_CLASSES: Final = 10
_NO_AUGMENTATION: Final = {
    **dict.fromkeys(("rotation_degrees", "shear", "scale", "shift_px", "elastic_px"), 0.0),
    **dict.fromkeys(("stroke", "erase", "disturb", "far"), 0.0),
}


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type hints
    """A network for pictures of up to ten classes, trained by one of Handigit's recipes.

    X: square pictures as rows, (n, 784), (n, 28, 28) or any other square size, ink bright on 0, as in MNIST; values are
    divided by the largest one in the training data. y: labels of any type.

    Args:
        recipe: Name of a recipe, such as fast, lenet5, cnn or digitnet2.
        epochs: Passes over the data; None for the recipe's.
        learning_rate: Peak learning rate; None for the recipe's.
        batch_size: Samples per step; None for the recipe's.
        augment: Train on augmented pictures, as the recipe specifies.
        device: auto, cpu, cuda or mps.
        random_state: Seed of the weights, the order and the augmentation.
    """

    def __init__(
        self,
        recipe: str = "fast",
        *,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        augment: bool = True,
        device: str = "auto",
        random_state: Any = 0,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.augment = augment
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "DigitClassifier":  # noqa: N803 - scikit-learn's name
        """Train a new network.

        Raises:
            ValueError: pictures that are not square, or other than 2 to 10 classes.
            RecipeError: no such recipe.
        """
        pictures, y = validate_data(self, _flatten(X), y, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if not 2 <= len(self.classes_) <= MAX_CLASSES:
            problem = "one class" if len(self.classes_) == 1 else f"{len(self.classes_)} classes"
            raise ValueError(f"y has {problem}; the classifier distinguishes 2 to {MAX_CLASSES}")
        self.scale_ = float(np.abs(pictures).max()) or 1.0
        dataset = Dataset("X", self._to_glyphs(pictures), indices.astype(np.int64))
        torch.manual_seed(0)
        samples = Samples.of(dataset, pick_device(self.device))
        self.network_ = fit_in_memory(DigitTask(self._recipe(len(dataset)), samples)).eval()
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n classes"]:  # noqa: N803
        """Probabilities per class, in the order of `classes_`."""
        check_is_fitted(self)
        pictures = validate_data(self, _flatten(X), reset=False)
        labels = torch.zeros(len(pictures), dtype=torch.int64)
        device = next(self.network_.parameters()).device
        samples = Samples(torch.from_numpy(self._to_glyphs(pictures)).to(device), labels.to(device))
        logits = predict_logits(self.network_, samples)[:, : len(self.classes_)]
        probabilities: Float[np.ndarray, "n classes"] = logits.double().softmax(dim=1).cpu().numpy()
        return probabilities

    def predict(self, X: Any) -> Shaped[np.ndarray, " n"]:  # noqa: N803
        """The most probable class of each picture."""
        indices: Int64[np.ndarray, " n"] = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[indices])

    def _recipe(self, samples: int) -> Any:
        changes = {
            name: value
            for name in ("epochs", "learning_rate", "batch_size")
            if (value := getattr(self, name)) is not None
        }
        recipe = load_recipe(self.recipe, **changes)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        fixed = {"seed": seed, "validation": 0, "patience": 0, "batch_size": min(recipe.batch_size, samples)}
        return recipe.replace(**fixed, **({} if self.augment else _NO_AUGMENTATION))

    def _to_glyphs(self, pictures: Shaped[np.ndarray, "n pixels"]) -> UInt8[np.ndarray, "n 28 28"]:
        """Rows as pictures of 28x28 bytes, other sizes resized.

        Raises:
            ValueError: rows whose length is not a square number.
        """
        side = round(pictures.shape[1] ** 0.5)
        if side * side != pictures.shape[1]:
            raise ValueError(
                f"X has {pictures.shape[1]} features, which is not a square picture; give rows of 784, or 28x28 images"
            )
        scaled: UInt8[np.ndarray, "n height width"] = (
            np.clip(np.abs(pictures) * (255 / self.scale_), 0, 255).reshape(-1, side, side).astype(np.uint8)
        )
        if side == SIDE:
            return scaled
        resized = [cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for picture in scaled]
        return np.array(resized, np.uint8)


def _flatten(X: Any) -> Any:  # noqa: N803
    """Pictures (n, height, width) as rows; anything else as it is, for scikit-learn to check."""
    if hasattr(X, "ndim") and X.ndim in (3, 4) and hasattr(X, "reshape"):
        return X.reshape(len(X), -1)
    return X
