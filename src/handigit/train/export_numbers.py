"""Export of number models: comparison and calibration on held-out lines.

The calibration reads lines as `Reader` does; training may not import reading, so the caller supplies that function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float64

from handigit.card import Combination
from handigit.synth.number_texts import ALPHABET, STRIP_ALPHABET
from handigit.train.calibrate import (
    Calibration,
    calibrate_numbers,
    calibrate_pair,
    choose_cautious_thresholds,
)
from handigit.train.export import Inputs, Signature
from handigit.train.line_data import LineSet
from handigit.train.strip_data import StripSet

NUMBER_SIGNATURE = Signature(
    "lines", (2, 1, 32, 96), {0: torch.export.Dim("n"), 3: 8 * torch.export.Dim("eighths", min=1, max=4096)}
)
"""`(n, 1, 32, width)` float32 in, `(n, frames, classes)` logits out; width is a multiple of 8."""
_PARITY_LINES = 512
_BATCH = 32


@dataclass(frozen=True, eq=False)
class HeldOutResult:
    """The probability of each line's best text, and whether that text is correct."""

    probability: Float64[np.ndarray, " n"]
    correct: Bool[np.ndarray, " n"]


ReadLines = Callable[[bytes, LineSet], HeldOutResult]
"""Reads held-out lines with an ONNX file given as bytes."""


def _card_fields() -> dict[str, Any]:
    return {"task": "number", "name": "number", "input": (1, 32, 0), "alphabet": ALPHABET}


@dataclass(frozen=True)
class NumberExporter:
    """Exports a number model and calibrates it on held-out lines."""

    held_out: LineSet
    read_lines: ReadLines
    max_changed: float = 0.01
    signature: Signature = NUMBER_SIGNATURE
    card_fields: dict[str, Any] = field(default_factory=_card_fields)

    def parity_batches(self) -> Sequence[Inputs]:
        """The first 512 held-out lines."""
        indices = np.arange(min(_PARITY_LINES, len(self.held_out)))
        groups = [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
        return [self.held_out.batch(group).inputs.numpy() for group in groups]

    def quantisation_batches(self) -> Sequence[Inputs]:
        """The same lines."""
        return self.parity_batches()

    def calibrate(self, content: bytes) -> Calibration:
        """The confidence curve and thresholds from all held-out lines."""
        result = self.read_lines(content, self.held_out)
        return calibrate_numbers(result.probability, result.correct)


STRIP_SIGNATURE = Signature(
    "strips", (2, 1, 48, 160), {0: torch.export.Dim("n"), 3: 32 * torch.export.Dim("steps", min=4, max=40)}
)
"""`(n, 1, 48, width)` float32 in, `(n, frames, classes)` logits out; width is a multiple of 32, at least 128."""
_WEIGHTS: Final = (0.2, 0.35, 0.5, 0.7, 1.0)
_FLOORS: Final = (0.01, 0.001)
"""Exponents and floors of the second model's probability that are tried."""


@dataclass(frozen=True, eq=False)
class PairResult:
    """Held-out crops read by two models: features of each number that was read, and whether it is correct.

    `accuracy`: fraction of all crops with a number that were read correctly.
    """

    features: dict[str, Float64[np.ndarray, " n"]]
    correct: Bool[np.ndarray, " n"]
    accuracy: float


ReadPairs = Callable[[bytes], Callable[[Combination], PairResult]]
"""Reads held-out crops with an ONNX file given as bytes; the result combines the two models in a given way."""


def _strip_card_fields() -> dict[str, Any]:
    return {
        "task": "number",
        "name": "number",
        "input": (1, 48, 0),
        "alphabet": STRIP_ALPHABET,
        "licence": "MIT; starts from PP-OCRv6 small, Apache-2.0",
    }


@dataclass(frozen=True)
class StripExporter:
    """Exports a model of strips and calibrates it together with a second model, `partner` (SHA-256 of its file)."""

    strips: StripSet
    read_pairs: ReadPairs
    partner: str
    max_changed: float = 0.01
    signature: Signature = STRIP_SIGNATURE
    card_fields: dict[str, Any] = field(default_factory=_strip_card_fields)

    def parity_batches(self) -> Sequence[Inputs]:
        """Held-out strips."""
        batches = list(self.strips.batches(_BATCH))
        return [batch.inputs.numpy() for batch in batches[: _PARITY_LINES // _BATCH]]

    def quantisation_batches(self) -> Sequence[Inputs]:
        """The same strips."""
        return self.parity_batches()

    def calibrate(self, content: bytes) -> Calibration:
        """The combination that reads most held-out crops correctly, its confidence curve and thresholds."""
        combine = self.read_pairs(content)
        grid = [
            Combination(partner=self.partner, weight=weight, floor=floor, coefficients={})
            for weight in _WEIGHTS
            for floor in _FLOORS
        ]
        results = [(combine(combination), combination) for combination in grid]
        best, combination = max(results, key=lambda pair: pair[0].accuracy)
        curve = calibrate_pair(best.features, best.correct)
        fitted = combination.model_copy(update={"intercept": curve.intercept, "coefficients": curve.coefficients})
        thresholds = choose_cautious_thresholds(curve.confidence, best.correct)
        return Calibration(thresholds=thresholds, combination=fitted)
