"""Number models: lines packed and batched, the loss, a small training that resumes bit-equal, and its export."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from handigit.augment.jitter import jitter
from handigit.card import METADATA_KEY, Card
from handigit.cli.numbers import judge
from handigit.data.strings import load_strings
from handigit.errors import BadDataFile, DataError
from handigit.images.line import Line
from handigit.models import build
from handigit.read.engine import LineEngine
from handigit.recipe import Recipe
from handigit.synth.crops import Mix, draw_lines
from handigit.synth.number_texts import ALPHABET
from handigit.train.calibrate import calibrate_numbers
from handigit.train.export_numbers import compare_with_torch, to_onnx
from handigit.train.line_data import LineSet, Source
from handigit.train.loop import Watch
from handigit.train.number_loop import LineLearner, count_frames, ctc_loss, greedy, score_lines

RECIPE = Recipe(
    model="numbernet", lines=96, epochs=3, batch_size=16, optimizer="adamw", learning_rate=3e-3, ema=0.9, validation=0
)


@pytest.fixture(scope="module")
def lines() -> LineSet:
    return LineSet.of(list(draw_lines(96, seed=1, mix=Mix(plain=1.0))))


def line(width: int, value: float = 0.5) -> Line:
    return Line(np.full((32, width), value, np.float32), np.eye(2, 3))


def test_lines_come_back_as_they_were_packed(tmp_path) -> None:
    packed = LineSet.of([(line(20, 0.2), "12"), (line(9, 1.0), ""), (line(31, 0.0), "3.4")])
    packed.save(tmp_path / "set.npz")
    again = LineSet.load(tmp_path / "set.npz")
    assert again.texts == ("12", "", "3.4")
    assert again.pixels(1).shape == (32, 9)
    assert again.pixels(0) == pytest.approx(np.full((32, 20), 0.2), abs=1 / 255)


def test_a_text_outside_the_alphabet_is_refused() -> None:
    with pytest.raises(DataError, match="'1a'"):
        LineSet.of([(line(20), "1a")])


def test_batches_hold_every_line_once_and_pad_with_nothing(lines) -> None:
    batches = list(lines.batches(10))
    assert sorted(text for batch in batches for text in batch.texts) == sorted(lines.texts)
    for batch in batches:
        assert batch.lines.shape[3] % 8 == 0
        for one, width in zip(batch.lines, batch.widths.tolist(), strict=True):
            assert not one[0, :, width:].any()


def test_random_batches_are_those_of_their_seed(lines) -> None:
    one, other = ([b.texts for b in lines.batches(16, torch.Generator().manual_seed(3))] for _ in range(2))
    assert one == other
    assert one != [b.texts for b in lines.batches(16, torch.Generator().manual_seed(4))]


def test_a_grown_network_answers_as_the_smaller_did_and_can_learn_more(lines) -> None:
    smaller, larger = build("numbernet").eval(), build("numbernet2").eval()
    larger.grow_from(smaller)
    seen = lines.batch(range(4)).lines
    torch.testing.assert_close(larger(seen), smaller(seen))
    learner = LineLearner(replace(RECIPE, model="numbernet2"), larger)
    learner.train_epoch(0, lines, Watch())
    last = [part for part in larger.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(part.weight.abs().sum() > 0 for part in last)


def test_jitter_keeps_shape_and_range(lines) -> None:
    seen = next(lines.batches(16)).lines
    moved = jitter(seen, torch.Generator().manual_seed(0))
    assert moved.shape == seen.shape
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert not torch.equal(moved, seen)


def test_greedy_reads_what_the_loss_wants() -> None:
    logits = torch.zeros(1, 8, len(ALPHABET) + 1)
    for frame, character in enumerate("1_1.__7_"):
        logits[0, frame, 0 if character == "_" else 1 + ALPHABET.index(character)] = 12.0
    frames = torch.tensor([8])
    assert greedy(logits, frames) == ["11.7"]
    assert ctc_loss(logits, frames, ("11.7",)).item() < 0.01
    assert ctc_loss(logits, frames, ("117",)).item() > 1
    assert ctc_loss(logits, frames, ("123456789",)).item() == 0  # too long for its line: teaches nothing


def test_a_line_that_nobody_could_read_pulls_less_with_a_robust_loss() -> None:
    def pull(text: str, robust_loss: float) -> float:
        logits = torch.zeros(1, 8, len(ALPHABET) + 1)
        for frame, character in enumerate("1__1__7_"):
            logits[0, frame, 0 if character == "_" else 1 + ALPHABET.index(character)] = 6.0
        logits.requires_grad_()
        ctc_loss(logits, torch.tensor([8]), (text,), robust_loss=robust_loss).backward()
        return float(logits.grad.norm())  # type: ignore[union-attr]

    right, wrong = pull("117", 0.2) / pull("117", 0.0), pull("952", 0.2) / pull("952", 0.0)
    assert right > 0.9
    assert wrong < 0.05


def test_frames_are_two_for_four_pixels() -> None:
    assert count_frames(torch.tensor([8, 9, 12])).tolist() == [4, 6, 6]
    assert build("numbernet")(torch.zeros(1, 1, 32, 48)).shape == (1, 24, len(ALPHABET) + 1)


def trained(lines: LineSet, epochs: int) -> LineLearner:
    torch.manual_seed(0)
    learner = LineLearner(RECIPE, build("numbernet"))
    for epoch in range(epochs):
        learner.train_epoch(epoch, lines, Watch())
    return learner


@pytest.mark.slow
def test_learning_lowers_the_loss_and_goes_on_bit_equal_after_a_break(lines, tmp_path) -> None:
    from handigit.train.run import Run

    straight = trained(lines, 2)
    broken = trained(lines, 1)
    run = Run.create(tmp_path / "run", RECIPE, {})
    run.save_checkpoint(broken.state(), [{"epoch": 1}])
    fresh = LineLearner(RECIPE, build("numbernet"))
    fresh.resume(run)
    losses = [fresh.train_epoch(1, lines, Watch())]
    assert losses[0] < score_lines(build("numbernet"), lines)[0]
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, fresh.model.state_dict()[name]), name


@pytest.mark.slow
def test_the_exported_file_says_what_the_network_says_at_any_width(lines) -> None:
    model = build("numbernet").eval()
    content = to_onnx(model)
    assert compare_with_torch(model, content, lines) < 1e-4


@pytest.mark.slow
def test_the_engine_reads_lines_in_any_order_and_batch(lines) -> None:
    network = onnx.load_from_string(to_onnx(build("numbernet").eval()))
    onnx.helper.set_model_props(
        network, {METADATA_KEY: Card(task="number", name="n", architecture="numbernet", alphabet=ALPHABET).to_json()}
    )
    content = network.SerializeToString()
    engine = LineEngine(content)
    some = [lines.pixels(index) for index in range(12)]
    together = engine.shares(some)
    for pixels, shares in zip(some, together, strict=True):
        (alone,) = engine.shares([pixels])
        assert shares.shape == alone.shape
        assert shares.sum(axis=1) == pytest.approx(1)
        assert np.abs(shares[:-6] - alone[:-6]).max(initial=0) < 1e-3  # the end feels its padding
    judged = judge(content, lines)
    assert len(judged.probability) == len(judged.right) <= len(lines)


def test_calibration_follows_the_truth() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.5, 0.999, 4000)
    true = 1 / (1 + np.exp(-0.5 * np.log(claimed / (1 - claimed))))  # a model too sure of itself
    found = calibrate_numbers(claimed, rng.random(4000) < true)
    assert found.steepness == pytest.approx(0.5, abs=0.12)
    assert abs(found.shift) < 0.2
    card = Card(name="n", architecture="n", steepness=found.steepness, shift=found.shift)
    assert card.confidence(0.9) == pytest.approx(0.75, abs=0.05)
    assert [t.target_error for t in found.thresholds] == sorted(
        (t.target_error for t in found.thresholds), reverse=True
    )


@pytest.mark.data
def test_the_data_folder_gives_hands(data_folder: Path) -> None:
    source = Source(Recipe(model="numbernet", data=("hwd1000",), validation=100, lines=5), data_folder)
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
def test_strings_named_in_a_table_become_lines(tmp_path, header) -> None:
    table = labelled_pictures(tmp_path, header)
    found = Source(RECIPE.replace(strings=(str(table),)), tmp_path).strings()
    assert found is not None
    assert found.texts == ("407", "9.5")


def test_a_table_without_its_columns_is_named(tmp_path) -> None:
    with pytest.raises(BadDataFile, match="name the columns file and text"):
        list(load_strings(labelled_pictures(tmp_path, "picture,number")))


def test_a_picture_that_is_missing_is_named(tmp_path) -> None:
    table = labelled_pictures(tmp_path)
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: is not there"):
        list(load_strings(table))


def test_strings_take_their_share(lines) -> None:
    few = LineSet.of([(line(20), "1"), (line(24), "2")])
    both = lines.with_share_of(few, 0.5)
    assert len(both) == 2 * len(lines)
    assert both.texts.count("2") >= 40
    assert both.pixels(len(lines) + 1).shape == (32, 24)
