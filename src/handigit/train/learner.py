"""What every training loop carries from step to step, and how it is kept and taken up again.

It knows weights, their average and the optimiser's memory; nothing of data, losses or epochs.
"""

import logging

from torch import Tensor, nn

from handigit.recipe import Recipe
from handigit.train.ema import Average
from handigit.train.optimize import make_optimizer, optimizer_state, restore_optimizer
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
