"""From a run to one ONNX file with its card inside, checked against PyTorch on real glyphs.

It knows how the file is written, not how it is used to read: that is `read/engine.py`.
"""

import hashlib
import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from jaxtyping import Float, Float32, UInt8
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from handigit.augment import augment
from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError
from handigit.models import build
from handigit.models.cost import count_parameters
from handigit.recipe import Recipe
from handigit.synth import nondigits
from handigit.train.batches import Samples
from handigit.train.calibrate import Calibration, calibrate
from handigit.train.digit_data import Prepared
from handigit.train.loop import predict_logits
from handigit.train.run import Run, put_in_place


def quantize(content: bytes, batches: Sequence[Float32[np.ndarray, "_ 1 _ _"]], *, input_name: str = "glyphs") -> bytes:
    """The same network in eight bits; ranges are those that these batches reach inside it.

    Weights get seven bits: with eight, processors without VNNI instructions overflow in silence.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, ready, made = (Path(folder) / f"{name}.onnx" for name in ("given", "ready", "made"))
        given.write_bytes(content)
        quant_pre_process(given, ready)
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)  # the tool advises, on the root logger, what has just been done
        try:
            quantize_static(
                ready,
                made,
                _Ranges(batches, input_name),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        finally:
            logging.disable(level)
        return bytes(onnx.load(made).SerializeToString(deterministic=True))


class _Ranges(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime comes without types
    """Batches as the tool asks for them."""

    def __init__(self, batches: Sequence[Float32[np.ndarray, "_ 1 _ _"]], input_name: str) -> None:
        self.batches = iter(batches)
        self.input_name = input_name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {self.input_name: batch}


PARITY_GLYPHS = 10_000
PARITY_TOLERANCE = 1e-4  # of a probability, between PyTorch and ONNX Runtime
_OPSET = 18
_RANGE_GLYPHS = 1000
_RANGE_BATCH = 100
_MOST_CHANGED = 0.002
_STRANGERS = 0.1  # things that are no digit, for each digit that thresholds are chosen for


@dataclass(frozen=True)
class Exported:
    """The file that was written.

    `parity` is the largest difference of a probability between PyTorch and the float32 file over `glyphs_checked`;
    `changed` is how many answers to them eight bits have changed.
    """

    path: Path
    digest: str
    size_bytes: int
    glyphs_checked: int
    parity: float
    changed: int = 0


@dataclass(frozen=True)
class Parity:
    """On how many inputs file and network were compared, their worst difference, and what eight bits changed."""

    checked: int
    worst: float
    changed: int


def export(run: Run, path: Path, prepared: Prepared, *, name: str | None = None, int8: bool = False) -> Exported:
    """Write the run's network to `path`, calibrated on validation data, compared on the first 10,000 to learn from.

    `int8` makes it compute in eight bits; it is calibrated as it then answers.

    Raises:
        RunError: the run has not ended.
        ModelError: ONNX Runtime does not give what PyTorch gives, or eight bits change more than one answer in 500.
    """
    model = trained_network(run)
    glyphs = prepared.train.glyphs[:PARITY_GLYPHS]
    network = to_onnx(model)
    parity = compare_with_torch(model, network, glyphs)
    file, changed = (network, 0) if not int8 else in_eight_bits(network, prepared, run.recipe)
    samples = with_variations(Samples.of(prepared.validation, torch.device("cpu")), run.recipe)
    answers = torch.from_numpy(onnx_logits(file, samples.glyphs.numpy()))
    calibration = calibrate(answers, samples.labels, torch.from_numpy(onnx_logits(file, strangers(run, len(samples)))))
    content = add_card(file, make_card(run, model, calibration, name=name or run.recipe.model))
    return write_model(path, content, Parity(len(glyphs), parity, changed))


def trained_network(run: Run) -> nn.Module:
    """The run's network with its weights, ready to answer.

    Raises:
        RunError: the run has not ended.
    """
    model = build(run.recipe.model)
    model.load_state_dict(run.weights())
    return model.eval()


def write_model(path: Path, content: bytes, parity: Parity) -> Exported:
    """Put a finished ONNX file in its place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    put_in_place(part, path)
    digest = hashlib.sha256(content).hexdigest()
    return Exported(path, digest, len(content), parity.checked, parity.worst, parity.changed)


def in_eight_bits(network: bytes, prepared: Prepared, recipe: Recipe) -> tuple[bytes, int]:
    """The network in eight bits, and how many of the first 10,000 answers that changes.

    Raises:
        ModelError: more than one in 500.
    """
    some = Samples.of(prepared.train.take(np.arange(min(_RANGE_GLYPHS, len(prepared.train)))), torch.device("cpu"))
    bent = with_variations(some, recipe)
    seen = bent.take(torch.arange(len(bent))).numpy()
    file = quantize(network, np.split(seen, range(_RANGE_BATCH, len(seen), _RANGE_BATCH)))
    glyphs = prepared.train.glyphs[:PARITY_GLYPHS]
    changed = int((onnx_logits(network, glyphs).argmax(1) != onnx_logits(file, glyphs).argmax(1)).sum())
    if changed > _MOST_CHANGED * len(glyphs):
        raise ModelError(f"eight bits change {changed} of {len(glyphs)} answers; export this network without int8")
    return file, changed


def onnx_logits(content: bytes, glyphs: UInt8[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 10"]:
    """What the file says through ONNX Runtime."""
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    batch = glyphs[:, None].astype(np.float32) / 255
    parts = [session.run(None, {"glyphs": batch[i : i + 1000]})[0] for i in range(0, len(batch), 1000)]
    return np.concatenate(parts)


def strangers(run: Run, digits: int) -> UInt8[np.ndarray, "m 28 28"]:
    """Things that are no digit, one to ten digits, drawn as none that the run has learnt from was."""
    # Another seed than the run's own outliers (its data seed and a million), for other writers.
    return nondigits(round(digits * _STRANGERS), seed=run.recipe.drawn_from + 2_000_000).glyphs


def with_variations(samples: Samples, recipe: Recipe) -> Samples:
    """The samples and a copy bent as the recipe bends them.

    Clean validation glyphs alone would make the model look surer than it may be of what people bring.
    """
    bent = augment(samples.take(torch.arange(len(samples))), recipe, torch.Generator().manual_seed(recipe.seed))
    copies = (bent[:, 0] * 255).round().to(torch.uint8)
    return Samples(torch.cat([samples.glyphs, copies]), torch.cat([samples.labels, samples.labels]))


def make_card(run: Run, model: nn.Module, calibration: Calibration, *, name: str) -> Card:
    """The card of a run's network."""
    return Card(
        name=name,
        temperature=calibration.temperature,
        thresholds=calibration.thresholds,
        digit_floor=calibration.digit_floor,
        **run_facts(run, model),
    )


def run_facts(run: Run, model: nn.Module) -> dict[str, Any]:
    """The fields of a card that every run's network has."""
    report, facts = run.report, run.facts
    return {
        "architecture": run.recipe.model,
        "parameters": count_parameters(model),
        "recipe": run.recipe.differences(),
        "data": facts.get("data", {}),
        "scores": {key: round(report[key], 6) for key in ("validation_accuracy", "validation_loss") if key in report},
        "code_version": facts.get("code_version", ""),
    }


def to_onnx(model: nn.Module) -> bytes:
    """The network as an ONNX file: `(n, 1, 28, 28)` float32 in, `(n, 10)` logits out, any n."""
    return onnx_file(model, torch.zeros(2, 1, 28, 28), input_name="glyphs", dynamic={0: torch.export.Dim("n")})


def onnx_file(
    model: nn.Module, example: Float[Tensor, "n 1 h w"], *, input_name: str, dynamic: dict[int, Any]
) -> bytes:
    """The network as an ONNX file that takes inputs like the example, `dynamic` of its sides being of any length."""
    with warnings.catch_warnings():  # the exporter warns of its own internals
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model.eval(),
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[input_name],
            output_names=["logits"],
            dynamic_shapes=(dynamic,),
            opset_version=_OPSET,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def add_card(content: bytes, card: Card) -> bytes:
    """The same file with a card in its metadata, and without the exporter's notes on its source files."""
    model = onnx.load_from_string(content)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def compare_with_torch(model: nn.Module, content: bytes, glyphs: UInt8[np.ndarray, "n 28 28"]) -> float:
    """The largest difference of a probability between the file and the network.

    Raises:
        ModelError: an answer differs, or a probability by more than 1e-4.
    """
    ours = predict_logits(model, Samples(torch.from_numpy(glyphs), torch.zeros(len(glyphs), dtype=torch.int64))).numpy()
    theirs = onnx_logits(content, glyphs)
    worst = float(np.abs(_softmax(ours) - _softmax(theirs)).max())
    differing = int((ours.argmax(1) != theirs.argmax(1)).sum())
    if differing or worst > PARITY_TOLERANCE:
        raise ModelError(
            f"the exported file differs from PyTorch: {differing} of {len(glyphs)} answers, probabilities by up to "
            f"{worst:.1e} (at most {PARITY_TOLERANCE:.0e} is accepted); it was not written"
        )
    return worst


def _softmax(logits: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, "n 10"]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
