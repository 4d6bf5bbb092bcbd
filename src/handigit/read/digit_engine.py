"""The digit model: glyphs in, probabilities of the ten digits out.

Our own files contain a card. Foreign models (Keras, scikit-learn, a tutorial) are inspected and get one.
"""

import hashlib
import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, Float64

from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError
from handigit.images.cancellation import check_cancelled
from handigit.read.engine import EXPECTED, model_bytes, open_session, softmax
from handigit.records import Outcome

log = logging.getLogger(__name__)

BATCH: Final = 256
"""Glyphs per call: larger batches are no faster and take more memory."""
_SHAPES: Final = ((1, 28, 28), (28, 28, 1), (28, 28), (784,))
_TYPES: Final[dict[str, type[np.floating[Any]]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


def decide_outcome(card: Card, *, confidence: float, target_error: float) -> Outcome:
    """The outcome for an input with ink: `read`, `doubt`, or `not_a_number` below the card's `digit_floor`."""
    if confidence < card.digit_floor:
        return Outcome.NOT_A_NUMBER
    return Outcome.READ if confidence >= card.threshold(target_error) else Outcome.DOUBT


class Engine:
    """One loaded digit model. `card` describes it; `digest` is the SHA-256 of its file.

    `threads`: processor threads per call, None for all. Calls from several threads at once are safe.

    Raises:
        ModelError: no such file, not an ONNX model, or its input and output do not fit.
    """

    def __init__(self, path_or_bytes: str | Path | bytes, *, threads: int | None = None) -> None:
        data, self._name = model_bytes(path_or_bytes)
        self.digest = hashlib.sha256(data).hexdigest()
        self._session = open_session(data, self._name, threads)
        self._input, self._shape, self._type, self._fixed_batch = _input_of(self._session, self._name)
        self._output = self._session.get_outputs()[0].name
        self.card = self._own_card() or self._probed_card()
        log.info("model %s, sha256 %s", self.card.name, self.digest)

    def logits(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """The scores of each glyph; the log of its output where the model returns probabilities."""
        scores = self._scores(glyphs)
        if self.card.output == "probabilities":
            scores = np.log(np.maximum(scores, 1e-12))
        return scores

    def probabilities(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float64[np.ndarray, "n 10"]:
        """The probability of each digit for each glyph, calibrated by the card's temperature."""
        return softmax(self.logits(glyphs), temperature=self.card.temperature)

    def _scores(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """The model's raw output, batch by batch."""
        step = self._fixed_batch or BATCH
        parts = []
        for start in range(0, len(glyphs), step):
            check_cancelled()
            parts.append(self._run(glyphs[start : start + step]))
        return np.concatenate(parts) if parts else np.zeros((0, 10), np.float32)

    def _run(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """One call; for a model with a fixed batch size, the last batch is padded with empty glyphs."""
        count = len(glyphs)
        if self._fixed_batch and count < self._fixed_batch:
            glyphs = np.concatenate([glyphs, np.zeros((self._fixed_batch - count, 28, 28), np.float32)])
        batch = glyphs.reshape(-1, *self._shape).astype(self._type, copy=False)
        (scores,) = self._session.run([self._output], {self._input: batch})
        if scores.shape != (len(glyphs), 10):
            raise ModelError(
                f"{self._name}: returns scores of shape {scores.shape} for {len(glyphs)} glyphs; {EXPECTED}"
            )
        return np.asarray(scores[:count], np.float32)

    def _own_card(self) -> Card | None:
        """The card in the file's metadata; None for a foreign model."""
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            return None
        card = Card.from_json(text, source=self._name)
        if card.task != "digit":
            raise ModelError(f"{self._name}: is a model for the task {card.task!r}; give one for 'digit'")
        self._run(np.zeros((1, 28, 28), np.float32))
        return card

    def _probed_card(self) -> Card:
        """A card for a foreign model: its output is taken for probabilities if rows sum to 1 on noise."""
        noise = np.random.default_rng(0).random((4, 28, 28), np.float32)
        try:
            scores = self._scores(noise)
        except ModelError:
            raise
        except Exception as problem:  # the runtime has no base class for its errors
            raise ModelError(f"{self._name}: fails on 28x28 glyphs ({problem}); {EXPECTED}") from None
        sums_to_one = bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3) and scores.min() >= 0)
        return Card(
            name=Path(self._name).stem,
            architecture="unknown",
            input=self._shape,
            output="probabilities" if sums_to_one else "logits",
            licence="unknown",
        )


def _input_of(
    session: ort.InferenceSession, name: str
) -> tuple[str, tuple[int, ...], type[np.floating[Any]], int | None]:
    """The input's name, the shape of one glyph, the number type, and the batch size if it is fixed."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(f"{name}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); {EXPECTED}")
    (only,) = inputs
    batch, *rest = only.shape or [None]
    if tuple(rest) not in _SHAPES or only.type not in _TYPES:
        raise ModelError(f"{name}: takes {only.type} of shape {tuple(only.shape)}; {EXPECTED}")
    return only.name, tuple(rest), _TYPES[only.type], batch if isinstance(batch, int) and batch > 0 else None
