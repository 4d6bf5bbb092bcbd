"""`handigit train`, `tune` and `export`: from a recipe to a run folder and an ONNX file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from handigit.cli.terminal import say, watch_training
from handigit.errors import RecipeError
from handigit.recipe import Recipe, load_recipe
from handigit.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from handigit.card import Combination
    from handigit.read.number_engine import NumberEngine
    from handigit.train.export import Bits
    from handigit.train.export_numbers import HeldOutResult, NumberExporter
    from handigit.train.number_task import NumberTask
    from handigit.train.run import Row, Run
    from handigit.train.strip_data import LabelledCrop
    from handigit.train.trainer import Task

MODEL_FILE = "model.onnx"
_CALIBRATION_CROPS = 2400
"""Drawn crops beside the real ones: a target error of 0.1 % needs a thousand readings without an error."""
_SECOND_RECIPE = "number-second-tune"
_MISLABELLED = 0.5
"""Confidence of the digit model in another digit from which the label of a held-out digit is not trusted."""

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
        _check_second(fields, Run.open(second))
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
            fit(current, task, start, group=group)
            return
        say(f"{current.path}: {task}" + (f"; {group.size} processes" if group.size > 1 else ""))
        with watch_training(fields.epochs) as callbacks:
            fit(current, task, start, callbacks=callbacks, group=group)
    _write_curves(current)
    if second is not None:
        _tune_second(current, Run.open(second), processor)
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
    task = load_task(source.recipe, folder=Settings().data, device=processor)
    export_run(source, output, task, name=name, bits=8 if int8 else 16 if half else 32)


def _check_second(fields: Recipe, second: "Run") -> None:
    """Check that the recipe trains the first number model, and that the run is one of the second.

    Raises:
        RecipeError: otherwise.
    """
    for wanted, model in (("number-tune", fields.model), (_SECOND_RECIPE, second.recipe.model)):
        if model != load_recipe(wanted).model:
            raise RecipeError(
                f"--second fine-tunes a run such as published/number-second beside number-tune, not a {model!r}"
            )


def _tune_second(first: "Run", source: "Run", processor: "torch.device") -> None:
    """Fine-tune the second number model on the pictures of the first, and write its file beside the first's."""
    from handigit.read.reader import SECOND_MODEL
    from handigit.train.run import Run
    from handigit.train.tasks import load_start, load_task
    from handigit.train.trainer import fit

    recipe, path = load_recipe(_SECOND_RECIPE, strings=first.recipe.strings), first.path / "second"
    task = load_task(recipe, folder=Settings().data, device=processor)
    start = load_start(recipe, folder=Settings().runs / "published", from_run=source)
    run = Run.resume(path, recipe) if path.exists() else Run.create(path, recipe, {"from": str(source.path)})
    say(f"{run.path}: {task}")
    with watch_training(recipe.epochs) as callbacks:
        fit(run, task, start, callbacks=callbacks)
    export_run(run, first.path / SECOND_MODEL, task)


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
        exporter = _number_exporter(task, path.parent)
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


def _number_exporter(task: "NumberTask", folder: Path) -> "NumberExporter":
    """Calibrates a number model together with the second one in that folder, or else with the package's.

    One that is to become the second itself is calibrated alone.
    """
    from handigit.read.engine import EMBEDDED
    from handigit.read.number_engine import NumberEngine
    from handigit.read.reader import SECOND_MODEL
    from handigit.train.export_numbers import NumberExporter

    is_second = task.recipe.model == load_recipe(Path(SECOND_MODEL).stem).model
    places = [place / SECOND_MODEL for place in (folder, EMBEDDED)]
    second = None if is_second else NumberEngine(next(place for place in places if place.is_file()))
    crops = list(task.source.held_out_crops(_CALIBRATION_CROPS, trust_labels))
    strips = task.source.strings("validation")[0]
    return NumberExporter(
        strips, lambda content: read_held_out(content, second, crops), second.digest if second else None
    )


def trust_labels(glyphs: "Sequence[np.ndarray]", label: int | None) -> list[bool]:
    """Which pictures (0..255, ink bright) the digit model, by itself, does not take for another digit than the label.

    One mislabelled digit in four hundred makes one number in a hundred wrong that was read right.
    """
    from handigit.read import Reader

    digits = Reader().digits_on([255 - np.pad(glyph, max(4, max(glyph.shape) // 5)) for glyph in glyphs])
    return [digit.value in (None, label) or digit.confidence < _MISLABELLED for digit in digits]


def read_held_out(
    content: bytes, second: "NumberEngine | None", crops: "Sequence[LabelledCrop]"
) -> "Callable[[Combination | None], HeldOutResult]":
    """Read held-out crops as `Reader` does; the result combines their answers in a given way.

    A crop that is not a number but is read as one counts as an error.
    """
    from handigit.read.crops import CropStrips, read_crops
    from handigit.read.hypotheses import rank_candidates
    from handigit.read.number_engine import NumberEngine
    from handigit.read.numbers import features, likely_numbers
    from handigit.train.export_numbers import HeldOutResult

    pairs = read_crops(NumberEngine(content), second, [CropStrips.of(crop.pixels) for crop in crops])
    texts = [_digits_in(crop.text) for crop in crops]

    def combine(combination: "Combination | None") -> HeldOutResult:
        rows, correct, weights, right = [], [], [], 0
        for pair, text, crop in zip(pairs, texts, crops, strict=True):
            other = pair.second.hypotheses if pair and pair.second else None
            candidates = rank_candidates(pair.first.hypotheses, other, combination) if pair else []
            if numbers := likely_numbers(candidates):
                rows.append(features(numbers[0], candidates))
                correct.append(numbers[0].text == text)
                weights.append(crop.weight)
                right += correct[-1]
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        accuracy = right / sum(text.isdecimal() for text in texts)
        return HeldOutResult(columns, np.array(correct), np.array(weights), accuracy)

    return combine


def _digits_in(text: str) -> str:
    """The digits of a number; for anything else the text itself, which no reading equals."""
    return text if "?" in text else "".join(character for character in text if character.isdecimal())
