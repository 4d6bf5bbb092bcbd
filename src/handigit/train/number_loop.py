"""The training loop of number models: as `fit`, on lines with texts in place of glyphs with labels.

It knows nothing of files but the run it is handed, and nothing of test sets.
"""

import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from handigit.augment.jitter import jitter
from handigit.models.numbernet import COLUMNS_PX, FRAMES_A_COLUMN
from handigit.synth.number_texts import ALPHABET
from handigit.train.line_data import DrawnAhead, LineSet, Source
from handigit.train.loop import LearnerState, Watch, to_device
from handigit.train.optimizer import estimate_batch_norm, keep_freed_memory, set_learning_rate
from handigit.train.run import Row, Run


def count_frames(widths_px: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Frames of a line so wide that belong to it, not to its padding."""
    return (widths_px + COLUMNS_PX - 1) // COLUMNS_PX * FRAMES_A_COLUMN


def ctc_loss(
    logits: Float[Tensor, "n frames classes"],
    frames: Int64[Tensor, " n"],
    texts: tuple[str, ...],
    *,
    robust_loss: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the texts, a line's taken for each of its characters and once for its end.

    With `robust_loss` above 0 it is the generalised cross-entropy of that exponent (Zhang & Sabuncu 2018): a line pulls
    by its probability to that power, so lines that nobody could read hardly pull. Lines too narrow for what is written
    in them, as crops cut through can be, teach nothing.
    """
    targets = torch.tensor([1 + ALPHABET.index(character) for text in texts for character in text], dtype=torch.int64)
    lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    log_shares = F.log_softmax(logits, dim=2).transpose(0, 1)
    losses = F.ctc_loss(log_shares, targets, frames, lengths, reduction="none", zero_infinity=True)
    if robust_loss:
        losses = (1 - torch.exp(-robust_loss * losses)) / robust_loss
    return (losses / (lengths + 1)).mean()


def greedy(logits: Float[Tensor, "n frames classes"], frames: Int64[Tensor, " n"]) -> list[str]:
    """The text along the most likely class of each frame: repeats and blanks left out."""
    best = logits.argmax(2)
    texts = []
    for row, count in zip(best.tolist(), frames.tolist(), strict=True):
        kept = [now for before, now in zip([0, *row[: count - 1]], row[:count], strict=True) if now and now != before]
        texts.append("".join(ALPHABET[index - 1] for index in kept))
    return texts


_HELD_OUT = 2000
_BATCH_NORM_BATCHES = 60
_SCORING_BATCH = 64


def fit_numbers(run: Run, *, folder: Path, start: nn.Module, watch: Watch) -> None:
    """Train `start` by the run's recipe until the run is finished, from its last checkpoint if it has one.

    `folder` has the data sets whose digits are written into lines.

    Raises:
        DataError: a data set that is missing or damaged.
        RunError: a damaged checkpoint.
    """
    keep_freed_memory()
    source = Source(run.recipe, folder)
    drawn = DrawnAhead(source, run.path / "lines")
    try:
        learner = LineLearner(run.recipe, to_device(start, torch.device("cpu")))
        held_out, strings = source.draw_held_out(_HELD_OUT), source.strings()
        rows = learner.resume(run)
        for epoch in range(len(rows), run.recipe.epochs):
            began = time.perf_counter()
            lines = drawn.set_for(epoch)
            if strings is not None:
                lines = lines.with_share_of(strings, run.recipe.string_share)
            loss = learner.train_epoch(epoch, lines, watch)
            model = learner.final_model(epoch, lines)
            row: Row = {"epoch": epoch + 1, "learning_rate": learner.learning_rate, "train_loss": loss}
            row["validation_loss"], row["validation_accuracy"] = score_lines(model, held_out)
            row["seconds"] = round(time.perf_counter() - began, 2)
            rows.append(row)
            run.save_checkpoint(learner.state(), rows)
            watch.epoch(row)
    finally:
        drawn.close()
    run.write_metrics(rows)
    final = learner.final_model(len(rows) - 1, drawn.set_for(len(rows) - 1))
    last = {name: rows[-1][name] for name in rows[-1] if name.endswith(("loss", "accuracy"))}
    seconds = round(sum(row["seconds"] for row in rows), 1)
    run.finish(dict(final.state_dict()), {"epochs": len(rows), "kept_epoch": len(rows), "seconds": seconds} | last)
    shutil.rmtree(drawn.folder)


class LineLearner(LearnerState):
    """A number model that learns from sets of lines."""

    def train_epoch(self, epoch: int, lines: LineSet, watch: Watch) -> float:
        """One pass over a set of lines; the mean loss."""
        generator = self._generator(epoch)
        steps = len(lines) // self.recipe.batch_size
        total, losses = steps * self.recipe.epochs, 0.0
        self.model.train()
        for step, batch in enumerate(lines.batches(self.recipe.batch_size, generator), start=epoch * steps):
            self.learning_rate = set_learning_rate(self.optimizer, self.recipe, step=step, total=total)
            seen = jitter(batch.lines, generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                logits = self.model(seen)
            frames, robust = count_frames(batch.widths), self.recipe.robust_loss
            loss = ctc_loss(logits.float(), frames, batch.texts, robust_loss=robust)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            if self.average:
                self.average.update(self.model, step)
            losses += loss.item()
            watch.step(step + 1, total)
        return losses / max(1, steps)

    def final_model(self, epoch: int, lines: LineSet) -> nn.Module:
        """The network as it would be kept now: averaged weights with batch-norm statistics of their own."""
        if not self.average:
            return self.model
        generator = self._generator(epoch)
        seen = (jitter(batch.lines, generator) for batch in lines.batches(self.recipe.batch_size, generator))
        estimate_batch_norm(self.average.model, seen, count=_BATCH_NORM_BATCHES)
        return self.average.model

    def _generator(self, epoch: int) -> Generator:
        """What all that is random in an epoch is drawn from."""
        return Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)


@torch.no_grad()
def line_logits(model: nn.Module, lines: Float[Tensor, "n 1 32 w"]) -> Float[Tensor, "n frames classes"]:
    """What the network says of a batch, in float32 and without augmentation."""
    logits: Tensor = model.eval()(lines.contiguous(memory_format=torch.channels_last))
    return logits


def score_lines(model: nn.Module, lines: LineSet) -> tuple[float, float]:
    """The mean loss, and the share of lines read right in every character."""
    losses, right = 0.0, 0
    for batch in lines.batches(_SCORING_BATCH):
        logits, frames = line_logits(model, batch.lines), count_frames(batch.widths)
        losses += ctc_loss(logits, frames, batch.texts).item() * len(batch.texts)
        right += sum(read == text for read, text in zip(greedy(logits, frames), batch.texts, strict=True))
    return losses / len(lines), right / len(lines)
