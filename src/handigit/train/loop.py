"""The training loop: recipe and data in, trained weights out, one epoch after another.

It knows nothing of files but the run it is handed, and nothing of test sets. Everything random in an epoch follows
from the recipe's seed and the epoch's number, so an interrupted run needs no random state to go on bit-equal.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from jaxtyping import Float
from torch import Generator, Tensor, nn

from handigit.errors import RunError
from handigit.models import GROWN_FROM, build
from handigit.recipe import Recipe
from handigit.train.batches import NO_DIGIT, Batch, Samples, batch_loss, count_batches, draw_batches
from handigit.train.digit_data import Prepared
from handigit.train.distill import FOLDER as LESSONS_FOLDER
from handigit.train.distill import Lessons, make_lessons
from handigit.train.optimizer import (
    Average,
    estimate_batch_norm,
    keep_freed_memory,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
    set_learning_rate,
)
from handigit.train.run import Row, Run

log = logging.getLogger(__name__)


class LearnerState:
    """A network being trained: its weights, their average, and the optimiser's memory."""

    def __init__(self, recipe: Recipe, model: nn.Module) -> None:
        """`model` is trained in place."""
        self.recipe, self.model = recipe, model
        self.optimizer = make_optimizer(model, recipe)
        self.average = Average(model, recipe.ema) if recipe.ema else None
        self.learning_rate = 0.0

    def state(self) -> dict[str, Tensor]:
        """All that changes while training, by name."""
        named = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:
            named |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        return named | {f"optimizer.{name}": tensor for name, tensor in optimizer_state(self.optimizer).items()}

    def take_up(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self.model.load_state_dict(under("model.", tensors))
        if self.average:
            self.average.model.load_state_dict(under("average.", tensors))
        restore_optimizer(self.optimizer, under("optimizer.", tensors))

    def resume(self, run: Run) -> list[Row]:
        """Take up the run's last checkpoint; the metrics up to it, none if it has no checkpoint."""
        stored = run.load_checkpoint()
        if stored is None:
            return []
        tensors, rows = stored
        self.take_up(tensors)
        log.info("resumed %s after epoch %d", run.path, len(rows))
        return rows


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, named without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


_SCORING_BATCH = 1000
_BATCH_NORM_SAMPLES = 10_000


@dataclass
class Watch:
    """What may look on: `step(done, total)` after each step, `epoch(row)` after each epoch."""

    step: Callable[[int, int], None] = field(default=lambda _done, _total: None)
    epoch: Callable[[Row], None] = field(default=lambda _row: None)


def fit(run: Run, prepared: Prepared, *, device: torch.device, start: nn.Module, watch: Watch) -> None:
    """Train `start` by the run's recipe until the run is finished, from its last checkpoint if it has one.

    Raises:
        DataError: no labelled samples to learn from.
        RunError: a damaged checkpoint.
    """
    recipe = run.recipe
    keep_freed_memory()
    samples = Samples.of(prepared.train, device)
    if prepared.outliers:
        samples = samples.with_outliers(torch.from_numpy(prepared.outliers.glyphs).to(device))
    lessons = make_lessons(prepared.train, recipe, run.path.parent / LESSONS_FOLDER)
    learner = Learner(recipe, to_device(start, device), samples, lessons=lessons)
    held_out = Samples.of(prepared.validation, device) if len(prepared.validation) else None
    rows = learner.resume(run)
    for epoch in range(len(rows), recipe.epochs):
        if _out_of_patience(rows, recipe):
            break
        began = time.perf_counter()
        loss, accuracy = learner.train_epoch(epoch, watch)
        row: Row = {"epoch": epoch + 1, "learning_rate": learner.learning_rate}
        row |= {"train_loss": loss, "train_accuracy": accuracy}
        if held_out:
            row["validation_loss"], row["validation_accuracy"] = evaluate_loss(learner.final_model(epoch), held_out)
        row["seconds"] = round(time.perf_counter() - began, 2)
        rows.append(row)
        learner.keep_best(rows)
        run.save_checkpoint(learner.state(), rows)
        watch.epoch(row)
    _finish(run, learner, rows)


def fit_in_memory(recipe: Recipe, samples: Samples, *, watch: Watch | None = None) -> nn.Module:
    """Train a fresh network on samples where they lie, and keep nothing else: the same steps as `fit`, without a run.

    It chooses nothing by validation data, so `patience` means nothing here.
    """
    keep_freed_memory()
    learner = Learner(recipe, to_device(start_model(recipe), samples.labels.device), samples)
    for epoch in range(recipe.epochs):
        learner.train_epoch(epoch, watch or Watch())
    return learner.final_model(recipe.epochs - 1)


class Learner(LearnerState):
    """A network that learns from samples, and the best weights it has had."""

    def __init__(self, recipe: Recipe, model: nn.Module, samples: Samples, *, lessons: Lessons | None = None) -> None:
        """`model` is trained in place; `lessons` are copies of the samples' digits that teachers have answered."""
        super().__init__(recipe, model)
        self.samples, self.lessons = samples, lessons
        self.best: dict[str, Tensor] = {}
        self.steps_an_epoch = count_batches(samples, recipe)

    def train_epoch(self, epoch: int, watch: Watch) -> tuple[float, float]:
        """One pass over the data; the mean loss and the accuracy on the batches as they were trained on."""
        torch.manual_seed(_seed(self.recipe, epoch))  # dropout draws from the global generator
        losses, right, seen = 0.0, 0, 0
        total = self.steps_an_epoch * self.recipe.epochs
        self.model.train()
        for step, batch in enumerate(self.batches(epoch), start=epoch * self.steps_an_epoch):
            self.learning_rate = set_learning_rate(self.optimizer, self.recipe, step=step, total=total)
            with torch.autocast(batch.glyphs.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                logits = self.model(batch.glyphs)
            loss = batch_loss(logits.float(), batch, self.recipe)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if self.average:
                self.average.update(self.model, step)
            losses += loss.item()
            right += int((logits.argmax(1) == batch.labels).sum())
            seen += int((batch.labels != NO_DIGIT).sum())
            watch.step(step + 1, total)
        return losses / self.steps_an_epoch, right / seen

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The epoch's batches, in its own order."""
        generator = Generator().manual_seed(_seed(self.recipe, epoch))
        return draw_batches(self.samples, self.recipe, generator, lessons=self.lessons)

    def final_model(self, epoch: int) -> nn.Module:
        """The network as it would be kept now: averaged weights with batch-norm statistics of their own."""
        if not self.average:
            return self.model
        batches = (batch.glyphs for batch in self.batches(epoch))
        estimate_batch_norm(self.average.model, batches, count=_BATCH_NORM_SAMPLES // self.recipe.batch_size)
        return self.average.model

    def keep_best(self, rows: list[Row]) -> None:
        """With early stopping, remember the weights of the best epoch so far."""
        if self.recipe.patience and "validation_accuracy" in rows[-1] and _best_epoch(rows) == len(rows) - 1:
            model = self.average.model if self.average else self.model
            self.best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def state(self) -> dict[str, Tensor]:
        """All that changes while training, by name."""
        return super().state() | {f"best.{name}": tensor for name, tensor in self.best.items()}

    def take_up(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        super().take_up(tensors)
        self.best = under("best.", tensors)


@torch.no_grad()
def predict_logits(model: nn.Module, samples: Samples) -> Float[Tensor, "n 10"]:
    """What the network says of every digit, in float32 and without augmentation."""
    model.eval()
    parts = torch.split(torch.arange(len(samples), device=samples.labels.device), _SCORING_BATCH)
    return torch.cat([model(samples.take(part).contiguous(memory_format=torch.channels_last)) for part in parts])


def evaluate_loss(model: nn.Module, samples: Samples) -> tuple[float, float]:
    """Mean cross-entropy and accuracy."""
    logits = predict_logits(model, samples)
    right = (logits.argmax(1) == samples.labels).float().mean()
    return F.cross_entropy(logits, samples.labels).item(), right.item()


def start_model(recipe: Recipe, *, from_run: Run | None = None) -> nn.Module:
    """The network before its first step: weights that follow from the recipe's seed, or those of another run.

    Raises:
        RunError: the other run has no weights yet, or trained an architecture that this one cannot grow from.
    """
    torch.manual_seed(recipe.seed)
    model = build(recipe.model)
    if from_run is None:
        return model
    theirs = from_run.recipe.model
    if theirs not in (recipe.model, GROWN_FROM.get(recipe.model)):
        raise RunError(
            f"{from_run.path} holds a {theirs}, and the recipe asks for a {recipe.model}; give --model {theirs}"
        )
    before = model if theirs == recipe.model else build(theirs)
    before.load_state_dict(from_run.latest_weights())
    if before is not model:
        model.grow_from(before)  # type: ignore[operator] # those in GROWN_FROM have it
    return model


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The network there, its weights laid out channels last, as the batches are."""
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def pick_device(name: str) -> torch.device:
    """`auto`: a CUDA or Apple processor if there is one, else the CPU; any other name is torch's own."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _finish(run: Run, learner: Learner, rows: list[Row]) -> None:
    """Keep the weights: of the best epoch with early stopping, else of the last."""
    epochs_done = len(rows)
    kept = learner.best or learner.final_model(epochs_done - 1).state_dict()
    kept_epoch = _best_epoch(rows) + 1 if learner.best else epochs_done
    row = rows[kept_epoch - 1]
    report = {"epochs": epochs_done, "kept_epoch": kept_epoch, "seconds": round(sum(r["seconds"] for r in rows), 1)}
    run.write_metrics(rows)
    run.finish(dict(kept), report | {name: row[name] for name in row if name.endswith(("loss", "accuracy"))})


def _best_epoch(rows: list[Row]) -> int:
    """The first epoch of the best validation accuracy, counted from 0."""
    return int(np.argmax([row["validation_accuracy"] for row in rows]))


def _out_of_patience(rows: list[Row], recipe: Recipe) -> bool:
    if not recipe.patience or not rows or "validation_accuracy" not in rows[-1]:
        return False
    return len(rows) - 1 - _best_epoch(rows) >= recipe.patience


def _seed(recipe: Recipe, epoch: int) -> int:
    """A seed an epoch; the odd factor keeps the epochs of neighbouring seeds apart."""
    return recipe.seed * 1_000_003 + epoch + 1
