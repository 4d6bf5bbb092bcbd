"""Train a network: one loop for every task.

A `Task` supplies batches, loss and held-out score. The `Trainer` does the rest: optimiser, schedule, averaged weights,
checkpoints, early stopping. Every random choice in an epoch follows from the recipe's seed and the epoch's number, so a
resumed run ends bit-equal to an uninterrupted one without storing random state.
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from handigit.errors import RunError
from handigit.models import build
from handigit.recipe import Recipe
from handigit.train.distributed import ProcessGroup
from handigit.train.optimizer import (
    keep_freed_memory,
    load_optimizer_tensors,
    make_average,
    make_optimizer,
    make_schedule,
    optimizer_tensors,
)
from handigit.train.run import Row, Run
from handigit.train.thread_choice import ThreadChoice

log = logging.getLogger(__name__)

_MIN_TIMED_STEPS = 100
"""Shorter trainings on a processor run on one thread: to time threads would cost more than they save."""
_BATCH_NORM_SAMPLES = 5000
"""Samples from which the averaged network's batch-norm statistics are estimated."""


@runtime_checkable
class Batch(Protocol):
    """One step's data; `inputs` is what the network receives, on the training device."""

    @property
    def inputs(self) -> Tensor:
        """`(n, channels, height, width)`, float32."""


@dataclass(frozen=True)
class BatchLoss:
    """The mean loss of a batch; `correct` of `count` answers were right, where the task counts them."""

    value: Float[Tensor, ""]
    correct: int = 0
    count: int = 0


B = TypeVar("B", bound=Batch)


@runtime_checkable
class Task(Protocol[B]):
    """What to learn: data, loss and score. `DigitTask` and `NumberTask` are the two in the package."""

    recipe: Recipe
    device: torch.device
    max_grad_norm: float | None
    """Clip gradients to this norm; None: do not clip."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What `run.json` records: code version, data fingerprints, machine."""

    def open(self, run_folder: Path) -> None:
        """Prepare files that belong to the run, such as soft targets or drawn strips."""

    def close(self) -> None:
        """Release what `open` holds."""

    def steps(self, epoch: int) -> int:
        """Number of batches in an epoch, counted from 0."""

    def batches(self, epoch: int) -> Iterator[B]:
        """The epoch's augmented batches; the same epoch gives the same batches."""

    def loss(self, logits: Tensor, batch: B) -> BatchLoss:
        """The loss of one batch; `logits` are the network's float32 output."""

    def score(self, model: nn.Module) -> tuple[float, float] | None:
        """Loss and accuracy on held-out data; None if there is none."""


@dataclass(frozen=True)
class Callbacks:
    """Progress reports: `step(done, total)` after each step, `epoch(row)` after each epoch."""

    step: Callable[[int, int], None] = field(default=lambda _done, _total: None)
    epoch: Callable[[Row], None] = field(default=lambda _row: None)


class Trainer(Generic[B]):
    """A network in training: weights, their average, the optimiser's state, and the best weights so far."""

    def __init__(
        self, task: Task[B], model: nn.Module, *, group: ProcessGroup = ProcessGroup(), threads: int | None = None
    ) -> None:
        """`model` is moved to the task's device and trained in place, together with the other processes of `group`.

        On a processor, steps run on `threads` threads; None: as many of PyTorch's as make them fastest.
        """
        self.task, self.recipe, self.group = task, task.recipe, group
        self.model = to_device(model, task.device)
        self.network = group.wrap(self.model, task.device)
        self.optimizer = make_optimizer(self.model, self.recipe)
        self.average = make_average(self.model, self.recipe.ema) if self.recipe.ema else None
        self.best: dict[str, Tensor] = {}
        self.start = _copy(self.model) if self.recipe.blend < 1 else {}
        self.threads = threads
        if threads is not None and task.device.type == "cpu":
            torch.set_num_threads(threads)
        self.thread_choice = ThreadChoice() if threads is None and task.device.type == "cpu" else None

    def train_epoch(self, epoch: int, callbacks: Callbacks) -> Row:
        """One pass over the data; its learning rate, mean loss and accuracy, where the task counts correct answers."""
        torch.manual_seed(epoch_seed(self.recipe, epoch))  # dropout draws from the global generator
        steps = self.task.steps(epoch) // self.group.size
        done, total = epoch * steps, self.recipe.epochs * steps
        schedule = make_schedule(self.optimizer, self.recipe, total=total, done=done)
        loss_sum, correct, count, learning_rate = 0.0, 0, 0, 0.0
        self.model.train()
        batches = islice(self.task.batches(epoch), self.group.rank, steps * self.group.size, self.group.size)
        for step, batch in enumerate(batches, start=done + 1):
            learning_rate = float(schedule.get_last_lr()[0])
            if self.threads is None:
                self.threads = self._choose_threads(batch, total)
            began = time.perf_counter()
            loss = self._step(batch)
            if self.thread_choice:
                self.thread_choice.watch(time.perf_counter() - began)
            schedule.step()
            if self.average:
                self.average.update_parameters(self.model)
            loss_sum, correct, count = loss_sum + loss.value.item(), correct + loss.correct, count + loss.count
            callbacks.step(step, total)
        loss_sum, all_correct, all_count = self.group.add([loss_sum, correct, count], self.task.device)
        row: Row = {"learning_rate": learning_rate, "train_loss": loss_sum / max(1, steps * self.group.size)}
        return row | ({"train_accuracy": all_correct / all_count} if all_count else {})

    def _choose_threads(self, batch: B, total: int) -> int:
        """Time steps of a copy; short trainings run on one thread."""
        most = torch.get_num_threads()
        if self.thread_choice is None or most == 1 or self.group.size > 1:
            return most
        if total < _MIN_TIMED_STEPS:
            torch.set_num_threads(1)
            return 1
        with torch.random.fork_rng():  # dropout in the timed steps
            spare = Trainer(self.task, copy.deepcopy(self.model), threads=most)
            spare.model.train()
            return self.thread_choice.choose(partial(spare._step, batch), most=most)

    def _step(self, batch: B) -> BatchLoss:
        inputs = batch.inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            logits = self.network(inputs)
        loss = self.task.loss(logits.float(), batch)
        self.optimizer.zero_grad()
        loss.value.backward()  # type: ignore[no-untyped-call]
        if self.task.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.task.max_grad_norm)
        self.optimizer.step()
        return loss

    def current_model(self, epoch: int) -> nn.Module:
        """The network as it would be saved after this epoch: the averaged weights, if the recipe averages.

        Averaged weights produce other activations than those that batch norm's running statistics were collected on,
        so the statistics are estimated again (Izmailov et al. 2018).
        """
        if not self.average:
            return self._blended(self.model)
        count = max(1, _BATCH_NORM_SAMPLES // self.recipe.batch_size)
        inputs = (b.inputs.contiguous(memory_format=torch.channels_last) for b in self.task.batches(epoch))
        update_bn(islice(inputs, count), self.average.module)
        return self._blended(self.average.module)

    def _blended(self, model: nn.Module) -> nn.Module:
        """The recipe's mean of start and trained weights (WiSE-FT): fine-tuning forgets part of the start."""
        if not self.start:
            return model
        weights = {
            name: torch.lerp(self.start[name], tensor, self.recipe.blend) if tensor.is_floating_point() else tensor
            for name, tensor in _copy(model).items()
        }
        blended = copy.deepcopy(model)
        blended.load_state_dict(weights)
        return blended

    def keep_best(self, rows: list[Row]) -> None:
        """With early stopping, remember the weights if the last epoch is the best so far."""
        if self.recipe.patience and "validation_accuracy" in rows[-1] and best_epoch(rows) == len(rows) - 1:
            self.best = _copy(self._blended(self.average.module if self.average else self.model))

    def state(self) -> dict[str, Tensor]:
        """Everything that changes during training, by name."""
        parts = {"model": self.model.state_dict(), "optimizer": optimizer_tensors(self.optimizer), "best": self.best}
        if self.average:
            parts["average"] = self.average.state_dict()
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore the result of `state`."""
        self.model.load_state_dict(strip_prefix("model.", tensors))
        if self.average:
            self.average.load_state_dict(strip_prefix("average.", tensors))
        load_optimizer_tensors(self.optimizer, strip_prefix("optimizer.", tensors))
        self.best = strip_prefix("best.", tensors)

    def resume(self, run: Run) -> list[Row]:
        """Load the run's last checkpoint and return its metrics; an empty list if there is no checkpoint.

        Raises:
            RunError: the checkpoint is damaged.
        """
        checkpoint = run.load_checkpoint()
        if checkpoint is None:
            return []
        tensors, rows = checkpoint
        try:
            self.load_state(tensors)
        except (RuntimeError, KeyError, ValueError) as problem:
            raise _wrong_weights(run, problem) from None
        if "threads" in rows[-1] and self.thread_choice:
            self.threads = int(rows[-1]["threads"])  # other numbers round differently
            torch.set_num_threads(self.threads)
        log.info("resumed %s after epoch %d", run.path, len(rows))
        return rows


def fit(
    run: Run,
    task: Task[B],
    model: nn.Module,
    *,
    callbacks: Callbacks | None = None,
    group: ProcessGroup = ProcessGroup(),
    threads: int | None = None,
) -> None:
    """Train `model` by the run's recipe, from the run's last checkpoint if it has one, and save the weights.

    In a group of processes each trains on its own share of the batches; the main process scores and saves. On a
    processor, steps run on `threads` threads; None: as many as make them fastest. Equal numbers give bit-equal weights.

    Raises:
        DataError: the task's data cannot be used.
        RunError: a damaged checkpoint, or a missing teacher.
    """
    if run.finished:
        return
    keep_freed_memory()
    callbacks, all_threads = callbacks or Callbacks(), torch.get_num_threads()
    if group.is_main:
        task.open(run.path)
    group.share(None)  # the others find the files that the main process has prepared
    try:
        if not group.is_main:
            task.open(run.path)
        trainer = Trainer(task, model, group=group, threads=threads)
        rows = trainer.resume(run)
        for epoch in range(len(rows), run.recipe.epochs):
            if _out_of_patience(rows, run.recipe):
                break
            started = time.perf_counter()
            row: Row = {"epoch": epoch + 1} | trainer.train_epoch(epoch, callbacks)
            if group.is_main and (scores := task.score(trainer.current_model(epoch))):
                row["validation_loss"], row["validation_accuracy"] = scores
            row |= {"seconds": round(time.perf_counter() - started, 2), "threads": torch.get_num_threads()}
            rows.append(group.share(row))
            trainer.keep_best(rows)
            if group.is_main:
                run.save_checkpoint(trainer.state(), rows)
                callbacks.epoch(rows[-1])
        if group.is_main:
            _finish(run, trainer, rows)
    finally:
        torch.set_num_threads(all_threads)
        task.close()


def fit_in_memory(task: Task[B], *, callbacks: Callbacks | None = None) -> nn.Module:
    """Train a new network without a run folder: the steps of `fit`, no files, no validation, no early stopping."""
    keep_freed_memory()
    all_threads = torch.get_num_threads()
    try:
        trainer = Trainer(task, start_model(task.recipe))
        for epoch in range(task.recipe.epochs):
            trainer.train_epoch(epoch, callbacks or Callbacks())
        return trainer.current_model(task.recipe.epochs - 1)
    finally:
        torch.set_num_threads(all_threads)


def _finish(run: Run, trainer: Trainer[B], rows: list[Row]) -> None:
    """Save the weights of the best epoch (early stopping) or of the last."""
    kept_epoch = best_epoch(rows) + 1 if trainer.best else len(rows)
    weights = trainer.best or trainer.current_model(len(rows) - 1).state_dict()
    row = rows[kept_epoch - 1]
    report = {"epochs": len(rows), "kept_epoch": kept_epoch, "seconds": round(sum(r["seconds"] for r in rows), 1)}
    run.write_metrics(rows)
    run.finish(dict(weights), report | {name: row[name] for name in row if name.endswith(("loss", "accuracy"))})


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def best_epoch(rows: list[Row]) -> int:
    """Index of the first epoch with the highest validation accuracy."""
    return int(np.argmax([row["validation_accuracy"] for row in rows]))


def _out_of_patience(rows: list[Row], recipe: Recipe) -> bool:
    if not recipe.patience or not rows or "validation_accuracy" not in rows[-1]:
        return False
    return len(rows) - 1 - best_epoch(rows) >= recipe.patience


def epoch_seed(recipe: Recipe, epoch: int) -> int:
    """Seed of one epoch's random choices; the odd factor keeps epochs of neighbouring recipe seeds apart."""
    return recipe.seed * 1_000_003 + epoch + 1


def strip_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def start_model(recipe: Recipe, *, from_run: Run | None = None) -> nn.Module:
    """A network before its first step: random weights from the recipe's seed, or the weights of another run.

    Raises:
        RunError: the other run has no weights yet, or has another architecture.
    """
    torch.manual_seed(recipe.seed)
    model = build(recipe.model)
    if from_run is None:
        return model
    if (source := from_run.recipe.model) != recipe.model:
        raise RunError(f"{from_run.path} has a {source}, but the recipe trains a {recipe.model}; give --model {source}")
    model.load_state_dict(from_run.latest_weights())
    return model


def load_model(run: Run) -> nn.Module:
    """A finished run's network in evaluation mode.

    Raises:
        RunError: the run is not finished, or its weights are damaged or of another network.
    """
    model = build(run.recipe.model)
    try:
        model.load_state_dict(run.weights())
    except RuntimeError as problem:
        raise _wrong_weights(run, problem) from None
    return to_device(model.eval(), torch.device("cpu"))


def _wrong_weights(run: Run, problem: Exception) -> RunError:
    first = str(problem).splitlines()[1].strip() if "\n" in str(problem) else str(problem)
    return RunError(
        f"{run.path}: its weights do not fit its recipe's {run.recipe.model} ({first[:200]}); train it again"
    )


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, weights in channels-last layout like the batches."""
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
