"""A number model in an ONNX file, run by ONNX Runtime: lines in, frames out.

It knows arrays, nothing of pictures, texts or outcomes.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError, PatternError
from handigit.read.confidence import softmax
from handigit.read.decode import UNKNOWN
from handigit.read.engine import model_bytes, open_session

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
