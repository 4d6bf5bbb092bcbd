"""Samples on the device that trains, batches drawn from them, and what each batch asks of the network.

It knows nothing of networks, optimisers and files. Everything random comes from the generator it is handed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from handigit.augment import rewrite, spoil
from handigit.data import Dataset
from handigit.errors import DataError
from handigit.recipe import Recipe
from handigit.train.distill import Lessons

NO_DIGIT = -1


@dataclass(frozen=True)
class Samples:
    """Glyphs and labels on the device that trains; after the digits come `outliers` glyphs that are none."""

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
            raise DataError(f"{dataset.name}: {len(dataset)} samples, of which none has a label to learn from")
        return cls(torch.from_numpy(dataset.glyphs).to(device), torch.from_numpy(dataset.labels).to(device))

    def __len__(self) -> int:
        """Digits; outliers are not counted."""
        return len(self.labels) - self.outliers

    def with_outliers(self, glyphs: UInt8[Tensor, "m 28 28"]) -> "Samples":
        """The same digits, followed by glyphs that are no digit."""
        labels = torch.full((len(glyphs),), NO_DIGIT, dtype=torch.int64, device=glyphs.device)
        return Samples(torch.cat([self.glyphs, glyphs]), torch.cat([self.labels, labels]), self.outliers + len(glyphs))

    def take(self, indices: Int64[Tensor, " m"]) -> Float[Tensor, "m 1 28 28"]:
        """Some glyphs as the network takes them, 0..1."""
        return self.glyphs[indices].unsqueeze(1).float() / 255


@dataclass(frozen=True)
class Batch:
    """Augmented glyphs, digits first, and their labels; `answers` are the teachers' logits on the digits."""

    glyphs: Float[Tensor, "n 1 28 28"]
    labels: Int64[Tensor, " n"]
    answers: Float[Tensor, "digits 10"] | None = None


def count_batches(samples: Samples, recipe: Recipe) -> int:
    """Steps in an epoch: samples that do not fill a batch wait for the next."""
    return max(1, round(len(samples) * recipe.epoch_share) // recipe.batch_size)


def draw_batches(
    samples: Samples, recipe: Recipe, generator: Generator, *, lessons: Lessons | None = None
) -> Iterator[Batch]:
    """One epoch's batches in random order, augmented; digits come as one of their lessons where there are any."""
    order = torch.randperm(len(samples), generator=generator)
    size = min(recipe.batch_size, len(order))
    extra = round(size * recipe.outlier_share) if samples.outliers else 0
    for start in range(0, count_batches(samples, recipe) * size, size):
        digits = order[start : start + size]
        none = len(samples) + torch.randint(max(1, samples.outliers), (extra,), generator=generator)
        chosen = torch.cat([digits, none]).to(samples.labels.device)
        if lessons:
            seen, answers = (part.to(samples.labels.device) for part in lessons.take(digits, generator))
            glyphs = torch.cat([seen, rewrite(samples.take(chosen[size:]), recipe, generator)]) if extra else seen
        else:
            glyphs, answers = rewrite(samples.take(chosen), recipe, generator), None
        glyphs = spoil(glyphs, recipe, generator).contiguous(memory_format=torch.channels_last)
        yield Batch(glyphs, samples.labels[chosen], answers)


def batch_loss(logits: Float[Tensor, "n 10"], batch: Batch, recipe: Recipe) -> Float[Tensor, ""]:
    """Cross-entropy with the labels; on digits with teachers, partly the distance from their answers.

    That distance is Kullback and Leibler's at a temperature, times its square, so that its gradients keep their size
    (Hinton et al. 2015). Where the teachers take a digit for another one the label alone is learnt: their mistakes on
    hands that they know less well are no lesson.
    """
    loss = F.cross_entropy(logits, targets(batch.labels, recipe.label_smoothing), reduction="none")
    if batch.answers is None:
        return loss.mean()
    digits = len(batch.answers)
    taught = F.log_softmax(batch.answers / recipe.softness, dim=1)
    learnt = F.log_softmax(logits[:digits] / recipe.softness, dim=1)
    distance = F.kl_div(learnt, taught, reduction="none", log_target=True).sum(1) * recipe.softness**2
    share = recipe.teaching * (batch.answers.argmax(1) == batch.labels[:digits])
    mixed = (1 - share) * loss[:digits] + share * distance
    return torch.cat([mixed, loss[digits:]]).mean()


def targets(labels: Int64[Tensor, " n"], smoothing: float) -> Float[Tensor, "n 10"]:
    """What the network should answer: the digit, smoothed; all ten equally for what is none (Hendrycks et al. 2019)."""
    digits = F.one_hot(labels.clamp(min=0), 10) * (1 - smoothing) + smoothing / 10
    return torch.where((labels == NO_DIGIT)[:, None], 0.1, digits)
