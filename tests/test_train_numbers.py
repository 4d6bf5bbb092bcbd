"""Number models: packed and batched lines, loss, bit-equal resume, export, calibration."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from handigit.augment.jitter import jitter
from handigit.card import METADATA_KEY, Card
from handigit.cli.training import read_held_out
from handigit.data.strings import load_strings
from handigit.errors import BadDataFile, DataError
from handigit.images.line import Line
from handigit.models import build
from handigit.read.engine import NumberEngine
from handigit.recipe import Recipe
from handigit.synth.crops import Mix, draw_lines
from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import calibrate_numbers
from handigit.train.export import compare_with_torch, to_onnx
from handigit.train.export_numbers import NUMBER_SIGNATURE
from handigit.train.line_data import LineSet, LineSource
from handigit.train.number_task import NumberTask, count_frames, ctc_loss, greedy_decode, score_lines
from handigit.train.run import Run
from handigit.train.trainer import Callbacks, Trainer, fit, start_model

RECIPE = Recipe(
    model="numbernet", lines=96, epochs=3, batch_size=16, optimizer="adamw", learning_rate=3e-3, ema=0.9, validation=0
)


@pytest.fixture(scope="module")
def lines() -> LineSet:
    return LineSet.of(list(draw_lines(96, seed=1, mix=Mix(plain=1.0))))


def line(width: int, value: float = 0.5) -> Line:
    return Line(np.full((32, width), value, np.float32), np.eye(2, 3))


def test_packed_lines_survive_saving(tmp_path) -> None:
    packed = LineSet.of([(line(20, 0.2), "12"), (line(9, 1.0), ""), (line(31, 0.0), "3.4")])
    packed.save(tmp_path / "set.npz")
    again = LineSet.load(tmp_path / "set.npz")
    assert again.texts == ("12", "", "3.4")
    assert again.pixels(1).shape == (32, 9)
    assert again.pixels(0) == pytest.approx(np.full((32, 20), 0.2), abs=1 / 255)


def test_text_outside_the_alphabet_is_refused() -> None:
    with pytest.raises(DataError, match="'1a'"):
        LineSet.of([(line(20), "1a")])


def test_batches_contain_every_line_once_with_zero_padding(lines) -> None:
    batches = list(lines.batches(10))
    assert sorted(text for batch in batches for text in batch.texts) == sorted(lines.texts)
    for batch in batches:
        assert batch.inputs.shape[3] % 8 == 0
        for one, width in zip(batch.inputs, batch.widths.tolist(), strict=True):
            assert not one[0, :, width:].any()


def test_random_batches_follow_from_the_seed(lines) -> None:
    first, second = ([b.texts for b in lines.batches(16, torch.Generator().manual_seed(3))] for _ in range(2))
    assert first == second
    assert first != [b.texts for b in lines.batches(16, torch.Generator().manual_seed(4))]


def test_grown_network_starts_equal_and_can_learn(lines) -> None:
    smaller, larger = build("numbernet").eval(), build("numbernet2").eval()
    larger.grow_from(smaller)
    seen = lines.batch(range(4)).inputs
    torch.testing.assert_close(larger(seen), smaller(seen))
    task = NumberTask(RECIPE.replace(model="numbernet2"), lines=lines)
    Trainer(task, larger).train_epoch(0, Callbacks())
    last = [part for part in larger.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(part.weight.abs().sum() > 0 for part in last)


def test_jitter_keeps_shape_and_range(lines) -> None:
    seen = next(lines.batches(16)).inputs
    moved = jitter(seen, torch.Generator().manual_seed(0))
    assert moved.shape == seen.shape
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert not torch.equal(moved, seen)


def test_greedy_decoding_agrees_with_the_loss() -> None:
    logits = torch.zeros(1, 8, len(ALPHABET) + 1)
    for frame, character in enumerate("1_1.__7_"):
        logits[0, frame, 0 if character == "_" else 1 + ALPHABET.index(character)] = 12.0
    frames = torch.tensor([8])
    assert greedy_decode(logits, frames) == ["11.7"]
    assert ctc_loss(logits, frames, ("11.7",)).item() < 0.01
    assert ctc_loss(logits, frames, ("117",)).item() > 1
    assert ctc_loss(logits, frames, ("123456789",)).item() == 0  # too long for its line: ignored


def test_robust_loss_reduces_the_gradient_of_illegible_lines() -> None:
    def gradient_norm(text: str, robust_loss: float) -> float:
        logits = torch.zeros(1, 8, len(ALPHABET) + 1)
        for frame, character in enumerate("1__1__7_"):
            logits[0, frame, 0 if character == "_" else 1 + ALPHABET.index(character)] = 6.0
        logits.requires_grad_()
        ctc_loss(logits, torch.tensor([8]), (text,), robust_loss=robust_loss).backward()
        return float(logits.grad.norm())  # type: ignore[union-attr]

    right, wrong = (gradient_norm(text, 0.2) / gradient_norm(text, 0.0) for text in ("117", "952"))
    assert right > 0.9
    assert wrong < 0.05


def test_frames_are_two_per_four_pixels() -> None:
    assert count_frames(torch.tensor([8, 9, 12])).tolist() == [4, 6, 6]
    assert build("numbernet")(torch.zeros(1, 1, 32, 48)).shape == (1, 24, len(ALPHABET) + 1)


class PowerCutError(Exception):
    """The process ends at an arbitrary step."""


@pytest.mark.slow
def test_training_lowers_the_loss_and_resumes_bit_equal(lines, tmp_path) -> None:
    def train(path: Path, *, cut_at: int | None = None) -> Run:
        def cut(done: int, _total: int) -> None:
            if done == cut_at:
                raise PowerCutError

        run = Run.resume(path, RECIPE) if path.exists() else Run.create(path, RECIPE, {})
        task = NumberTask(RECIPE, lines=lines, held_out=lines)
        fit(run, task, start_model(RECIPE), callbacks=Callbacks(step=cut))
        return run

    straight = train(tmp_path / "straight")
    with pytest.raises(PowerCutError):
        train(tmp_path / "cut", cut_at=8)
    resumed = train(tmp_path / "cut")
    assert straight.metrics()[-1]["validation_loss"] < score_lines(start_model(RECIPE), lines)[0]
    weights = resumed.weights()
    assert all(torch.equal(weights[name], tensor) for name, tensor in straight.weights().items())


@pytest.mark.slow
def test_lines_are_drawn_for_a_run_and_deleted_when_it_is_finished(tmp_path) -> None:
    recipe = RECIPE.replace(lines=32, line_sets=2, epochs=2, data=("synth:200",), validation=40)
    run = Run.create(tmp_path / "run", recipe, {})
    task = NumberTask.of(recipe, folder=tmp_path, device=torch.device("cpu"))
    assert list(task.metadata["data"]) == ["synth:200"]
    assert str(task) == "32 lines per epoch, drawn during training"
    fit(run, task, start_model(recipe))
    assert run.finished
    assert not (run.path / "lines").exists()
    assert [row["epoch"] for row in run.metrics()] == [1, 2]


@pytest.mark.slow
def test_exported_file_matches_the_network_at_any_width(lines) -> None:
    model = build("numbernet").eval()
    content = to_onnx(model, NUMBER_SIGNATURE)
    batches = [batch.inputs.numpy() for batch in lines.batches(32)]
    assert compare_with_torch(model, content, batches) < 1e-4


@pytest.mark.slow
def test_engine_reads_lines_in_any_order_and_batch(lines) -> None:
    network = onnx.load_from_string(to_onnx(build("numbernet").eval(), NUMBER_SIGNATURE))
    card = Card(task="number", name="n", architecture="numbernet", alphabet=ALPHABET, input=(1, 32, 0))
    onnx.helper.set_model_props(network, {METADATA_KEY: card.to_json()})
    content = network.SerializeToString()
    engine = NumberEngine(content)
    some = [lines.pixels(index) for index in range(12)]
    together = engine.probabilities(some)
    for pixels, shares in zip(some, together, strict=True):
        (alone,) = engine.probabilities([pixels])
        assert shares.shape == alone.shape
        assert shares.sum(axis=1) == pytest.approx(1)
        assert np.abs(shares[:-6] - alone[:-6]).max(initial=0) < 1e-3  # the end depends on the padding
    result = read_held_out(content, lines)
    assert len(result.probability) == len(result.correct) <= len(lines)


def test_calibration_recovers_the_curve() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.5, 0.999, 4000)
    true = 1 / (1 + np.exp(-0.5 * np.log(claimed / (1 - claimed))))  # an overconfident model
    calibration = calibrate_numbers(claimed, rng.random(4000) < true)
    assert calibration.steepness == pytest.approx(0.5, abs=0.12)
    assert abs(calibration.shift) < 0.2
    card = Card(name="n", architecture="n", steepness=calibration.steepness, shift=calibration.shift)
    assert card.confidence(0.9) == pytest.approx(0.75, abs=0.05)
    assert [t.target_error for t in calibration.thresholds] == sorted(
        (t.target_error for t in calibration.thresholds), reverse=True
    )


@pytest.mark.data
def test_hands_come_from_the_data_folder(data_folder: Path) -> None:
    source = LineSource(Recipe(model="numbernet", data=("hwd1000",), validation=100, lines=5), data_folder)
    learnt, held_out = source.hands(held_out=False)[0], source.hands(held_out=True)[0]
    count = [sum(map(len, one.digits)) for one in (learnt, held_out)]
    assert count[1] <= 100 < count[0]
    assert len(source.draw(0)) == 5


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
def test_pictures_in_a_table_become_lines(tmp_path, header) -> None:
    table = labelled_pictures(tmp_path, header)
    strings = LineSource(RECIPE.replace(strings=(str(table),)), tmp_path).strings()
    assert strings is not None
    assert strings.texts == ("407", "9.5")


def test_table_without_its_columns_is_named(tmp_path) -> None:
    with pytest.raises(BadDataFile, match="name the columns file and text"):
        list(load_strings(labelled_pictures(tmp_path, "picture,number")))


def test_missing_picture_is_named(tmp_path) -> None:
    table = labelled_pictures(tmp_path)
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: not found"):
        list(load_strings(table))


def test_mixed_in_lines_make_up_their_fraction(lines) -> None:
    few = LineSet.of([(line(20), "1"), (line(24), "2")])
    both = lines.mix(few, 0.5)
    assert len(both) == 2 * len(lines)
    assert both.texts.count("2") >= 40
    assert both.pixels(len(lines) + 1).shape == (32, 24)
