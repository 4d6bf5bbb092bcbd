"""Export of digit models: comparison on training glyphs, calibration on augmented validation glyphs and non-digits."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own abbreviation
from jaxtyping import Float, Float32, UInt8
from torch import Generator, Tensor, nn

from handigit.augment import augment
from handigit.errors import RunError
from handigit.recipe import Recipe
from handigit.synth import digits, nondigits
from handigit.train.calibrate import Calibration, calibrate_digits
from handigit.train.digit_data import DigitData
from handigit.train.digit_task import Samples
from handigit.train.distill import find_teachers, mean_logits
from handigit.train.export import Inputs, Session, Signature
from handigit.train.trainer import load_model

log = logging.getLogger(__name__)

DIGIT_SIGNATURE = Signature("glyphs", (2, 1, 28, 28), {0: torch.export.Dim("n")})
"""`(n, 1, 28, 28)` float32 in, `(n, 10)` logits out."""
_PARITY_GLYPHS = 10_000
_QUANTISATION_GLYPHS = 1000
_BATCH = 1000
_QUANTISATION_BATCH = 100
_NONDIGITS_PER_DIGIT = 0.1
_DISPUTED = 0.9
_SYNTHETIC_DIGITS = 5000


@dataclass(frozen=True)
class DigitExporter:
    """Exports a digit model that was trained on this data."""

    recipe: Recipe
    data: DigitData
    max_changed: float = 0.002
    signature: Signature = DIGIT_SIGNATURE
    card_fields: dict[str, Any] = field(default_factory=dict)

    def parity_batches(self) -> Sequence[Inputs]:
        """The first 10,000 training glyphs."""
        return as_batches(self.data.train.glyphs[:_PARITY_GLYPHS], _BATCH)

    def quantisation_batches(self) -> Sequence[Inputs]:
        """1,000 training glyphs and an augmented copy of each."""
        few = self.data.train.take(np.arange(min(_QUANTISATION_GLYPHS, len(self.data.train))))
        samples = with_augmented_copy(Samples.of(few, torch.device("cpu")), self.recipe)
        return as_batches(samples.glyphs.numpy(), _QUANTISATION_BATCH)

    def calibrate(self, content: bytes) -> Calibration:
        """Temperature, thresholds and floor from validation digits, an augmented copy of each, and new non-digits.

        Digits whose labels the teachers dispute are left out: most of those labels are wrong, and with one in a few
        hundred they would decide the strict thresholds.
        """
        held_out = without_disputed(self._held_out(), load_teachers(self.recipe))
        samples = with_augmented_copy(held_out, self.recipe)
        nondigit_glyphs = held_out_nondigits(self.recipe, round(len(samples) * _NONDIGITS_PER_DIGIT))
        logits, outliers = (glyph_logits(content, g) for g in (samples.glyphs.numpy(), nondigit_glyphs))
        return calibrate_digits(logits, samples.labels, outliers)

    def _held_out(self) -> Samples:
        """The validation split; without one, synthetic digits of writers that training has not seen."""
        if len(self.data.validation):
            return Samples.of(self.data.validation, torch.device("cpu"))
        drawn = digits(_SYNTHETIC_DIGITS, seed=self.recipe.drawn_from + 3_000_000)
        return Samples(torch.from_numpy(drawn.glyphs), torch.from_numpy(drawn.labels))


def load_teachers(recipe: Recipe) -> list[nn.Module]:
    """The recipe's teachers, without those whose runs are not here."""
    try:
        return [load_model(run) for run in find_teachers(recipe)]
    except RunError as problem:
        log.warning("labels of the validation digits are not checked: %s", problem)
        return []


@torch.no_grad()
def without_disputed(samples: Samples, teachers: Sequence[nn.Module]) -> Samples:
    """The samples but those that the teachers together take for another digit with a probability of 0.9."""
    if not teachers:
        return samples
    glyphs = torch.split(samples.take(torch.arange(len(samples))), _BATCH)
    probs = torch.cat([F.softmax(mean_logits(some, teachers, precision="float32"), dim=1) for some in glyphs])
    confidence, answer = probs.max(dim=1)
    kept = (answer == samples.labels) | (confidence < _DISPUTED)
    return Samples(samples.glyphs[kept], samples.labels[kept])


def as_batches(glyphs: UInt8[np.ndarray, "n 28 28"], size: int) -> list[Float32[np.ndarray, "_ 1 28 28"]]:
    """Glyphs as model inputs, 0..1."""
    inputs = glyphs[:, None].astype(np.float32) / 255
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def glyph_logits(content: bytes, glyphs: UInt8[np.ndarray, "n 28 28"]) -> Float[Tensor, "n 10"]:
    """Logits of an ONNX file for glyphs."""
    session = Session(content)
    return torch.from_numpy(np.concatenate([session.logits(batch) for batch in as_batches(glyphs, _BATCH)]))


def held_out_nondigits(recipe: Recipe, count: int) -> UInt8[np.ndarray, "m 28 28"]:
    """Non-digits of every kind by writers that no run with this recipe has trained on."""
    # Training draws its non-digits with the data seed plus one million.
    return nondigits(count, seed=recipe.drawn_from + 2_000_000).glyphs


def with_augmented_copy(samples: Samples, recipe: Recipe) -> Samples:
    """The samples and a copy augmented as in training.

    Calibrated on clean glyphs alone, a model would be overconfident on real pictures.
    """
    copies = augment(samples.take(torch.arange(len(samples))), recipe, Generator().manual_seed(recipe.seed))
    glyphs = (copies[:, 0] * 255).round().to(torch.uint8)
    return Samples(torch.cat([samples.glyphs, glyphs]), torch.cat([samples.labels, samples.labels]))
