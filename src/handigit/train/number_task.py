"""Train number models: jittered lines, connectionist temporal classification, exact matches on held-out lines."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own abbreviation
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from handigit.augment.jitter import jitter
from handigit.models.numbernet import COLUMNS_PX, FRAMES_PER_COLUMN
from handigit.recipe import Recipe
from handigit.synth.number_texts import ALPHABET
from handigit.train.digit_data import code_version
from handigit.train.digit_sources import fingerprints
from handigit.train.line_data import LineBatch, LineSet, LineSource, Prefetched
from handigit.train.run import describe_machine
from handigit.train.trainer import BatchLoss, epoch_seed

_HELD_OUT_LINES = 2000
_SCORING_BATCH = 64


class NumberTask:
    """Learn to read lines: each epoch takes one set of drawn lines, mixed with the recipe's own pictures."""

    max_grad_norm: float | None = 5.0

    def __init__(
        self,
        recipe: Recipe,
        source: LineSource | None = None,
        *,
        lines: LineSet | None = None,
        held_out: LineSet | None = None,
        strings: LineSet | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Lines come from `source` mixed with `strings`, or every epoch from the fixed set `lines`."""
        self.recipe, self.source, self.device = recipe, source, device or torch.device("cpu")
        self._metadata: dict[str, Any] = {}
        self._lines, self._held_out, self._strings = lines, held_out, strings
        self._prefetched: Prefetched[LineSet] | None = None
        self._mixed: tuple[int, LineSet] | None = None

    @classmethod
    def of(cls, recipe: Recipe, *, folder: Path, device: torch.device) -> "NumberTask":
        """The task of a recipe whose data sets are in `folder`.

        Raises:
            DataError: a data set or a table of pictures cannot be used.
        """
        source = LineSource(recipe, folder)
        task = cls(recipe, source, strings=source.strings(), device=device)
        data = fingerprints(recipe, folder=folder)
        task._metadata = {"code_version": code_version(), "machine": describe_machine(device), "data": data}
        return task

    @property
    def metadata(self) -> dict[str, Any]:
        """What `run.json` records."""
        return self._metadata

    def __str__(self) -> str:
        own = f" and {len(self._strings):,} pictures" if self._strings else ""
        return f"{self.recipe.lines:,} lines per epoch, drawn during training{own}"

    def open(self, run_folder: Path) -> None:
        """Start drawing lines into the run's folder, and draw the held-out lines."""
        if self.source is None:
            return
        self._prefetched = Prefetched(self.source, run_folder / "lines", self.recipe.line_sets, LineSet.load)
        if self._held_out is None:
            self._held_out = self.source.draw_held_out(_HELD_OUT_LINES)

    def close(self) -> None:
        """Stop drawing; delete the lines of a finished run."""
        if self._prefetched is None:
            return
        self._prefetched.close()
        if (self._prefetched.folder.parent / "weights.safetensors").is_file():
            shutil.rmtree(self._prefetched.folder)

    def lines(self, epoch: int) -> LineSet:
        """The lines of an epoch."""
        if self._lines is not None:
            return self._lines
        assert self._prefetched is not None, "open() starts drawing lines"
        if self._mixed is None or self._mixed[0] != epoch:
            lines = self._prefetched.set_for(epoch)
            if self._strings is not None:
                lines = lines.mix(self._strings, self.recipe.string_share)
            self._mixed = epoch, lines
        return self._mixed[1]

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; lines that do not fill a batch are left out."""
        return len(self.lines(epoch)) // self.recipe.batch_size

    def batches(self, epoch: int) -> Iterator[LineBatch]:
        """One epoch's jittered batches in random order."""
        generator = Generator().manual_seed(epoch_seed(self.recipe, epoch))
        for batch in self.lines(epoch).batches(self.recipe.batch_size, generator):
            yield replace(batch, inputs=jitter(batch.inputs, generator).to(self.device))

    def loss(self, logits: Float[Tensor, "n frames classes"], batch: LineBatch) -> BatchLoss:
        """The loss of one batch; decoding every training line would cost too much, so accuracy is not counted."""
        frames = count_frames(batch.widths)
        return BatchLoss(ctc_loss(logits, frames, batch.texts, robust_loss=self.recipe.robust_loss))

    def score(self, model: nn.Module) -> tuple[float, float] | None:
        """Mean loss, and the fraction of held-out lines with every character right."""
        return score_lines(model, self._held_out, device=self.device) if self._held_out is not None else None


def count_frames(widths_px: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Output frames that belong to a line of this width, without its padding."""
    return (widths_px + COLUMNS_PX - 1) // COLUMNS_PX * FRAMES_PER_COLUMN


def ctc_loss(
    logits: Float[Tensor, "n frames classes"],
    frames: Int64[Tensor, " n"],
    texts: tuple[str, ...],
    *,
    robust_loss: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the texts (Graves et al. 2006), each divided by its length plus one.

    With `robust_loss` above 0 it is the generalised cross-entropy of that exponent (Zhang & Sabuncu 2018): a line's
    gradient is scaled by its probability to that power, so illegible lines contribute little. A text that is too long
    for its line, as in crops that are cut off, has loss 0.
    """
    targets = torch.tensor([1 + ALPHABET.index(character) for text in texts for character in text], dtype=torch.int64)
    lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    log_probs = F.log_softmax(logits, dim=2).transpose(0, 1)
    losses = F.ctc_loss(log_probs, targets, frames, lengths, reduction="none", zero_infinity=True)
    if robust_loss:
        losses = (1 - torch.exp(-robust_loss * losses)) / robust_loss
    return (losses / (lengths + 1).to(losses.device)).mean()


def greedy_decode(logits: Float[Tensor, "n frames classes"], frames: Int64[Tensor, " n"]) -> list[str]:
    """The text along the most likely class of each frame, without repeats and blanks."""
    best = logits.argmax(2)
    texts = []
    for row, count in zip(best.tolist(), frames.tolist(), strict=True):
        pairs = zip([0, *row[: count - 1]], row[:count], strict=True)
        texts.append("".join(ALPHABET[index - 1] for previous, index in pairs if index and index != previous))
    return texts


@torch.no_grad()
def line_logits(model: nn.Module, lines: Float[Tensor, "n 1 32 w"]) -> Float[Tensor, "n frames classes"]:
    """Logits of a batch, in float32 and without augmentation."""
    logits: Tensor = model.eval()(lines.contiguous(memory_format=torch.channels_last))
    return logits


def score_lines(model: nn.Module, lines: LineSet, *, device: torch.device | None = None) -> tuple[float, float]:
    """Mean loss, and the fraction of lines with every character right."""
    loss_sum, correct = 0.0, 0
    for batch in lines.batches(_SCORING_BATCH):
        logits = line_logits(model, batch.inputs.to(device or torch.device("cpu"))).cpu()
        frames = count_frames(batch.widths)
        loss_sum += ctc_loss(logits, frames, batch.texts).item() * len(batch.texts)
        correct += sum(read == text for read, text in zip(greedy_decode(logits, frames), batch.texts, strict=True))
    return loss_sum / len(lines), correct / len(lines)
