"""Train digit models: augmented glyphs, cross-entropy with optional distillation, accuracy on held-out digits."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own abbreviation
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor, nn

from handigit.augment import degrade, reshape
from handigit.data import Dataset
from handigit.errors import DataError
from handigit.recipe import Recipe
from handigit.train.digit_data import DigitData
from handigit.train.distill import FOLDER as SOFT_TARGETS_FOLDER
from handigit.train.distill import SoftTargets, find_teachers, load_soft_targets
from handigit.train.hard_examples import difficulty, sample
from handigit.train.trainer import BatchLoss, epoch_seed

NON_DIGIT = -1
"""Label of a glyph that is not a digit."""
_SCORING_BATCH = 1000


@dataclass(frozen=True)
class Samples:
    """Glyphs and labels on the training device; the last `outliers` glyphs are non-digits."""

    glyphs: UInt8[Tensor, "n 28 28"]
    labels: Int64[Tensor, " n"]
    outliers: int = 0

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device) -> "Samples":
        """A data set as tensors.

        Raises:
            DataError: it has no labels or no samples.
        """
        if dataset.labels is None or len(dataset) == 0:
            raise DataError(f"{dataset.name}: {len(dataset)} samples without labels; training needs labelled digits")
        return cls(torch.from_numpy(dataset.glyphs).to(device), torch.from_numpy(dataset.labels).to(device))

    def __len__(self) -> int:
        """Number of digits, without outliers."""
        return len(self.labels) - self.outliers

    def with_outliers(self, glyphs: UInt8[Tensor, "m 28 28"]) -> "Samples":
        """The same digits followed by non-digits."""
        labels = torch.full((len(glyphs),), NON_DIGIT, dtype=torch.int64, device=glyphs.device)
        return Samples(torch.cat([self.glyphs, glyphs]), torch.cat([self.labels, labels]), self.outliers + len(glyphs))

    def take(self, indices: Int64[Tensor, " m"]) -> Float[Tensor, "m 1 28 28"]:
        """Selected glyphs as network input, 0..1."""
        return self.glyphs[indices].unsqueeze(1).float() / 255


@dataclass(frozen=True)
class DigitBatch:
    """Augmented glyphs, digits first, and their labels; `teacher_logits` belong to the digits."""

    inputs: Float[Tensor, "n 1 28 28"]
    labels: Int64[Tensor, " n"]
    teacher_logits: Float[Tensor, "digits 10"] | None = None


class DigitTask:
    """Learn digits from labelled glyphs."""

    max_grad_norm: float | None = None

    def __init__(
        self,
        recipe: Recipe,
        samples: Samples,
        *,
        held_out: Samples | None = None,
        data: DigitData | None = None,
    ) -> None:
        """`data` is what `samples` were made from; a recipe with teachers needs it, and so does export."""
        self.recipe, self.samples, self.held_out, self.data = recipe, samples, held_out, data
        self.device = samples.labels.device
        self.soft_targets: SoftTargets | None = None

    @classmethod
    def of(cls, recipe: Recipe, data: DigitData, *, device: torch.device) -> "DigitTask":
        """The task on a recipe's data.

        Raises:
            DataError: no labelled training samples.
            RunError: a teacher is not a finished run.
        """
        find_teachers(recipe)
        samples = Samples.of(data.train, device)
        if data.outliers:
            samples = samples.with_outliers(torch.from_numpy(data.outliers.glyphs).to(device))
        held_out = Samples.of(data.validation, device) if len(data.validation) else None
        return cls(recipe, samples, held_out=held_out, data=data)

    @property
    def metadata(self) -> dict[str, Any]:
        """What `run.json` records."""
        return self.data.metadata if self.data else {}

    def __str__(self) -> str:
        return str(self.data) if self.data else f"{len(self.samples):,} training samples"

    def open(self, run_folder: Path) -> None:
        """Load the teachers' soft targets; they are cached beside the run, so that other seeds share them.

        Raises:
            RunError: a teacher is not a finished run.
        """
        if self.data is not None:
            self.soft_targets = load_soft_targets(self.data.train, self.recipe, run_folder.parent / SOFT_TARGETS_FOLDER)

    def close(self) -> None:
        """Nothing to release."""

    def steps(self, epoch: int) -> int:  # noqa: ARG002 - every epoch has as many
        """Batches per epoch; the samples that do not fill a batch are left out."""
        return max(1, round(len(self.samples) * self.recipe.epoch_share) // self.recipe.batch_size)

    def batches(self, epoch: int) -> Iterator[DigitBatch]:
        """One epoch's augmented batches in random order; with teachers, digits come from the soft targets."""
        generator = Generator().manual_seed(epoch_seed(self.recipe, epoch))
        samples, recipe = self.samples, self.recipe
        size = min(recipe.batch_size, len(samples))
        order = self._order(self.steps(epoch) * size, generator)
        outlier_count = round(size * recipe.outlier_share) if samples.outliers else 0
        for start in range(0, self.steps(epoch) * size, size):
            digits = order[start : start + size]
            outliers = len(samples) + torch.randint(max(1, samples.outliers), (outlier_count,), generator=generator)
            indices = torch.cat([digits, outliers]).to(self.device)
            teacher_logits = None
            if self.soft_targets:
                copies, teacher_logits = (t.to(self.device) for t in self.soft_targets.draw(digits, generator))
                others = samples.take(indices[size:])
                glyphs = torch.cat([copies, reshape(others, recipe, generator)]) if outlier_count else copies
            else:
                glyphs = reshape(samples.take(indices), recipe, generator)
            yield DigitBatch(degrade(glyphs, recipe, generator), samples.labels[indices], teacher_logits)

    def _order(self, count: int, generator: Generator) -> Int64[Tensor, " count"]:
        """Indices of the digits of an epoch, in random order."""
        if self.recipe.hard_examples and count < len(self.samples):
            return sample(self._difficulty**self.recipe.hard_examples, count, generator)
        return torch.randperm(len(self.samples), generator=generator)

    @cached_property
    def _difficulty(self) -> Float[Tensor, " n"]:
        count = len(self.samples)
        return difficulty(self.samples.glyphs[:count], self.samples.labels[:count])

    def loss(self, logits: Float[Tensor, "n 10"], batch: DigitBatch) -> BatchLoss:
        """The loss of one batch, and how many of its digits were right."""
        correct = int((logits.argmax(1) == batch.labels).sum())
        return BatchLoss(digit_loss(logits, batch, self.recipe), correct, int((batch.labels != NON_DIGIT).sum()))

    def score(self, model: nn.Module) -> tuple[float, float] | None:
        """Mean cross-entropy and accuracy on the held-out digits."""
        return score_digits(model, self.held_out) if self.held_out else None


def digit_loss(logits: Float[Tensor, "n 10"], batch: DigitBatch, recipe: Recipe) -> Float[Tensor, ""]:
    """Cross-entropy with the labels; with teachers, mixed with the distance from their answers.

    The distance is the Kullback-Leibler divergence at the recipe's temperature, times its square so that gradients
    keep their size (Hinton et al. 2015). Where the teachers misclassify a digit only the label counts.
    """
    loss = F.cross_entropy(logits, label_targets(batch.labels, recipe.label_smoothing), reduction="none")
    if batch.teacher_logits is None:
        return loss.mean()
    digits = len(batch.teacher_logits)
    teacher = F.log_softmax(batch.teacher_logits / recipe.softness, dim=1)
    student = F.log_softmax(logits[:digits] / recipe.softness, dim=1)
    distance = F.kl_div(student, teacher, reduction="none", log_target=True).sum(1) * recipe.softness**2
    weight = recipe.teaching * (batch.teacher_logits.argmax(1) == batch.labels[:digits])
    mixed = (1 - weight) * loss[:digits] + weight * distance
    return torch.cat([mixed, loss[digits:]]).mean()


def label_targets(labels: Int64[Tensor, " n"], smoothing: float) -> Float[Tensor, "n 10"]:
    """Target probabilities: the smoothed digit, or uniform for a non-digit (Hendrycks et al. 2019)."""
    digits = F.one_hot(labels.clamp(min=0), 10) * (1 - smoothing) + smoothing / 10
    return torch.where((labels == NON_DIGIT)[:, None], 0.1, digits)


@torch.no_grad()
def predict_logits(model: nn.Module, samples: Samples) -> Float[Tensor, "n 10"]:
    """Logits for every digit, in float32 and without augmentation."""
    model.eval()
    parts = torch.split(torch.arange(len(samples), device=samples.labels.device), _SCORING_BATCH)
    return torch.cat([model(samples.take(part).contiguous(memory_format=torch.channels_last)) for part in parts])


def score_digits(model: nn.Module, samples: Samples) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits = predict_logits(model, samples)
    accuracy = (logits.argmax(1) == samples.labels).float().mean()
    return F.cross_entropy(logits, samples.labels).item(), accuracy.item()
