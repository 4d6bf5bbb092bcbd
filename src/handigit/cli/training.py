"""`handigit train`, `tune` and `export`: from a recipe to a run folder and an ONNX file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from handigit.cli.number_training import check_second, number_exporter, tune_second
from handigit.cli.terminal import say, watch_training
from handigit.recipe import Recipe
from handigit.settings import Settings

if TYPE_CHECKING:
    import torch

    from handigit.train.export import Bits
    from handigit.train.run import Row, Run
    from handigit.train.trainer import Task

MODEL_FILE = "model.onnx"

RecipeFields = Annotated[Recipe, Parameter(name="*", group="Recipe")]


def train(
    recipe: str,
    /,
    *,
    run: Path | None = None,
    resume: bool = False,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    second: Path | None = None,
    device: str = "auto",
    fields: RecipeFields = Recipe(),
) -> None:
    """Train a network by a recipe; the run's folder gets the weights, the metrics and an ONNX file to read with.

    Examples:
        handigit train lenet5
        handigit train lenet5 --epochs 3 --seed 1 --run runs/quick
        handigit train lenet5 --run runs/quick --resume
        handigit train digit --from published/digit --empty-teachers --data my-digits --validation 100
        handigit train number-tune --from published/number --second published/number-second --strings labels.csv
        torchrun --nproc-per-node 2 -m -- handigit.cli train resnet

    Args:
        recipe: A recipe of the package by name, or the path of a .toml file; each flag below changes one field.
        run: The run's folder; default: the recipe's name and seed under HANDIGIT_RUNS.
        resume: Continue the run in that folder after an interruption.
        from_: Start from the weights of this run (a folder) instead of random ones: fine-tuning.
        second: Also fine-tune this run of the second number model on the same pictures.
        device: auto, cpu, gpu, cuda, cuda:1 or mps.
        fields: Fields of the recipe to change.
    """
    _set_wait_policy()
    from handigit.train.distributed import local_device, process_group
    from handigit.train.run import Run
    from handigit.train.tasks import load_start, load_task
    from handigit.train.trainer import fit

    processor = local_device(_prepare_torch(device))
    path = run or Settings().runs / f"{Path(recipe).stem}-seed{fields.seed}"
    if second is not None:
        check_second(fields, Run.open(second))
    with process_group(processor) as group:
        current = Run.resume(path, fields) if resume else None
        task = load_task(fields, folder=Settings().data, device=processor)
        source = Run.open(Path(from_)) if from_ else None
        start = load_start(fields, folder=Settings().runs / "published", from_run=source)
        if current is None and group.is_main:
            current = Run.create(path, fields, task.metadata | ({"from": from_} if from_ else {}))
        group.share(None)  # the folder exists
        current = current or Run.open(path)
        if not group.is_main:
            fit(current, task, start, group=group, threads=Settings().threads)
            return
        say(f"{current.path}: {task}" + (f"; {group.size} processes" if group.size > 1 else ""))
        with watch_training(fields.epochs) as callbacks:
            fit(current, task, start, callbacks=callbacks, group=group, threads=Settings().threads)
    _write_curves(current)
    if second is not None:
        from handigit.read.reader import SECOND_MODEL

        run_of_second, task_of_second = tune_second(current, Run.open(second), processor)
        export_run(run_of_second, current.path / SECOND_MODEL, task_of_second)
    export_run(current, current.path / MODEL_FILE, task)
    say(f"score it with: handigit evaluate {current.path}")


def tune(
    recipe: str,
    /,
    *,
    trials: int = 20,
    storage: str | None = None,
    run: Path | None = None,
    device: str = "auto",
    fields: RecipeFields = Recipe(),
) -> None:
    """Search a recipe's hyper-parameters with Optuna; a second call continues the search.

    Examples:
        handigit tune lenet5 --trials 20
        handigit tune lenet5 --trials 200 --storage postgresql://user@host/studies
        handigit train runs/tune-lenet5/best.toml

    Args:
        recipe: The recipe to vary, by name or path.
        trials: Number of trials in total, including those of earlier calls and of other machines.
        storage: URL of a database for a study that several machines share, such as postgresql://user@host/studies;
            default: a file in the search's folder.
        run: The search's folder; default: tune- and the recipe's name under HANDIGIT_RUNS.
        device: auto, cpu, gpu, cuda, cuda:1 or mps.
        fields: Fields of the recipe to change.
    """
    _set_wait_policy()
    from handigit.train.digit_data import load_digit_data
    from handigit.train.tune import tune as search

    processor = _prepare_torch(device)
    data = load_digit_data(fields, folder=Settings().data, device=processor)
    path = run or Settings().runs / f"tune-{Path(recipe).stem}"

    def report(trial: int, row: "Row") -> None:
        say(f"trial {trial}  epoch {row['epoch']}  validation accuracy {row['validation_accuracy']:.4f}")

    result = search(fields, data, path, trials=trials, device=processor, storage=storage, on_epoch=report)
    say(f"best of {result.trials} trials ({result.pruned} pruned): validation accuracy {result.accuracy:.4f}")
    say(f"train it with: handigit train {result.path / 'best.toml'}")


def export(
    run: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    name: str | None = None,
    int8: bool = False,
    half: bool = False,
) -> None:
    """Write a run's network as one ONNX file with its card inside, checked against PyTorch on real inputs.

    Examples:
        handigit export runs/lenet5-seed0 --output digit.onnx
        handigit export runs/lenet5-seed0 --output digit.onnx --int8

    Args:
        run: The run's folder.
        output: The file to write, such as digit.onnx.
        name: The model's name in its card; default: the architecture's.
        int8: Compute in eight bits: a quarter of the size, twice as fast.
        half: Store the weights in 16 bits and compute in 32: half the size, equally fast.
    """
    from handigit.train.run import Run
    from handigit.train.tasks import load_task

    processor = _prepare_torch("cpu")
    source = Run.open(run)
    source.weights()  # an unfinished run is an error before its data is loaded
    needed = source.recipe.replace(outliers=(), teachers=())  # only training needs these
    task = load_task(needed, folder=Settings().data, device=processor)
    export_run(source, output, task, name=name, bits=8 if int8 else 16 if half else 32)


def _set_wait_policy() -> None:
    """Let waiting threads sleep instead of spin; runs before torch is imported, when OpenMP reads these variables.

    Small networks wait at many barriers: beside another busy process, spinning made `dense` 26 times slower with two
    threads than with one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # GCC's OpenMP
    os.environ.setdefault("KMP_BLOCKTIME", "0")  # LLVM's and Intel's


def _prepare_torch(device: str) -> "torch.device":
    """The device of that name, with PyTorch limited to HANDIGIT_THREADS."""
    import torch

    from handigit.train.device import pick_device

    if threads := Settings().threads:
        torch.set_num_threads(threads)
    return pick_device(device)


def _write_curves(run: "Run") -> None:
    from handigit.evaluate.plots import LIGHT, curves, png

    (run.path / "curves.png").write_bytes(png(curves(run.metrics(), LIGHT)))


def export_run(run: "Run", path: Path, task: "Task[Any]", *, name: str | None = None, bits: "Bits" = 32) -> None:
    """Write a run's ONNX file and print how it compares with PyTorch."""
    from handigit.train.digit_task import DigitTask
    from handigit.train.export import export as write_model
    from handigit.train.export_digits import DigitExporter
    from handigit.train.export_numbers import NumberExporter
    from handigit.train.number_task import NumberTask

    exporter: DigitExporter | NumberExporter
    if isinstance(task, NumberTask):
        exporter = number_exporter(task, path.parent)
    else:
        assert isinstance(task, DigitTask)
        assert task.data is not None
        exporter = DigitExporter(run.recipe, task.data)
    done = write_model(run, path, exporter, name=name, bits=bits)
    say(
        f"wrote {done.path}: {done.size_bytes / 1e6:.2f} MB, sha256 {done.digest[:16]}, probabilities within "
        f"{done.parity:.0e} of PyTorch's on {done.inputs_checked:,} {exporter.signature.input_name}"
        + (f"; {bits} bits change {done.changed} of {done.answers:,} answers" if bits < 32 else "")
    )
