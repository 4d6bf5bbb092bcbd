"""Calibration and export: the file computes what the network computes, and its card is calibrated."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from handigit.card import METADATA_KEY, Card
from handigit.data import split
from handigit.errors import ModelError
from handigit.models import ARCHITECTURES, build
from handigit.train.calibrate import calibrate_digits, choose_thresholds, fit_temperature
from handigit.train.digit_data import DigitData
from handigit.train.digit_task import Samples
from handigit.train.export import Exported, add_card, compare_with_torch, export, to_onnx
from handigit.train.export_digits import DIGIT_SIGNATURE, DigitExporter, as_batches, glyph_logits, without_disputed
from handigit.train.run import Run
from test_train import SMALL, quadrants, train_small

PARTS = split(quadrants(), validation=SMALL.validation, seed=SMALL.seed)
EXPORTER = DigitExporter(SMALL, DigitData(PARTS.train, PARTS.validation, {}))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="module")
def exported(run: Run) -> Exported:
    return export(run, run.path / "model.onnx", EXPORTER, name="small")


def test_file_matches_the_network(exported: Exported) -> None:
    assert exported.inputs_checked == len(PARTS.train)
    assert exported.parity <= 1e-4
    assert exported.digest == hashlib.sha256(exported.path.read_bytes()).hexdigest()


def test_card_is_inside_the_file(exported: Exported, run: Run) -> None:
    metadata = ort.InferenceSession(exported.path).get_modelmeta().custom_metadata_map
    card = Card.from_json(metadata[METADATA_KEY], source="test")
    assert (card.name, card.architecture, card.parameters) == ("small", "lenet5", 61_706)
    assert card.scores["validation_accuracy"] == pytest.approx(run.report["validation_accuracy"], abs=1e-6)
    assert card.recipe["learning_rate"] == SMALL.learning_rate
    assert card.thresholds


def test_export_is_reproducible(exported: Exported, run: Run, tmp_path) -> None:
    again = export(run, tmp_path / "again.onnx", EXPORTER, name="small")
    assert again.digest == exported.digest


def test_file_contains_no_paths_of_the_machine(exported: Exported) -> None:
    content = exported.path.read_bytes()
    assert str(Path.cwd()).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_exports_for_any_batch(name: str) -> None:
    model = build(name).eval()
    content = add_card(to_onnx(model, DIGIT_SIGNATURE), Card(name=name, architecture=name))
    assert compare_with_torch(model, content, as_batches(quadrants(7).glyphs, 4)) <= 1e-4


def test_file_that_differs_is_refused() -> None:
    torch.manual_seed(0)
    model, other = build("dense").eval(), build("dense").eval()
    with pytest.raises(ModelError, match=r"differs from PyTorch: .* it was not written"):
        compare_with_torch(model, to_onnx(other, DIGIT_SIGNATURE), as_batches(quadrants(50).glyphs, 50))


def test_graph_inputs_and_outputs_are_named(exported: Exported) -> None:
    graph = onnx.load(exported.path).graph
    assert ([i.name for i in graph.input], [o.name for o in graph.output]) == (["glyphs"], ["logits"])


@given(st.floats(0.2, 5.0), st.integers(0, 1000))
@settings(max_examples=15)
def test_temperature_is_recovered(temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    honest = torch.randn(4000, 10, generator=generator) * 3
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.15)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60))
def test_thresholds_meet_their_targets_on_the_calibration_data(answers: list[tuple[float, bool]]) -> None:
    confidence = torch.tensor([c for c, _ in answers])
    right = torch.tensor([r for _, r in answers])
    for threshold in choose_thresholds(confidence, right, targets=(0.1, 0.5)):
        accepted = confidence >= threshold.confidence
        if accepted.any() and threshold.confidence < 1.0:
            assert (~right[accepted]).float().mean() <= threshold.target_error + 1e-6


def test_ties_are_accepted_or_rejected_together() -> None:
    confidence = torch.full((100,), 0.9)
    right = torch.ones(100, dtype=torch.bool)
    right[0] = False
    assert choose_thresholds(confidence, right, targets=(0.005,))[0].confidence == 1.0


def test_nondigit_floor_loses_one_digit_in_a_thousand() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5000, 10) * 4
    calibration = calibrate_digits(logits, logits.argmax(1))
    confidence = (logits / calibration.temperature).softmax(1).max(1).values
    assert (confidence < calibration.digit_floor).float().mean() == pytest.approx(0.001, abs=0.0005)


def test_int8_is_small_and_changes_few_answers(run: Run, exported: Exported, tmp_path) -> None:
    small = export(run, tmp_path / "small.onnx", EXPORTER, bits=8)
    assert small.size_bytes < 0.5 * exported.size_bytes
    assert small.changed <= 1
    glyphs = PARTS.validation.glyphs
    whole, rounded = (glyph_logits(file.path.read_bytes(), glyphs) for file in (exported, small))
    assert (whole.argmax(1) == rounded.argmax(1)).float().mean() > 0.98
    assert not (whole == rounded).all()


def test_halved_weights_give_nearly_equal_answers(run: Run, exported: Exported, tmp_path) -> None:
    small = export(run, tmp_path / "small.onnx", EXPORTER, bits=16)
    assert small.size_bytes < 0.7 * exported.size_bytes
    whole, rounded = (glyph_logits(f.path.read_bytes(), PARTS.validation.glyphs) for f in (exported, small))
    assert torch.allclose(whole, rounded, atol=0.05)
    assert not torch.equal(whole, rounded)


def test_int8_that_changes_too_much_is_refused(tmp_path, run: Run) -> None:
    strict = replace(EXPORTER, max_changed=-1)
    with pytest.raises(ModelError, match="8 bits change"):
        export(run, tmp_path / "small.onnx", strict, bits=8)
    assert not (tmp_path / "small.onnx").exists()


def test_run_without_validation_data_is_calibrated_on_synthetic_digits(tmp_path) -> None:
    recipe = SMALL.replace(validation=0, epochs=1)
    path = export(
        train_small(tmp_path / "run", recipe),
        tmp_path / "model.onnx",
        DigitExporter(recipe, DigitData(PARTS.train, PARTS.validation.take(np.arange(0)), {})),
    ).path
    card = Card.from_json(ort.InferenceSession(path).get_modelmeta().custom_metadata_map[METADATA_KEY], source="test")
    assert card.thresholds
    assert card.scores == {}


def test_labels_that_teachers_dispute_are_left_out_of_the_calibration() -> None:
    samples = Samples(torch.zeros((4, 28, 28), dtype=torch.uint8), torch.tensor([3, 5, 7, 9]))
    logits = torch.zeros((4, 10))
    logits[[0, 1, 2], [3, 8, 1]] = torch.tensor([9.0, 9.0, 2.0])  # right, disputed with 0.99, doubted with 0.45
    kept = without_disputed(samples, [Answers(logits)])
    assert kept.labels.tolist() == [3, 7, 9]
    assert without_disputed(samples, []) is samples


class Answers(nn.Module):
    """A network that always answers the same."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, glyphs: torch.Tensor) -> torch.Tensor:
        """The given logits."""
        return self.logits[: len(glyphs)]
