"""A number model: strips in, the probabilities of each character per frame out."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError
from handigit.images.cancellation import check_cancelled
from handigit.images.strip import MIN_PADDED_PX, STRIP_PX
from handigit.read.engine import model_bytes, open_session, softmax

_BATCH_PX: Final = 6144
"""Columns of lines per call, more are no faster and take more memory."""
_STRIP_STEP_PX: Final = 32
"""Strips are padded to a multiple of this width, as in training."""


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
            check_cancelled()
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


def _batches_by_width(widths: Sequence[int]) -> list[list[int]]:
    """Indices of pictures in batches of equal width, each of at most `_BATCH_PX` columns.

    Equal, because its neighbours in a batch must not change a result: squeeze-and-excitation sees the padding.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda index: widths[index]):
        last = batches[-1] if batches else []
        if last and widths[last[0]] == widths[index] and (len(last) + 1) * widths[index] <= _BATCH_PX:
            last.append(index)
        else:
            batches.append([index])
    return batches
