"""Calibration and export: the file says what the network says, and its card says how sure that is."""

import hashlib
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from handigit.card import METADATA_KEY, Card
from handigit.data import split
from handigit.errors import ModelError
from handigit.models import ARCHITECTURES, build
from handigit.train.calibrate import calibrate, choose_thresholds, fit_temperature
from handigit.train.digit_data import Prepared
from handigit.train.export import Exported, add_card, compare_with_torch, export, onnx_logits, to_onnx
from handigit.train.run import Run
from test_train import SMALL, quadrants, train_small

PARTS = split(quadrants(), validation=SMALL.validation, seed=SMALL.seed)
PREPARED = Prepared(PARTS.train, PARTS.validation, {})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train_small(tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="module")
def exported(run: Run) -> Exported:
    return export(run, run.path / "model.onnx", PREPARED, name="small")


def test_the_file_answers_as_the_network_does(exported: Exported) -> None:
    assert exported.glyphs_checked == len(PARTS.train)
    assert exported.parity <= 1e-4
    assert exported.digest == hashlib.sha256(exported.path.read_bytes()).hexdigest()


def test_the_card_travels_inside(exported: Exported, run: Run) -> None:
    metadata = ort.InferenceSession(exported.path).get_modelmeta().custom_metadata_map
    card = Card.from_json(metadata[METADATA_KEY], source="test")
    assert (card.name, card.architecture, card.parameters) == ("small", "lenet5", 61_706)
    assert card.scores["validation_accuracy"] == pytest.approx(run.report["validation_accuracy"], abs=1e-6)
    assert card.recipe["learning_rate"] == SMALL.learning_rate
    assert card.thresholds


def test_exporting_twice_gives_the_same_bytes(exported: Exported, run: Run, tmp_path) -> None:
    again = export(run, tmp_path / "again.onnx", PREPARED, name="small")
    assert again.digest == exported.digest


def test_the_file_says_nothing_of_the_machine_it_was_made_on(exported: Exported) -> None:
    content = exported.path.read_bytes()
    assert str(Path.cwd()).encode() not in content
    assert b"site-packages" not in content


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_exports_for_any_batch(name: str) -> None:
    model = build(name).eval()
    content = add_card(to_onnx(model), Card(name=name, architecture=name))
    assert compare_with_torch(model, content, quadrants(7).glyphs) <= 1e-4


def test_a_file_that_answers_otherwise_is_not_written() -> None:
    torch.manual_seed(0)
    model, other = build("dense").eval(), build("dense").eval()
    with pytest.raises(ModelError, match=r"differs from PyTorch: .* it was not written"):
        compare_with_torch(model, to_onnx(other), quadrants(50).glyphs)


def test_the_graph_is_named_in_our_words(exported: Exported) -> None:
    graph = onnx.load(exported.path).graph
    assert ([i.name for i in graph.input], [o.name for o in graph.output]) == (["glyphs"], ["logits"])


@given(st.floats(0.2, 5.0), st.integers(0, 1000))
@settings(max_examples=15)
def test_the_temperature_is_found_again(temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    honest = torch.randn(4000, 10, generator=generator) * 3
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.15)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60))
def test_thresholds_keep_their_promise_on_what_they_were_chosen_by(answers: list[tuple[float, bool]]) -> None:
    confidence = torch.tensor([c for c, _ in answers])
    right = torch.tensor([r for _, r in answers])
    for bought in choose_thresholds(confidence, right, targets=(0.1, 0.5)):
        kept = confidence >= bought.confidence
        if kept.any() and bought.confidence < 1.0:
            assert (~right[kept]).float().mean() <= bought.target_error + 1e-6


def test_answers_of_equal_confidence_stand_or_fall_together() -> None:
    confidence = torch.full((100,), 0.9)
    right = torch.ones(100, dtype=torch.bool)
    right[0] = False
    assert choose_thresholds(confidence, right, targets=(0.005,))[0].confidence == 1.0


def test_the_floor_for_non_digits_loses_few_of_the_digits_it_was_set_on() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5000, 10) * 4
    found = calibrate(logits, logits.argmax(1))
    confidence = (logits / found.temperature).softmax(1).max(1).values
    assert (confidence < found.digit_floor).float().mean() == pytest.approx(0.001, abs=0.0005)


def test_eight_bits_make_it_small_and_hardly_change_an_answer(run: Run, exported: Exported, tmp_path) -> None:
    small = export(run, tmp_path / "small.onnx", PREPARED, int8=True)
    assert small.size_bytes < 0.5 * exported.size_bytes
    assert small.changed <= 1
    glyphs = PARTS.validation.glyphs
    whole, rounded = (onnx_logits(file.path.read_bytes(), glyphs) for file in (exported, small))
    assert (whole.argmax(1) == rounded.argmax(1)).mean() > 0.98
    assert not (whole == rounded).all()


def test_eight_bits_that_change_too_much_are_refused(monkeypatch, tmp_path, run: Run) -> None:
    monkeypatch.setattr("handigit.train.export._MOST_CHANGED", -1)
    with pytest.raises(ModelError, match="eight bits change"):
        export(run, tmp_path / "small.onnx", PREPARED, int8=True)
    assert not (tmp_path / "small.onnx").exists()
