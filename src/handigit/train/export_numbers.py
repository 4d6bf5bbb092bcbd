"""From the run of a number model to one ONNX file with its card inside, checked against PyTorch on held-out lines.

It knows how the file is written and calibrated, not how lines are read with it: who calls hands that in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from jaxtyping import Bool, Float32, Float64
from torch import nn

from handigit.card import Card
from handigit.errors import ModelError
from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import NumberCalibration, calibrate_numbers
from handigit.train.export import (
    PARITY_TOLERANCE,
    Exported,
    Parity,
    add_card,
    onnx_file,
    quantize,
    run_facts,
    trained_network,
    write_model,
)
from handigit.train.line_data import LineSet
from handigit.train.number_loop import line_logits
from handigit.train.run import Run

_PARITY_LINES = 512
_SCORING_BATCH = 32
_MOST_CHANGED = 0.01
INPUT = "lines"


@dataclass(frozen=True, eq=False)
class Judged:
    """How probable the best text of each line is, and whether it is what is written there."""

    probability: Float64[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]


Judge = Callable[[bytes, LineSet], Judged]
"""Reads lines with a model given as bytes."""


def export_numbers(
    run: Run, path: Path, held_out: LineSet, judge: Judge, *, name: str = "number", int8: bool = False
) -> Exported:
    """Write the run's network to `path`, calibrated on held-out lines and compared with PyTorch on some of them.

    `int8` makes it compute in eight bits; it is calibrated as it then answers.

    Raises:
        RunError: the run has not ended.
        ModelError: ONNX Runtime does not give what PyTorch gives, or eight bits change more than one frame in 100.
    """
    model = trained_network(run)
    network = to_onnx(model)
    parity = compare_with_torch(model, network, held_out)
    file, changed = (network, 0) if not int8 else in_eight_bits(network, held_out)
    plain = add_card(file, make_card(run, model, NumberCalibration(), name=name))
    judged = judge(plain, held_out)
    calibration = calibrate_numbers(judged.probability, judged.right)
    content = add_card(file, make_card(run, model, calibration, name=name))
    return write_model(path, content, Parity(_PARITY_LINES, parity, changed))


def to_onnx(model: nn.Module) -> bytes:
    """The network as an ONNX file: `(n, 1, 32, width)` float32 in, `(n, frames, classes)` out, any n and width."""
    width = 8 * torch.export.Dim("eighths", min=1, max=4096)
    example = torch.zeros(2, 1, 32, 96)
    return onnx_file(model, example, input_name=INPUT, dynamic={0: torch.export.Dim("n"), 3: width})


def compare_with_torch(model: nn.Module, content: bytes, lines: LineSet) -> float:
    """The largest difference of a probability between the file and the network.

    Raises:
        ModelError: one by more than 1e-4.
    """
    worst, file = 0.0, Session(content)
    for batch in _some(lines):
        ours = torch.softmax(line_logits(model, torch.from_numpy(batch)), dim=2).numpy()
        theirs = torch.softmax(torch.from_numpy(file.logits(batch)), dim=2).numpy()
        worst = max(worst, float(np.abs(ours - theirs).max()))
    if worst > PARITY_TOLERANCE:
        raise ModelError(
            f"the exported file differs from PyTorch: probabilities by up to {worst:.1e} (at most "
            f"{PARITY_TOLERANCE:.0e} is accepted); it was not written"
        )
    return worst


def in_eight_bits(network: bytes, lines: LineSet) -> tuple[bytes, int]:
    """The network in eight bits, and how many of the frames that are read that changes.

    Raises:
        ModelError: more than one in 100.
    """
    batches = _some(lines)
    file = quantize(network, batches, input_name=INPUT)
    full, small = Session(network), Session(file)
    changed = seen = 0
    for batch in batches:
        before, after = full.logits(batch).argmax(2), small.logits(batch).argmax(2)
        changed, seen = changed + int((before != after).sum()), seen + before.size
    if changed > _MOST_CHANGED * seen:
        raise ModelError(f"eight bits change {changed} of {seen} frames; export this network without int8")
    return file, changed


class Session:
    """A file run by ONNX Runtime."""

    def __init__(self, content: bytes) -> None:
        self._session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])

    def logits(self, lines: Float32[np.ndarray, "n 1 32 width"]) -> Float32[np.ndarray, "n frames classes"]:
        """What the file says of a batch."""
        return np.asarray(self._session.run(["logits"], {INPUT: lines})[0])


def make_card(run: Run, model: nn.Module, calibration: NumberCalibration, *, name: str) -> Card:
    """The card of a run's network."""
    return Card(
        task="number",
        name=name,
        input=(1, 32, 0),
        alphabet=ALPHABET,
        steepness=calibration.steepness,
        shift=calibration.shift,
        thresholds=calibration.thresholds,
        **run_facts(run, model),
    )


def _some(lines: LineSet) -> list[Float32[np.ndarray, "n 1 32 width"]]:
    """Batches of the first lines, as the network takes them."""
    places = np.arange(min(_PARITY_LINES, len(lines)))
    groups = [places[start : start + _SCORING_BATCH] for start in range(0, len(places), _SCORING_BATCH)]
    return [lines.batch(group).lines.numpy() for group in groups]
