"""Export a run as one ONNX file with its card inside, checked against PyTorch on real inputs.

The steps are the same for every kind of model: convert, compare, quantise if wished, calibrate, write. An `Exporter`
supplies what differs: example input, inputs for the comparison, calibration.
"""

import hashlib
import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import onnx
import onnxruntime as ort
import torch
from jaxtyping import Float32
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from handigit.atomic import write_file
from handigit.card import METADATA_KEY, Card
from handigit.errors import ModelError
from handigit.models.cost import count_parameters
from handigit.train.calibrate import Calibration
from handigit.train.run import Run
from handigit.train.trainer import load_model

PARITY_TOLERANCE = 1e-3
"""Maximum difference of a probability between PyTorch and ONNX Runtime; a deep network reaches 4e-4 in float32."""
_OPSET = 20
_MIN_HALVED = 256
"""Numbers in a tensor from which it is worth storing in 16 bits."""

Inputs = Float32[np.ndarray, "_ _ _ _"]


@dataclass(frozen=True)
class Signature:
    """A model's ONNX input: its name, an example shape, and the dimensions that may vary."""

    input_name: str
    shape: tuple[int, ...]
    dynamic: dict[int, Any]


@runtime_checkable
class Exporter(Protocol):
    """What export needs to know about one kind of model."""

    @property
    def signature(self) -> Signature:
        """The ONNX file's input."""

    @property
    def max_changed(self) -> float:
        """Maximum fraction of answers that quantisation may change."""

    @property
    def card_fields(self) -> dict[str, Any]:
        """Fields of the card that depend on the kind of model."""

    def parity_batches(self) -> Sequence[Inputs]:
        """Inputs on which the file is compared with PyTorch."""

    def quantisation_batches(self) -> Sequence[Inputs]:
        """Inputs from which quantisation takes its ranges."""

    def calibrate(self, content: bytes) -> Calibration:
        """Confidence from held-out data, as this file with its uncalibrated card answers."""


@dataclass(frozen=True)
class Exported:
    """The file that was written.

    `parity` is the largest difference of a probability between PyTorch and the float32 file over `inputs_checked`
    inputs; `changed` of `answers` are the answers that fewer bits changed.
    """

    path: Path
    digest: str
    size_bytes: int
    inputs_checked: int
    parity: float
    changed: int = 0
    answers: int = 0


Bits = Literal[8, 16, 32]
"""How weights are stored: in 8 bits and computed with 8, the rest in 16; in 16 and computed with 32; or in 32."""


def export(run: Run, path: Path, exporter: Exporter, *, name: str | None = None, bits: Bits = 32) -> Exported:
    """Write the run's network to `path` with a calibrated card.

    Raises:
        RunError: the run is not finished.
        ModelError: ONNX Runtime and PyTorch differ, or fewer bits change too many answers.
    """
    model = load_model(run)
    file = to_onnx(model, exporter.signature)
    batches = exporter.parity_batches()
    parity = compare_with_torch(model, file, batches)
    changed = answers = 0
    if bits < 32:
        if bits == 16:
            smaller = halve(file)
        else:
            ranges, full = exporter.quantisation_batches(), getattr(model, "FULL_PRECISION", ())
            smaller = halve(quantise(file, ranges, input_name=exporter.signature.input_name, full_precision=full))
        changed, answers = _compare_answers(file, smaller, batches)
        if changed > exporter.max_changed * answers:
            raise ModelError(f"{bits} bits change {changed} of {answers} answers; export this network with more bits")
        file = smaller
    card = make_card(run, model, exporter, name=name)
    calibration = exporter.calibrate(add_card(file, card))
    content = add_card(file, card.model_copy(update=vars(calibration)))
    with write_file(path, error=ModelError, durable=True) as output:
        output.write(content)
    digest = hashlib.sha256(content).hexdigest()
    return Exported(path, digest, len(content), sum(map(len, batches)), parity, changed, answers)


def to_onnx(model: nn.Module, signature: Signature) -> bytes:
    """The network as an ONNX file with one output, `logits`."""
    with warnings.catch_warnings():  # the exporter warns about its own internals
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(signature.shape),),
            dynamo=True,
            verbose=False,
            input_names=[signature.input_name],
            output_names=["logits"],
            dynamic_shapes=(signature.dynamic,),
            opset_version=_OPSET,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def compare_with_torch(model: nn.Module, content: bytes, batches: Sequence[Inputs]) -> float:
    """The largest difference of a probability between the file and the network.

    Raises:
        ModelError: the difference is larger than 1e-3.
    """
    worst, session = 0.0, Session(content)
    for batch in batches:
        with torch.no_grad():
            expected = torch.softmax(model(torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)), -1)
        actual = torch.softmax(torch.from_numpy(session.logits(batch)), -1)
        worst = max(worst, float((expected - actual).abs().max()))
    if worst > PARITY_TOLERANCE:
        raise ModelError(
            f"the exported file differs from PyTorch: probabilities by up to {worst:.1e} (maximum "
            f"{PARITY_TOLERANCE:.0e}); it was not written"
        )
    return worst


class Session:
    """An ONNX file run by ONNX Runtime."""

    def __init__(self, content: bytes) -> None:
        self._session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._input_name = self._session.get_inputs()[0].name

    def logits(self, inputs: Inputs) -> Float32[np.ndarray, "_ ..."]:
        """Logits of a batch."""
        return np.asarray(self._session.run(["logits"], {self._input_name: inputs})[0])


def make_card(run: Run, model: nn.Module, exporter: Exporter, *, name: str | None = None) -> Card:
    """The uncalibrated card of a run's network."""
    report, metadata = run.report, run.metadata
    scores = {key: round(report[key], 6) for key in ("validation_accuracy", "validation_loss") if key in report}
    fields: dict[str, Any] = {
        "name": run.recipe.model,
        "architecture": run.recipe.model,
        "parameters": count_parameters(model),
        "licence": getattr(model, "LICENCE", "MIT"),
        "recipe": run.recipe.differences(),
        "data": metadata.get("data", {}),
        "scores": scores,
        "code_version": metadata.get("code_version", ""),
    }
    fields |= exporter.card_fields | ({"name": name} if name else {})
    return Card(**fields)


def add_card(content: bytes, card: Card) -> bytes:
    """The same file with a card in its metadata and without the exporter's notes about source files."""
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


def _compare_answers(network: bytes, smaller: bytes, batches: Sequence[Inputs]) -> tuple[int, int]:
    """The answers that differ between two files, and the number of answers compared."""
    full, small = Session(network), Session(smaller)
    changed = answers = 0
    for batch in batches:
        before, after = full.logits(batch).argmax(-1), small.logits(batch).argmax(-1)
        changed, answers = changed + int((before != after).sum()), answers + before.size
    return changed, answers


def halve(content: bytes) -> bytes:
    """The same network with its weights stored in 16 bits; ONNX Runtime widens them once, while loading."""
    model = onnx.load_from_string(content)
    stored, widened = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= _MIN_HALVED:
            narrow = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            stored.append(onnx.numpy_helper.from_array(narrow, f"{tensor.name}.half"))
            widened.append(onnx.helper.make_node("Cast", [stored[-1].name], [tensor.name], to=onnx.TensorProto.FLOAT))
        else:
            stored.append(tensor)
    nodes = [*widened, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(stored)
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString(deterministic=True))


def quantise(
    content: bytes, batches: Sequence[Inputs], *, input_name: str = "glyphs", full_precision: Sequence[str] = ()
) -> bytes:
    """The same network in eight bits; the range of an activation is its mean range over these batches.

    `full_precision`: modules of the network that are not quantised; where there are any, only convolutions are.
    Weights use seven bits: with eight, processors without VNNI instructions overflow silently.
    """
    with tempfile.TemporaryDirectory() as folder:
        original, preprocessed, quantised = (Path(folder) / f"{n}.onnx" for n in ("original", "preprocessed", "int8"))
        original.write_bytes(content)
        quant_pre_process(original, preprocessed, skip_symbolic_shape=bool(full_precision))
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises preprocessing, which has just been done, on the root logger
        try:
            quantize_static(
                preprocessed,
                quantised,
                _CalibrationBatches(batches, input_name),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                op_types_to_quantize=["Conv"] if full_precision else None,
                nodes_to_exclude=_convolutions_of(preprocessed, full_precision),
                extra_options={"CalibMovingAverage": True},
            )
        finally:
            logging.disable(level)
        return bytes(onnx.load(quantised).SerializeToString(deterministic=True))


def _convolutions_of(path: Path, modules: Sequence[str]) -> list[str]:
    """The convolutions of an ONNX file whose weights belong to one of these modules."""
    nodes = onnx.load(path).graph.node
    return [
        node.name for node in nodes if node.op_type == "Conv" and not set(modules).isdisjoint(node.input[1].split("."))
    ]


class _CalibrationBatches(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no type hints
    """Batches in the form that the quantiser reads."""

    def __init__(self, batches: Sequence[Inputs], input_name: str) -> None:
        self.batches = iter(batches)
        self.input_name = input_name

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch; None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {self.input_name: batch}
