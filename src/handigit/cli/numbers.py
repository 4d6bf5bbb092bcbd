"""What the verbs do for number models: train by a recipe of lines, export with a card, judge by the reader itself."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handigit.cli.terminal import say, watch_training
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.recipe import Recipe
    from handigit.train.export_numbers import Judged
    from handigit.train.line_data import LineSet
    from handigit.train.run import Run

_HELD_OUT = 6000
_MODEL_FILE = "model.onnx"


def is_number_model(name: str) -> bool:
    """Whether an architecture reads lines."""
    from handigit.models import NUMBER_ARCHITECTURES

    return name in NUMBER_ARCHITECTURES


def train_number(place: Path, recipe: "Recipe", *, resume: bool, from_: str | None) -> None:
    """Train a number model and export it into its run's folder."""
    import torch

    from handigit.train.digit_data import code_version, fingerprints
    from handigit.train.loop import start_model
    from handigit.train.number_loop import fit_numbers
    from handigit.train.run import Run, describe_machine

    start = start_model(recipe, from_run=Run.open(Path(from_)) if from_ else None)
    facts = {
        "code_version": code_version(),
        "machine": describe_machine(torch.device("cpu")),
        "data": fingerprints(recipe, folder=Settings().data),
    }
    run = Run.resume(place, recipe) if resume else Run.create(place, recipe, facts | ({"from": from_} if from_ else {}))
    say(f"{run.path}: {recipe.lines:,} lines an epoch, drawn while it trains")
    with watch_training(recipe.epochs) as watch:
        fit_numbers(run, folder=Settings().data, start=start, watch=watch)
    export_number(run, run.path / _MODEL_FILE)


def export_number(run: "Run", path: Path, *, name: str | None = None, int8: bool = False) -> None:
    """Write a number model's ONNX file and say how it compares with PyTorch."""
    from handigit.train.export_numbers import export_numbers
    from handigit.train.line_data import Source

    held_out = Source(run.recipe, Settings().data).draw_held_out(_HELD_OUT)
    done = export_numbers(run, path, held_out, judge, name=name or "number", int8=int8)
    say(
        f"wrote {done.path}: {done.size_bytes / 1e6:.2f} MB, sha256 {done.digest[:16]}, probabilities within "
        f"{done.parity:.0e} of PyTorch's on {done.glyphs_checked:,} lines"
        + (f"; eight bits then change {done.changed} of their frames" if int8 else "")
    )


def judge(content: bytes, lines: "LineSet") -> "Judged":
    """Read held-out lines as `Reader` does. Lines that are no number, and are read as one, are wrong."""
    from handigit.read.engine import Engine, LineEngine
    from handigit.read.hypotheses import look
    from handigit.read.numbers import best_number
    from handigit.read.reader import EMBEDDED
    from handigit.train.export_numbers import Judged

    engine, digits = LineEngine(content), Engine(EMBEDDED / "digit.onnx")
    pixels = [lines.pixels(index) for index in range(len(lines))]
    best = [best_number(looked.found) for looked in look(engine, pixels, digits=digits)]
    read = [(one, text) for one, text in zip(best, lines.texts, strict=True) if one is not None]
    return Judged(
        np.array([one.probability for one, _ in read]),
        np.array([one.text == _digits_of(text) for one, text in read]),
    )


def _digits_of(text: str) -> str:
    """The digits of a number; of anything else what no reading can be."""
    return text if "?" in text else "".join(character for character in text if character.isdecimal())
