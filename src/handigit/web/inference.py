"""The two networks on tensors, in batches, for the Open Inference Protocol."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float32, Float64

from handigit.web.batching import BatchPolicy, BatchQueue, queue_problems
from handigit.web.model_registry import Models

Pictures = Float32[np.ndarray, "n height width"]
Probs = Float64[np.ndarray, "n *classes"]


class Inference:
    """Runs the active model on glyphs or lines; used from one event loop."""

    def __init__(self, models: Models, policy: BatchPolicy) -> None:
        self._models = models
        self.queues: dict[str, BatchQueue[Pictures, Probs]] = {
            "digit": BatchQueue("infer-digit", self._infer_digits, policy),
            "number": BatchQueue("infer-number", self._infer_numbers, policy),
        }

    async def run(self, model: str, pictures: Pictures, *, within_s: float) -> Probs:
        """Probabilities of each digit per glyph, or of each character per frame of each line.

        Raises:
            Problem: no capacity, or no answer in time.
        """
        with queue_problems(within_s):
            (probs,) = await self.queues[model].submit([pictures], within_s=within_s)
        if isinstance(probs, Exception):
            raise probs
        return probs

    def _infer_digits(self, batch: Sequence[Pictures]) -> list[Probs]:
        probs = self._models.active.reader.engine.probabilities(np.concatenate(batch))
        return np.split(probs, np.cumsum([len(glyphs) for glyphs in batch])[:-1])

    def _infer_numbers(self, batch: Sequence[Pictures]) -> list[Probs]:
        probs = iter(
            self._models.active.reader.number_engine.probabilities([strip for strips in batch for strip in strips])
        )
        return [np.stack(list(islice(probs, len(strips)))) for strips in batch]
