"""A digit model from recipe to ONNX file in two calls, as `handigit train` does it: `train_run`, then `export_run`."""

from collections.abc import Callable
from pathlib import Path

import torch

from handigit.recipe import Recipe
from handigit.train.device import pick_device
from handigit.train.digit_data import load_digit_data
from handigit.train.digit_task import DigitTask
from handigit.train.export import Bits, Exported, export
from handigit.train.export_digits import DigitExporter
from handigit.train.run import Row, Run
from handigit.train.trainer import Callbacks, fit, start_model


def train_run(
    recipe: Recipe,
    path: Path,
    *,
    folder: Path,
    device: str = "auto",
    on_epoch: Callable[[Row], None] | None = None,
) -> Run:
    """Train a digit model in a new run folder.

    Args:
        recipe: The recipe, such as `load_recipe("lenet5", epochs=3)`.
        path: The run's folder; it is created.
        folder: The folder of the data sets that the recipe names.
        device: auto, cpu, gpu, cuda, cuda:1 or mps.
        on_epoch: Called with the metrics of each epoch: `epoch`, `train_loss`, `validation_accuracy` and others.

    Raises:
        DataError: a data set is missing or damaged.
        RunError: the folder already contains a run, or there is no such device.
    """
    processor = pick_device(device)
    data = load_digit_data(recipe, folder=folder, device=processor)
    run = Run.create(path, recipe, data.metadata)
    callbacks = Callbacks(epoch=on_epoch) if on_epoch else Callbacks()
    fit(run, DigitTask.of(recipe, data, device=processor), start_model(recipe), callbacks=callbacks)
    return run


def export_run(run: Run, path: Path, *, folder: Path, name: str | None = None, bits: Bits = 32) -> Exported:
    """Write a digit run's network as one ONNX file with its card, checked against PyTorch and calibrated.

    Args:
        run: The finished run.
        path: The file to write, such as `digit.onnx`.
        folder: The folder of the data sets that the run was trained on.
        name: The model's name in its card; default: the architecture's.
        bits: 32; 16 to store the weights in half the size; 8 to compute in eight bits too.

    Raises:
        DataError: a data set is missing or damaged.
        RunError: the run is not finished.
        ModelError: ONNX Runtime and PyTorch differ, or fewer bits change too many answers.
    """
    without_outliers = run.recipe.replace(outliers=())
    data = load_digit_data(without_outliers, folder=folder, device=torch.device("cpu"))
    return export(run, path, DigitExporter(run.recipe, data), name=name, bits=bits)
