"""Export of number models: comparison and calibration on held-out lines.

The calibration reads lines as `Reader` does; training may not import reading, so the caller supplies that function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64

from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import Calibration, calibrate_numbers
from handigit.train.export import Inputs, Signature
from handigit.train.line_data import LineSet

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
