"""Train number models to read strips: drawn ones mixed with real strings, scored on held-out writers."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own abbreviation
from jaxtyping import Float
from torch import Tensor, nn

from handigit.recipe import Recipe
from handigit.synth.number_texts import ALPHABET
from handigit.train.digit_data import code_version
from handigit.train.prefetch import Prefetched
from handigit.train.run import describe_machine
from handigit.train.strip_data import StripBatch, StripSet, StripSource, mix_batches
from handigit.train.trainer import BatchLoss, epoch_seed

_HELD_OUT_STRIPS: Final = 1200
_SCORING_BATCH: Final = 32
_OWN_SHARE: Final = 0.5
"""Share of the real strings that come from the recipe's own tables, if it names any."""


class NumberTask:
    """Learn to read strips: each epoch takes one set of drawn strips, mixed with real strings."""

    max_grad_norm: float | None = 2.0

    def __init__(self, recipe: Recipe, source: StripSource, *, device: torch.device | None = None) -> None:
        """Data sets are read from the source's folder.

        Raises:
            DataError: a set of strings cannot be used.
        """
        self.recipe, self.source, self.device = recipe, source, device or torch.device("cpu")
        self.strings = source.strings("train")
        self._prefetched: Prefetched[StripSet] | None = None
        self._held_out: list[StripSet] = []

    @property
    def metadata(self) -> dict[str, Any]:
        """What `run.json` records."""
        counts = [len(strips) for strips in self.strings]
        return {"code_version": code_version(), "machine": describe_machine(self.device), "real_strings": counts}

    def __str__(self) -> str:
        return (
            f"{self.recipe.lines:,} strips per epoch, drawn during training, and {sum(map(len, self.strings)):,} real"
        )

    def open(self, run_folder: Path) -> None:
        """Start drawing strips into the run's folder, and draw those that are held out."""
        self._prefetched = Prefetched(self.source, run_folder / "strips", self.recipe.line_sets, StripSet.load)
        self._held_out = [*self.source.strings("validation"), self.source.draw_held_out(_HELD_OUT_STRIPS)]

    def close(self) -> None:
        """Stop drawing; delete the strips of a finished run."""
        if self._prefetched is None:
            return
        self._prefetched.close()
        if (self._prefetched.folder.parent / "weights.safetensors").is_file():
            shutil.rmtree(self._prefetched.folder)

    def steps(self, epoch: int) -> int:  # noqa: ARG002 - epochs are equally long
        """Batches in an epoch, real strings included."""
        return max(1, round(self.recipe.lines / (1 - self.recipe.string_share) / self.recipe.batch_size))

    def batches(self, epoch: int) -> Iterator[StripBatch]:
        """One epoch's varied batches."""
        assert self._prefetched is not None, "open() starts drawing strips"
        sets = [(strips, weight) for strips, weight in zip(self.strings, self._string_weights(), strict=True)]
        sets.append((self._prefetched.set_for(epoch), 1 - self.recipe.string_share))
        rng = np.random.default_rng(epoch_seed(self.recipe, epoch))
        for batch in mix_batches(sets, size=self.recipe.batch_size, steps=self.steps(epoch), rng=rng):
            yield replace(batch, inputs=batch.inputs.to(self.device))

    def _string_weights(self) -> list[float]:
        """Each real set's share of a batch, by the square root of its size; half of all for the recipe's own tables."""
        own = [index >= len(self.strings) - len(self.recipe.strings) for index in range(len(self.strings))]
        halves = [self.recipe.string_share * (_OWN_SHARE if any(own) else 0.0)]
        halves.insert(0, self.recipe.string_share - halves[0])
        roots = [len(strips) ** 0.5 for strips in self.strings]
        sums = [sum(root for root, mine in zip(roots, own, strict=True) if mine is kind) for kind in (False, True)]
        return [halves[mine] * root / sums[mine] for root, mine in zip(roots, own, strict=True)]

    def loss(self, logits: Float[Tensor, "n frames classes"], batch: StripBatch) -> BatchLoss:
        """The loss of one batch."""
        return BatchLoss(ctc_loss(logits, batch.texts, robust_loss=self.recipe.robust_loss))

    def score(self, model: nn.Module) -> tuple[float, float] | None:
        """Mean loss and fraction of strips with all digits right, averaged over the held-out sets."""
        scores = [score_strips(model, strips, device=self.device) for strips in self._held_out]
        return float(np.mean([loss for loss, _ in scores])), float(np.mean([correct for _, correct in scores]))


def ctc_loss(
    logits: Float[Tensor, "n frames classes"], texts: tuple[str, ...], *, robust_loss: float = 0.0
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the texts (Graves et al. 2006), each divided by its length plus one.

    Padding is part of the strip: it must be blank. With `robust_loss` above 0 it is the generalised cross-entropy of
    that exponent (Zhang & Sabuncu 2018): a strip's gradient is scaled by its probability to that power, so illegible
    strips contribute little. A text that is too long for its strip, as in crops that are cut off, has loss 0.
    """
    targets = torch.tensor([1 + ALPHABET.index(one) for text in texts for one in text], dtype=torch.int64)
    lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    frames = torch.full_like(lengths, logits.shape[1])
    log_probs = F.log_softmax(logits, dim=2).transpose(0, 1)
    losses = F.ctc_loss(log_probs, targets, frames, lengths, reduction="none", zero_infinity=True)
    if robust_loss:
        losses = (1 - torch.exp(-robust_loss * losses)) / robust_loss
    return (losses / (lengths + 1).to(losses.device)).mean()


@torch.no_grad()
def score_strips(model: nn.Module, strips: StripSet, *, device: torch.device) -> tuple[float, float]:
    """Mean loss, and the fraction of strips whose digits are all right."""
    loss_sum, correct = 0.0, 0
    for batch in strips.batches(_SCORING_BATCH):
        inputs = batch.inputs.to(device).contiguous(memory_format=torch.channels_last)
        logits: Tensor = model.eval()(inputs).cpu()
        loss_sum += ctc_loss(logits, batch.texts).item() * len(batch.texts)
        found = map(_summarise, greedy_decode(logits))
        correct += sum(one == _summarise(text) for one, text in zip(found, batch.texts, strict=True))
    return loss_sum / len(strips), correct / len(strips)


def greedy_decode(logits: Float[Tensor, "n frames classes"]) -> list[str]:
    """The text along the most likely class of each frame, without repeats and blanks."""
    texts = []
    for row in logits.argmax(2).tolist():
        pairs = zip([0, *row[:-1]], row, strict=True)
        texts.append("".join(ALPHABET[index - 1] for previous, index in pairs if index and index != previous))
    return texts


def _summarise(text: str) -> tuple[str, bool]:
    """The digits, and whether there is anything that is not part of a number."""
    return "".join(filter(str.isdecimal, text)), "?" in text
