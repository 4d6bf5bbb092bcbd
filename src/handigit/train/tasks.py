"""The task that a recipe describes, with its data loaded."""

from pathlib import Path
from typing import Any

import torch

from handigit.models import NUMBER_ARCHITECTURES
from handigit.recipe import Recipe
from handigit.train.digit_data import load_digit_data
from handigit.train.digit_task import DigitTask
from handigit.train.number_task import NumberTask
from handigit.train.trainer import Task


def load_task(recipe: Recipe, *, folder: Path, device: torch.device) -> Task[Any]:
    """The recipe's task, with data sets from `folder`; data that cannot be used is reported here, not during training.

    Raises:
        DataError: a data set or a table of pictures is missing or damaged.
        RunError: a teacher is not a finished run.
    """
    if recipe.model in NUMBER_ARCHITECTURES:
        return NumberTask.of(recipe, folder=folder, device=device)
    return DigitTask.of(recipe, load_digit_data(recipe, folder=folder, device=device), device=device)
