"""Export of number models: comparison and calibration on held-out crops.

The calibration reads crops as `Reader` does; training may not import reading, so the caller supplies that function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float64

from handigit.card import Combination
from handigit.images.strip import STRIP_PX
from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import (
    Calibration,
    calibrate_numbers,
    choose_cautious_thresholds,
    fit_logistic,
)
from handigit.train.export import Inputs, Signature
from handigit.train.strip_data import StripSet

NUMBER_SIGNATURE = Signature(
    "strips", (2, 1, 48, 160), {0: torch.export.Dim("n"), 3: 32 * torch.export.Dim("steps", min=4, max=40)}
)
"""`(n, 1, 48, width)` float32 in, `(n, frames, classes)` logits out; width is a multiple of 32, at least 128."""
_PARITY_STRIPS: Final = 512
_BATCH: Final = 32
_WEIGHTS: Final = (0.35, 0.5, 0.7, 1.0, 1.4)
_FLOORS: Final = (0.01, 0.001)
"""Exponents and floors of the second model's probability that are tried."""


@dataclass(frozen=True, eq=False)
class HeldOutResult:
    """Held-out crops read by one or two models: features of each number, whether it is correct, and how much it counts.

    `accuracy`: fraction of all crops with a number that were read correctly.
    """

    features: dict[str, Float64[np.ndarray, " n"]]
    correct: Bool[np.ndarray, " n"]
    weights: Float64[np.ndarray, " n"]
    accuracy: float


ReadHeldOut = Callable[[bytes], Callable[[Combination | None], HeldOutResult]]
"""Reads held-out crops with an ONNX file given as bytes, and with the second model if there is one; the result combines
the two in a given way."""


def _card_fields() -> dict[str, Any]:
    return {"task": "number", "name": "number", "input": (1, STRIP_PX, 0), "alphabet": ALPHABET}


@dataclass(frozen=True)
class NumberExporter:
    """Exports a number model and calibrates it: alone, or with a second model, `partner` (SHA-256 of its file)."""

    strips: StripSet
    read: ReadHeldOut
    partner: str | None = None
    max_changed: float = 0.01
    signature: Signature = NUMBER_SIGNATURE
    card_fields: dict[str, Any] = field(default_factory=_card_fields)

    def parity_batches(self) -> Sequence[Inputs]:
        """Held-out strips."""
        batches = list(self.strips.batches(_BATCH))
        return [batch.inputs.numpy() for batch in batches[: _PARITY_STRIPS // _BATCH]]

    def quantisation_batches(self) -> Sequence[Inputs]:
        """Every second of the same strips, each by itself: one faint or blurred strip must not widen all ranges."""
        return [strip[None] for batch in self.parity_batches() for strip in batch[::2]]

    def calibrate(self, content: bytes) -> Calibration:
        """The confidence curve and thresholds from all held-out crops; of two models, also how they are combined."""
        combine = self.read(content)
        if self.partner is None:
            alone = combine(None)
            return calibrate_numbers(alone.features["logit"], alone.correct, alone.weights)
        grid = [
            Combination(partner=self.partner, weight=weight, floor=floor, coefficients={})
            for weight in _WEIGHTS
            for floor in _FLOORS
        ]
        results = [(combine(combination), combination) for combination in grid]
        best, combination = max(results, key=lambda pair: pair[0].accuracy)
        curve = fit_logistic(best.features, best.correct, best.weights)
        fitted = combination.model_copy(update={"intercept": curve.intercept, "coefficients": curve.coefficients})
        thresholds = choose_cautious_thresholds(curve.confidence, best.correct, best.weights)
        return Calibration(thresholds=thresholds, combination=fitted)
