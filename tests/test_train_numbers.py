"""Number models: bit-equal resume, export, calibration, and tables of a user's own pictures."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from handigit.augment.strips import vary_strip
from handigit.card import METADATA_KEY, Card
from handigit.cli.number_training import read_held_out, trust_labels
from handigit.cli.training import train
from handigit.data.strings import load_strings
from handigit.data.writers import Part
from handigit.errors import BadDataFile, DataError, ModelError, RecipeError
from handigit.images.strip import scale_to_strip
from handigit.models import build
from handigit.read.number_engine import NumberEngine
from handigit.recipe import Recipe, load_recipe
from handigit.synth.crops import Crop, Mix, draw_crop
from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import calibrate_numbers, choose_cautious_thresholds
from handigit.train.export import compare_with_torch, quantise, to_onnx
from handigit.train.export_numbers import NUMBER_SIGNATURE
from handigit.train.number_task import NumberTask, score_strips
from handigit.train.run import Run
from handigit.train.strip_data import LabelledCrop, StripSet, StripSource
from handigit.train.trainer import Callbacks, fit, start_model

CPU = torch.device("cpu")
RECIPE = Recipe(
    model="ppocr-tiny", lines=48, line_sets=2, string_share=0.5, epochs=3, batch_size=16, optimizer="adamw",
    learning_rate=3e-3, ema=0.9, validation=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def crops() -> list[Crop]:
    rng = np.random.default_rng(1)
    return [draw_crop(rng, mix=Mix(plain=1.0)) for _ in range(48)]


@pytest.fixture(scope="module")
def strips(crops) -> StripSet:
    return StripSet.of([(scale_to_strip(crop.pixels), crop.text) for crop in crops])


@dataclass(frozen=True)
class DrawnBefore(StripSource):
    """Its sets are variations of one set."""

    fixed: StripSet

    def draw(self, number: int) -> StripSet:  # noqa: D102
        rng = np.random.default_rng(number)
        fixed = self.fixed
        return StripSet.of([(vary_strip(fixed.grey(index), rng), fixed.texts[index]) for index in range(len(fixed))])

    def draw_held_out(self, count: int) -> StripSet:  # noqa: ARG002, D102
        return self.fixed

    def strings(self, part: Part) -> list[StripSet]:  # noqa: ARG002, D102
        return [self.fixed]


class PowerCutError(Exception):
    """The process ends at an arbitrary step."""


@pytest.mark.slow
def test_training_lowers_the_loss_and_resumes_bit_equal(strips, tmp_path) -> None:
    def train(path: Path, *, cut_at: int | None = None) -> Run:
        def cut(done: int, _total: int) -> None:
            if done == cut_at:
                raise PowerCutError

        run = Run.resume(path, RECIPE) if path.exists() else Run.create(path, RECIPE, {})
        task = NumberTask(RECIPE, DrawnBefore(RECIPE, tmp_path, strips))
        fit(run, task, start_model(RECIPE), callbacks=Callbacks(step=cut))
        return run

    straight = train(tmp_path / "straight")
    with pytest.raises(PowerCutError):
        train(tmp_path / "cut", cut_at=8)
    resumed = train(tmp_path / "cut")
    assert straight.metrics()[-1]["validation_loss"] < score_strips(start_model(RECIPE), strips, device=CPU)[0]
    weights = resumed.weights()
    assert all(torch.equal(weights[name], tensor) for name, tensor in straight.weights().items())
    assert not (straight.path / "strips").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppocr-tiny", "ppocr-small"])
def test_exported_file_matches_the_network_at_any_width(strips, name) -> None:
    torch.manual_seed(0)
    model = build(name).eval()
    content = to_onnx(model, NUMBER_SIGNATURE)
    batches = [batch.inputs.numpy() for batch in strips.batches(16)]
    assert compare_with_torch(model, content, batches) < 1e-4


def exported(card: Card) -> bytes:
    network = onnx.load_from_string(to_onnx(build("ppocr-tiny").eval(), NUMBER_SIGNATURE))
    onnx.helper.set_model_props(network, {METADATA_KEY: card.to_json()})
    return bytes(network.SerializeToString())


@pytest.mark.slow
def test_engine_reads_strips_in_any_order_and_batch(strips, crops) -> None:
    content = exported(Card(task="number", name="n", architecture="ppocr-tiny", alphabet=ALPHABET, input=(1, 48, 0)))
    engine = NumberEngine(content)
    some = [strips.pixels(index) for index in range(12)]
    together = engine.probabilities(some)
    for pixels, probs in zip(some, together, strict=True):
        (alone,) = engine.probabilities([pixels])
        assert probs.sum(axis=1) == pytest.approx(1)
        np.testing.assert_allclose(probs, alone, atol=1e-5)
    result = read_held_out(content, None, [LabelledCrop(crop.pixels, crop.text) for crop in crops])(None)
    assert len(result.features["logit"]) == len(result.correct) <= len(crops)


@pytest.mark.slow
def test_model_of_lines_is_refused() -> None:
    card = Card(task="number", name="n", architecture="numbernet2", alphabet=ALPHABET, input=(1, 32, 0))
    with pytest.raises(ModelError, match="reads lines of 32 pixels"):
        NumberEngine(exported(card))


def test_calibration_recovers_the_curve() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.5, 0.999, 4000)
    logit = np.log(claimed / (1 - claimed))
    calibration = calibrate_numbers(
        logit, rng.random(4000) < 1 / (1 + np.exp(-0.5 * logit)), np.ones(4000)
    )  # overconfident
    assert calibration.steepness == pytest.approx(0.5, abs=0.12)
    assert abs(calibration.shift) < 0.2
    card = Card(name="n", architecture="n", steepness=calibration.steepness, shift=calibration.shift)
    assert card.confidence(0.9) == pytest.approx(0.75, abs=0.05)
    assert [t.target_error for t in calibration.thresholds] == sorted(
        (t.target_error for t in calibration.thresholds), reverse=True
    )


def labelled_pictures(folder: Path, header: str = "file,text") -> Path:
    (folder / "images").mkdir()
    rows = [header]
    for number, text in enumerate(("407", "9.5")):
        page = np.full((60, 160), 255, np.uint8)
        cv2.putText(page, text, (20, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 2)
        Image.fromarray(page).save(folder / "images" / f"{number}.png")
        rows.append(f"{number}.png,{text}")
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "labels.csv"


@pytest.mark.parametrize("header", ["file,text", "file,label"])
def test_own_pictures_are_read_from_a_table(tmp_path, header) -> None:
    table = labelled_pictures(tmp_path, header)
    assert [item.text for item in load_strings(table)] == ["407", "9.5"]


def test_table_without_its_columns_is_named(tmp_path) -> None:
    with pytest.raises(BadDataFile, match="name the columns file and text"):
        list(load_strings(labelled_pictures(tmp_path, "picture,number")))


def test_missing_picture_is_named(tmp_path) -> None:
    table = labelled_pictures(tmp_path)
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: not found"):
        list(load_strings(table))


def test_thresholds_allow_for_one_more_error_than_was_counted() -> None:
    confidence = np.linspace(0.99, 0.5, 400)
    correct = np.ones(400, bool)
    correct[300] = False  # 1 of 301 is counted as 2 of 302
    thresholds = {
        t.target_error: t.confidence for t in choose_cautious_thresholds(confidence, correct, np.ones(len(correct)))
    }
    assert thresholds[0.01] == pytest.approx(confidence[-1])
    assert thresholds[0.005] == pytest.approx(confidence[399 if 2 / 401 <= 0.005 else 299])
    assert thresholds[0.001] == pytest.approx(confidence[299])  # 300 without an error: the best that is known
    assert choose_cautious_thresholds(confidence, ~correct, np.ones(len(correct)), targets=(0.01,))[0].confidence == 1.0


@pytest.mark.slow
def test_named_modules_keep_full_precision_in_eight_bits(strips) -> None:
    torch.manual_seed(0)
    content = to_onnx(build("ppocr-tiny").eval(), NUMBER_SIGNATURE)
    ranges = [strips.pixels(index)[None, None] for index in range(4)]
    ranges = [np.pad(strip, ((0, 0),) * 3 + ((0, -strip.shape[3] % 32),), constant_values=1) for strip in ranges]
    smaller = quantise(content, ranges, input_name="strips", full_precision=("stem", "neck"))
    network = onnx.load_from_string(smaller)
    names = {tensor.name for tensor in network.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    assert "stem.0.weight" in names
    assert "neck.2.weight" in names
    assert "blocks.0.expand.weight" not in names
    assert len(smaller) < 0.6 * len(content)


def test_only_a_clearly_contradicted_label_is_not_trusted() -> None:
    one = 255 - cv2.imread("samples/digits/plain-1.png", cv2.IMREAD_GRAYSCALE)
    assert [trust_labels([one], label) for label in (1, 3, None)] == [[True], [False], [False]]


def test_the_second_model_to_tune_must_be_one(tmp_path) -> None:
    other = Run.create(tmp_path / "other", load_recipe("number"), {})
    with pytest.raises(RecipeError, match="such as published/number-second beside number-tune, not a 'ppocr-small'"):
        train("number-tune", second=other.path, run=tmp_path / "run", fields=load_recipe("number-tune"))
    with pytest.raises(RecipeError, match="not a 'lenet5'"):
        train("lenet5", second=other.path, run=tmp_path / "run", fields=load_recipe("lenet5"))
    assert not (tmp_path / "run").exists()
