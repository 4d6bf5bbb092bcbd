"""What `handigit train` and `export` do for number models only: calibrate them on held-out crops, tune both."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handigit.cli.terminal import say, watch_training
from handigit.errors import RecipeError
from handigit.recipe import Recipe, load_recipe
from handigit.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from handigit.card import Combination
    from handigit.read import Reader
    from handigit.read.number_engine import NumberEngine
    from handigit.train.export_numbers import HeldOutResult, NumberExporter
    from handigit.train.number_task import NumberTask
    from handigit.train.run import Run
    from handigit.train.strip_data import LabelledCrop
    from handigit.train.trainer import Task

_CALIBRATION_CROPS = 2400
"""Drawn crops beside the real ones: a target error of 0.1 % needs a thousand readings without an error."""
_SECOND_RECIPE = "number-second-tune"
_MISLABELLED = 0.5
"""Confidence of the digit model in another digit from which the label of a held-out digit is not trusted."""


def check_second(fields: Recipe, second: "Run") -> None:
    """Check that the recipe trains the first number model, and that the run is one of the second.

    Raises:
        RecipeError: otherwise.
    """
    for wanted, model in (("number-tune", fields.model), (_SECOND_RECIPE, second.recipe.model)):
        if model != load_recipe(wanted).model:
            raise RecipeError(
                f"--second fine-tunes a run such as published/number-second beside number-tune, not a {model!r}"
            )


def tune_second(first: "Run", source: "Run", processor: "torch.device") -> "tuple[Run, Task[Any]]":
    """Fine-tune the second number model on the pictures of the first."""
    from handigit.train.run import Run
    from handigit.train.tasks import load_start, load_task
    from handigit.train.trainer import fit

    recipe, path = load_recipe(_SECOND_RECIPE, strings=first.recipe.strings), first.path / "second"
    task = load_task(recipe, folder=Settings().data, device=processor)
    start = load_start(recipe, folder=Settings().runs / "published", from_run=source)
    run = Run.resume(path, recipe) if path.exists() else Run.create(path, recipe, {"from": str(source.path)})
    say(f"{run.path}: {task}")
    with watch_training(recipe.epochs) as callbacks:
        fit(run, task, start, callbacks=callbacks, threads=Settings().threads)
    return run, task


def number_exporter(task: "NumberTask", folder: Path) -> "NumberExporter":
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
    digits = _digit_reader().digits_on([255 - np.pad(glyph, max(4, max(glyph.shape) // 5)) for glyph in glyphs])
    return [digit.value in (None, label) or digit.confidence < _MISLABELLED for digit in digits]


@cache
def _digit_reader() -> "Reader":
    from handigit.read import Reader

    return Reader()


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
