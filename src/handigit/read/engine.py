"""A digit model in an ONNX file, run by ONNX Runtime.

Our own files bring a card; foreign ones (Keras, scikit-learn, a tutorial) are asked what they take and give. It knows
arrays in and scores out, nothing of pictures or outcomes.
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
from handigit.errors import ModelError, PatternError
from handigit.read.ctc import UNKNOWN
from handigit.records import Outcome


def probabilities(logits: Float32[np.ndarray, "n 10"], *, temperature: float) -> Float64[np.ndarray, "n 10"]:
    """How probable each digit is for each glyph."""
    return softmax(logits, temperature=temperature)


def softmax(logits: Float32[np.ndarray, "n classes"], *, temperature: float) -> Float64[np.ndarray, "n classes"]:
    """The softmax of the logits over the temperature: calibration by temperature scaling (Guo et al. 2017)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def outcome(card: Card, *, confidence: float, target_error: float) -> Outcome:
    """What becomes of an input that has ink on it."""
    if confidence < card.digit_floor:
        return Outcome.NOT_A_NUMBER
    return Outcome.READ if confidence >= card.threshold(target_error) else Outcome.DOUBT


log = logging.getLogger(__name__)
BATCH: Final = 256
"""Glyphs in one call: more gain nothing, and memory stays small."""

_ACCEPTED = "give an ONNX model with one float input (n,1,28,28), (n,28,28,1), (n,28,28) or (n,784) and ten outputs"
_SHAPES: Final = ((1, 28, 28), (28, 28, 1), (28, 28), (784,))
_TYPES: Final[dict[str, type[np.floating[Any]]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


class Engine:
    """One loaded model. `card` says what it is, `digest` is the SHA-256 of its file.

    `threads`: processor threads for one call, None for all. Calls from several threads at once are safe.

    Raises:
        ModelError: no such file, not an ONNX model, or not one that takes glyphs and gives ten scores.
    """

    def __init__(self, path_or_bytes: str | Path | bytes, *, threads: int | None = None) -> None:
        data, self._name = model_bytes(path_or_bytes)
        self.digest = hashlib.sha256(data).hexdigest()
        self._session = open_session(data, self._name, threads)
        self._input, self._shape, self._type, self._fixed_batch = _input_of(self._session, self._name)
        self._output = self._session.get_outputs()[0].name
        self.card = self._own_card() or self._card_by_probing()
        log.info("model %s, sha256 %s", self.card.name, self.digest)

    def logits(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """The scores of each glyph; of a model that gives probabilities, their logarithms."""
        scores = self._scores(glyphs)
        if self.card.output == "probabilities":
            scores = np.log(np.maximum(scores, 1e-12))
        return scores

    def probabilities(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float64[np.ndarray, "n 10"]:
        """How probable each digit is for each glyph, calibrated by the card's temperature."""
        return probabilities(self.logits(glyphs), temperature=self.card.temperature)

    def _scores(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """What the model itself gives."""
        step = self._fixed_batch or BATCH
        parts = [self._run(glyphs[start : start + step]) for start in range(0, len(glyphs), step)]
        return np.concatenate(parts) if parts else np.zeros((0, 10), np.float32)

    def _run(self, glyphs: Float32[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
        """One call; a model of fixed batch size gets its last batch filled up with empty glyphs."""
        count = len(glyphs)
        if self._fixed_batch and count < self._fixed_batch:
            glyphs = np.concatenate([glyphs, np.zeros((self._fixed_batch - count, 28, 28), np.float32)])
        batch = glyphs.reshape(-1, *self._shape).astype(self._type, copy=False)
        (scores,) = self._session.run([self._output], {self._input: batch})
        if scores.shape != (len(glyphs), 10):
            raise ModelError(
                f"{self._name}: gives scores of shape {scores.shape} for {len(glyphs)} glyphs; {_ACCEPTED}"
            )
        return np.asarray(scores[:count], np.float32)

    def _own_card(self) -> Card | None:
        """The card in the file's metadata, if it is a model of ours."""
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            return None
        card = Card.from_json(text, source=self._name)
        if card.task != "digit":
            raise ModelError(f"{self._name}: is a model for the task {card.task!r}; give one for 'digit'")
        self._run(np.zeros((1, 28, 28), np.float32))
        return card

    def _card_by_probing(self) -> Card:
        """A card for a foreign model: rows that sum to 1 on anything are probabilities, other scores logits."""
        noise = np.random.default_rng(0).random((4, 28, 28), np.float32)
        try:
            scores = self._scores(noise)
        except ModelError:
            raise
        except Exception as problem:  # the runtime has no one class for its errors
            raise ModelError(f"{self._name}: fails on 28x28 glyphs ({problem}); {_ACCEPTED}") from None
        sums_to_one = bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3) and scores.min() >= 0)
        return Card(
            name=Path(self._name).stem,
            architecture="unknown",
            input=self._shape,
            output="probabilities" if sums_to_one else "logits",
            licence="unknown",
        )


def model_bytes(path_or_bytes: str | Path | bytes) -> tuple[bytes, str]:
    """The model's bytes, and what to call it in an error.

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
    """A session that runs these bytes.

    Raises:
        ModelError: they are no model that can be run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # its warnings go to the terminal; what matters comes as an exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the runtime has no one class for its errors
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise ModelError(f"{name}: is not an ONNX model that can be run ({reason}); {_ACCEPTED}") from None


def _input_of(
    session: ort.InferenceSession, name: str
) -> tuple[str, tuple[int, ...], type[np.floating[Any]], int | None]:
    """The input's name, the shape of one glyph, its number type, and the batch size where that is fixed."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(f"{name}: has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); {_ACCEPTED}")
    (only,) = inputs
    batch, *rest = only.shape or [None]
    if tuple(rest) not in _SHAPES or only.type not in _TYPES:
        raise ModelError(f"{name}: takes {only.type} of shape {tuple(only.shape)}; {_ACCEPTED}")
    return only.name, tuple(rest), _TYPES[only.type], batch if isinstance(batch, int) and batch > 0 else None


_STEP_PX: Final = 8
"""Lines are padded to a multiple of this width, as when the model was trained."""
_BATCH_PX: Final = 6144
"""Columns in one call: more gain nothing, and memory stays small."""


class LineEngine:
    """One loaded number model. `card` says what it is, `digest` is the SHA-256 of its file.

    `threads`: processor threads for one call, None for all. Calls from several threads at once are safe.

    Raises:
        ModelError: no such file, or not a number model of ours.
    """

    def __init__(self, path_or_bytes: str | Path | bytes, *, threads: int | None = None) -> None:
        data, name = model_bytes(path_or_bytes)
        self.digest = hashlib.sha256(data).hexdigest()
        self._session = open_session(data, name, threads)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{name}: has no card; a number model is written by `handigit export`")
        self.card = Card.from_json(text, source=name)
        if self.card.task != "number":
            raise ModelError(f"{name}: is a model for the task {self.card.task!r}; give one for 'number'")
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name

    def barred(self, alphabet: str) -> tuple[int, ...]:
        """The classes that an alphabet leaves out; what is no part of a number may always be there.

        Raises:
            PatternError: a character that the model does not know.
        """
        known = self.card.alphabet
        if odd := sorted(set(alphabet) - set(known)):
            raise PatternError(f"the alphabet {alphabet!r} has {odd[0]!r} in it; the model knows {known}")
        return tuple(1 + place for place, one in enumerate(known) if one not in alphabet and one != UNKNOWN)

    def shares(
        self, lines: Sequence[Float32[np.ndarray, "32 _"]], *, barred: Sequence[int] = ()
    ) -> list[Float64[np.ndarray, "frames classes"]]:
        """How probable each class is in each frame of each line, calibrated by the card's temperature.

        Classes that are `barred` cannot be meant; the others share what they had.
        """
        answers: list[Float64[np.ndarray, "frames classes"]] = [np.zeros((0, 0))] * len(lines)
        for batch in _batches([line.shape[1] for line in lines]):
            width = -(-max(lines[index].shape[1] for index in batch) // _STEP_PX) * _STEP_PX
            padded = np.zeros((len(batch), 1, 32, width), np.float32)
            for place, index in enumerate(batch):
                padded[place, 0, :, : lines[index].shape[1]] = lines[index]
            (logits,) = self._session.run([self._output], {self._input: padded})
            frames_a_px = logits.shape[1] / width
            for place, index in enumerate(batch):
                frames = round(-(-lines[index].shape[1] // 4) * 4 * frames_a_px)
                seen = logits[place, :frames]
                seen[:, list(barred)] = -np.inf
                answers[index] = softmax(seen, temperature=self.card.temperature)
        return answers


def _batches(widths: Sequence[int]) -> list[list[int]]:
    """Lines of about one width together, none of them in more columns than are read in one call."""
    batches: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda index: widths[index]):
        if batches and (len(batches[-1]) + 1) * widths[index] <= _BATCH_PX:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
