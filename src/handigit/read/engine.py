"""ONNX Runtime sessions for the digit model and the number model: arrays in, probabilities out.

Our own files contain a card. Foreign digit models (Keras, scikit-learn, a tutorial) are inspected and get one.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, Float64

from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError
from handigit.images.strip import MIN_PADDED_PX, STRIP_PX
from handigit.read.onnx_check import check_onnx
from handigit.records import Outcome

log = logging.getLogger(__name__)

BATCH: Final = 256
"""Glyphs per call: larger batches are no faster and take more memory."""
_BATCH_PX: Final = 6144
"""Columns of lines per call, for the same reason."""
_STRIP_STEP_PX: Final = 32
"""Lines and strips are padded to a multiple of these widths, as in training."""
_EXPECTED: Final = (
    "give an ONNX model with one float input (n,1,28,28), (n,28,28,1), (n,28,28) or (n,784) and ten outputs"
)
_SHAPES: Final = ((1, 28, 28), (28, 28, 1), (28, 28), (784,))
_TYPES: Final[dict[str, type[np.floating[Any]]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


def softmax(logits: Float32[np.ndarray, "n classes"], *, temperature: float) -> Float64[np.ndarray, "n classes"]:
    """Softmax of the logits divided by the temperature: temperature scaling (Guo et al. 2017)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


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
        parts = [self._run(glyphs[start : start + step]) for start in range(0, len(glyphs), step)]
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
                f"{self._name}: returns scores of shape {scores.shape} for {len(glyphs)} glyphs; {_EXPECTED}"
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
            raise ModelError(f"{self._name}: fails on 28x28 glyphs ({problem}); {_EXPECTED}") from None
        sums_to_one = bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3) and scores.min() >= 0)
        return Card(
            name=Path(self._name).stem,
            architecture="unknown",
            input=self._shape,
            output="probabilities" if sums_to_one else "logits",
            licence="unknown",
        )


class NumberEngine:
    """One loaded number model. `card` describes it; `digest` is the SHA-256 of its file.

    `threads`: processor threads per call, None for all. Calls from several threads at once are safe.

    Raises:
        ModelError: no such file, or not a number model with a card.
    """

    def __init__(self, path_or_bytes: str | Path | bytes, *, threads: int | None = None) -> None:
        data, name = model_bytes(path_or_bytes)
        self.digest = hashlib.sha256(data).hexdigest()
        self._session = open_session(data, name, threads)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{name}: has no card; write number models with `handigit export`")
        self.card = Card.from_json(text, source=name)
        if self.card.task != "number":
            raise ModelError(f"{name}: is a model for the task {self.card.task!r}; give one for 'number'")
        if self.card.input[1] != STRIP_PX:
            raise ModelError(
                f"{name}: reads lines of {self.card.input[1]} pixels, but number models now read strips of {STRIP_PX};"
                " train it again with `handigit train number`"
            )
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name

    def probabilities(
        self, strips: Sequence[Float32[np.ndarray, "48 _"]]
    ) -> list[Float64[np.ndarray, "frames classes"]]:
        """The probability of each class per frame of each strip, calibrated by the card's temperature."""
        results: list[Float64[np.ndarray, "frames classes"]] = [np.zeros((0, 0))] * len(strips)
        widths = [padded_width(strip.shape[1]) for strip in strips]
        for batch in _batches_by_width(widths):
            width = widths[batch[-1]]
            padded = np.zeros((len(batch), 1, STRIP_PX, width), np.float32)
            for row, index in enumerate(batch):
                padded[row, 0, :, : strips[index].shape[1]] = strips[index]
            (logits,) = self._session.run([self._output], {self._input: padded})
            for row, index in enumerate(batch):
                results[index] = softmax(logits[row], temperature=self.card.temperature)
        return results


def padded_width(width: int) -> int:
    """The width at which a strip is read, alone or in a batch."""
    return max(MIN_PADDED_PX, -(-width // _STRIP_STEP_PX) * _STRIP_STEP_PX)


def model_bytes(path_or_bytes: str | Path | bytes) -> tuple[bytes, str]:
    """The model's bytes, and its name for error messages.

    Raises:
        ModelError: a file that cannot be read.
    """
    if isinstance(path_or_bytes, bytes):
        return path_or_bytes, "the model given as bytes"
    try:
        return Path(path_or_bytes).read_bytes(), str(path_or_bytes)
    except OSError as problem:
        raise ModelError(
            f"{path_or_bytes}: cannot be read: {problem.strerror}; give the path of an .onnx file"
        ) from None


def open_session(data: bytes, name: str, threads: int | None) -> ort.InferenceSession:
    """A session for the bytes of a model.

    Raises:
        ModelError: not a model that ONNX Runtime can run, or one that `check_onnx` refuses.
    """
    check_onnx(data, name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # it logs to the terminal; errors are raised anyway
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the runtime has no base class for its errors
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise ModelError(f"{name}: is not an ONNX model that can be run ({reason}); {_EXPECTED}") from None


def _input_of(
    session: ort.InferenceSession, name: str
) -> tuple[str, tuple[int, ...], type[np.floating[Any]], int | None]:
    """The input's name, the shape of one glyph, the number type, and the batch size if it is fixed."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(f"{name}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); {_EXPECTED}")
    (only,) = inputs
    batch, *rest = only.shape or [None]
    if tuple(rest) not in _SHAPES or only.type not in _TYPES:
        raise ModelError(f"{name}: takes {only.type} of shape {tuple(only.shape)}; {_EXPECTED}")
    return only.name, tuple(rest), _TYPES[only.type], batch if isinstance(batch, int) and batch > 0 else None


def _batches_by_width(widths: Sequence[int]) -> list[list[int]]:
    """Indices of pictures in batches of equal width, each of at most `_BATCH_PX` columns.

    Equal, because what stands beside a picture must not change its result: squeeze-and-excitation sees the padding.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda index: widths[index]):
        last = batches[-1] if batches else []
        if last and widths[last[0]] == widths[index] and (len(last) + 1) * widths[index] <= _BATCH_PX:
            last.append(index)
        else:
            batches.append([index])
    return batches
