"""Reading: model files, outcomes, the reader, annotated pictures. Models are made here, or the embedded ones."""

import hashlib
import io
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from handigit.card import METADATA_KEY, Card, Threshold
from handigit.errors import ImageError, ImageTooLarge, ModelError, ReadingCancelled, UnreadableImage
from handigit.images import FoundDigit, Limits, Views
from handigit.images.cancellation import Cancellation, check_cancelled
from handigit.read import Engine, Reader, annotate
from handigit.read.digit_engine import decide_outcome
from handigit.read.digits import predict_digits
from handigit.read.engine import EMBEDDED, softmax
from handigit.read.prefetch import map_chunks
from handigit.records import Box, Outcome

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(0, 0.3, (784, 10)).astype(np.float32)
GLYPHS = RANDOM.random((7, 28, 28), np.float32)


def model(shape=("n", 1, 28, 28), *, card=None, softmax=False, outputs=10, batch_out="n", kind=TensorProto.FLOAT):
    """A linear model in an ONNX file, as bytes."""
    weights = WEIGHTS[:, :outputs] if outputs <= 10 else RANDOM.random((784, outputs)).astype(np.float32)
    steps = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["f", "flat"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y" if not softmax else "z"]),
    ]
    if softmax:
        steps.append(helper.make_node("Softmax", ["z"], ["y"], axis=1))
    graph = helper.make_graph(
        steps,
        "linear",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (batch_out, outputs))],
        [
            numpy_helper.from_array(np.array([-1, 784], np.int64), "flat"),
            numpy_helper.from_array(weights, "w"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if card is not None:
        helper.set_model_props(made, {METADATA_KEY: card.to_json()})
    return made.SerializeToString()


def card(**changes):
    return Card(name="linear", architecture="linear", **changes)


# ---- engine


@pytest.mark.parametrize("shape", [(1, 28, 28), (28, 28, 1), (28, 28), (784,)])
@pytest.mark.parametrize("batch", ["n", None, 1, 4])
def test_foreign_models_of_each_shape_agree(shape, batch):
    engine = Engine(model((batch, *shape)))
    assert engine.card.input == shape
    assert engine.card.output == "logits"
    assert np.allclose(engine.logits(GLYPHS), GLYPHS.reshape(-1, 784) @ WEIGHTS, atol=1e-4)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_other_float_types(kind):
    assert np.allclose(Engine(model(kind=kind)).logits(GLYPHS), GLYPHS.reshape(-1, 784) @ WEIGHTS, atol=0.05)


def test_probability_outputs_are_detected_and_unchanged():
    plain, soft = Engine(model()), Engine(model(softmax=True))
    assert soft.card.output == "probabilities"
    want = softmax(plain.logits(GLYPHS), temperature=1.0)
    assert np.allclose(softmax(soft.logits(GLYPHS), temperature=1.0), want, atol=1e-5)


def test_many_glyphs_run_in_batches_and_none_is_allowed():
    engine = Engine(model())
    glyphs = RANDOM.random((600, 28, 28), np.float32)
    assert np.allclose(engine.logits(glyphs), glyphs.reshape(-1, 784) @ WEIGHTS, atol=1e-3)
    assert engine.logits(np.zeros((0, 28, 28), np.float32)).shape == (0, 10)


def test_card_name_and_digest(tmp_path):
    own = card(temperature=1.5, thresholds=(Threshold(target_error=0.01, confidence=0.7),))
    path = tmp_path / "net.onnx"
    path.write_bytes(model(card=own))
    engine = Engine(path)
    assert engine.card == own
    assert engine.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(model())
    assert Engine(str(path)).card.name == "net"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "bytes"),
        (b"not a model", "not an ONNX model"),
        (model(("n", 3, 28, 28)), "3, 28, 28"),
        (model(("n", 1, 32, 32)), "32, 32"),
        (model(outputs=3), r"\(4, 3\)"),
        (model(outputs=26), r"\(4, 26\)"),
        (model(kind=TensorProto.UINT8), "uint8"),
        (model(card=card(task="number")), "'number'"),
    ],
)
def test_error_for_other_models_names_input_and_expected_shapes(data, found):
    with pytest.raises(ModelError, match=found) as caught:
        Engine(data)
    assert any(advice in str(caught.value) for advice in ("ten outputs", "'digit'", "export it again"))


def test_error_names_a_missing_model(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        Engine(tmp_path / "nowhere.onnx")
    with pytest.raises(ModelError, match=r"digit\.onnx"):
        Reader(tmp_path)


# ---- outcomes


@given(hnp.arrays(np.float32, (3, 10), elements=st.floats(-200, 200, width=32)), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_softmax_sums_to_one_and_keeps_the_order(logits, temperature):
    shares = softmax(logits, temperature=temperature)
    assert np.allclose(shares.sum(axis=1), 1)
    best = shares.max(axis=1)
    assert np.allclose(np.take_along_axis(shares, logits.argmax(axis=1)[:, None], 1)[:, 0], best)


def test_temperature_softens_without_changing_the_answer():
    logits = np.array([[4, 1, 0, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    sure, mild = (softmax(logits, temperature=t)[0] for t in (0.5, 3.0))
    assert sure.argmax() == mild.argmax() == 0
    assert sure[0] > mild[0]


@pytest.mark.parametrize(
    ("confidence", "target", "want"),
    [
        (0.99, 0.01, Outcome.READ),
        (0.70, 0.01, Outcome.DOUBT),
        (0.70, 0.10, Outcome.READ),
        (0.39, 0.10, Outcome.NOT_A_NUMBER),
    ],
)
def test_outcomes(confidence, target, want):
    bought = (Threshold(target_error=0.01, confidence=0.9), Threshold(target_error=0.1, confidence=0.6))
    got = decide_outcome(card(thresholds=bought, digit_floor=0.4), confidence=confidence, target_error=target)
    assert got is want


# ---- digits


class FakeEngine(Engine):
    """A fake engine: it answers a glyph of brightness n with the n-th row."""

    def __init__(self, *rows):
        self.rows = np.array(rows)

    def probabilities(self, glyphs):
        """The rows of these glyphs."""
        return self.rows[glyphs[:, 0, 0].astype(int)]


FLAT = [0.1] * 10
SOME_BOX = Box(5, 5, 20, 24)


def saying(value, confidence):
    """A row with this probability for one value and the rest spread evenly."""
    return [confidence if n == value else (1 - confidence) / 9 for n in range(10)]


class FakeViews(Views):
    """Fake views: the glyph cut out has brightness 0, the others 1, 2, ..."""

    def __init__(self, others, *, box=SOME_BOX):
        found = FoundDigit(np.zeros((28, 28), np.float32), box) if box else None
        super().__init__(found, np.zeros((28, 28), np.uint8))
        object.__setattr__(self, "count", others)

    def others(self):
        """The other views."""
        return tuple(np.full((28, 28), n + 1, np.float32) for n in range(self.count))


def test_confident_first_view_is_accepted_alone():
    (prediction,) = predict_digits(FakeEngine(saying(3, 0.99), saying(5, 1.0)), [FakeViews(1)])
    assert prediction.probs.tolist() == saying(3, 0.99)
    assert prediction.box == SOME_BOX


def test_confident_but_oversized_first_view_is_not_accepted_alone():
    (prediction,) = predict_digits(FakeEngine(saying(3, 0.99), saying(5, 0.99)), [FakeViews(1, box=Box(0, 4, 28, 24))])
    assert prediction.probs.argmax() == 5
    assert prediction.probs.max() < 0.85


def test_flat_views_have_almost_no_weight():
    (prediction,) = predict_digits(FakeEngine(FLAT, FLAT, saying(7, 0.99)), [FakeViews(2)])
    assert prediction.probs[7] == pytest.approx(0.99, abs=1e-3)
    assert prediction.glyph[0, 0] == 2
    assert prediction.box == SOME_BOX


def test_contradicting_views_end_in_doubt():
    (prediction,) = predict_digits(FakeEngine(saying(1, 0.96), saying(7, 0.99)), [FakeViews(1)])
    assert prediction.probs.argmax() == 7
    assert prediction.probs.max() < 0.6


@given(
    hnp.arrays(np.float32, (3, 10), elements=st.floats(-20, 20, width=32)).map(
        lambda logits: softmax(logits, temperature=1.0)
    )
)
@settings(max_examples=50, deadline=None)
def test_prediction_is_never_more_confident_than_its_views(rows):
    (prediction,) = predict_digits(FakeEngine(*rows), [FakeViews(2)])
    (other,) = predict_digits(FakeEngine(rows[0], rows[2], rows[1]), [FakeViews(2)])
    assert prediction.probs.sum() == pytest.approx(1)
    assert (prediction.probs <= rows.max(axis=0) + 1e-9).all()
    assert np.allclose(prediction.probs, other.probs)


@pytest.mark.parametrize(("confidence", "blank"), [(0.85, True), (0.95, False)])
def test_page_without_ink_is_blank_unless_its_frame_is_confident(confidence, blank):
    (prediction,) = predict_digits(FakeEngine(FLAT, saying(4, confidence)), [FakeViews(1, box=None)])
    assert (prediction is None) is blank
    assert prediction is None or prediction.box == Box(0, 0, 28, 28)


def test_each_page_gets_its_own_prediction():
    fake = FakeEngine(saying(3, 0.5), saying(8, 0.9), saying(3, 0.5))
    views = [FakeViews(0), FakeViews(1), FakeViews(0, box=None), FakeViews(2), FakeViews(0)]
    values = [
        None if prediction is None else int(prediction.probs.argmax()) for prediction in predict_digits(fake, views)
    ]
    assert values == [3, 8, None, 8, 3]
    assert predict_digits(fake, []) == []


# ---- reader


@pytest.fixture
def linear(tmp_path):
    path = tmp_path / "digit.onnx"
    path.write_bytes(model(card=card()))
    return tmp_path


def scribble(seed):
    page = np.full((28, 28), 255, np.uint8)
    points = np.random.default_rng(seed).integers(4, 24, (4, 2)).astype(np.int32)
    cv2.polylines(page, [points], isClosed=False, color=0, thickness=2)
    return page


def test_batches_are_read_like_single_pictures_and_in_order(linear):
    pages = [scribble(seed) if seed % 7 else np.full((28, 28), 255, np.uint8) for seed in range(600)]
    reader = Reader(linear, threads=3)
    together = reader.digits(iter(pages))
    assert len(together) == 600
    for one, page in list(zip(together, pages, strict=True))[::23]:
        alone = reader.digit(page)
        assert (one.value, one.outcome, one.box) == (alone.value, alone.outcome, alone.box)
        assert np.allclose(one.probabilities, alone.probabilities, atol=1e-6)
    assert reader.digits([]) == []


def test_digit_has_all_fields(linear):
    digit = Reader(linear / "digit.onnx", target_error=0.5).digit(scribble(1))
    assert isinstance(digit.value, int)
    assert digit.confidence == max(digit.probabilities) == digit.probabilities[digit.value]
    assert sum(digit.probabilities) == pytest.approx(1)
    assert digit.glyph.shape == (28, 28)
    assert 0 <= digit.box.left < digit.box.right <= 28


def test_blank_and_not_a_number(tmp_path):
    (tmp_path / "digit.onnx").write_bytes(model(card=card(digit_floor=1.0)))
    blank, odd = Reader(tmp_path).digits([np.full((50, 50), 255, np.uint8), scribble(1)])
    assert (blank.outcome, blank.value, blank.box, blank.glyph) == (Outcome.BLANK, None, None, None)
    assert (odd.outcome, odd.value) == (Outcome.NOT_A_NUMBER, None)
    assert odd.box is not None


def test_polarity_of_a_page_is_not_judged_again(linear):
    # Bright on dark: as an image it is inverted, as a page it is read with dark ink.
    page = 255 - cv2.resize(scribble(1), (56, 56), interpolation=cv2.INTER_NEAREST)
    reader = Reader(linear)
    inverted, unchanged = reader.digit(page).glyph, reader.digit_on(page).glyph
    assert inverted is not None
    assert unchanged is None or not np.array_equal(inverted, unchanged)


def test_error_gives_the_index_of_a_bad_picture(linear):
    with pytest.raises(UnreadableImage, match="image 2: "):
        Reader(linear).digits([scribble(0), scribble(1), b"no picture", scribble(3)])
    with pytest.raises(ImageTooLarge, match="max_grey_mpx"):
        Reader(linear, limits=Limits(max_grey_mpx=1e-6)).digit(Image.fromarray(scribble(0)))
    with pytest.raises(ImageError, match="complex128"):
        Reader(linear).digit(np.zeros((28, 28), complex))


@pytest.mark.parametrize("rate", [0, 1, -0.1, 7])
def test_target_error_out_of_range(linear, rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Reader(linear, target_error=rate)


def test_reading_imports_no_training_library():
    code = "import sys, handigit.read; print([m for m in ('torch', 'onnx', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- annotate


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (900, 1600), (40, 1200)])
def test_annotated_pictures_have_a_legible_size(linear, size):
    page = np.full(size, 255, np.uint8)
    cv2.line(page, (size[1] // 3, size[0] // 4), (size[1] // 2, size[0] * 3 // 4), 0, max(2, size[0] // 12))
    digit = Reader(linear).digit(page)
    for picture in (page, Image.fromarray(page), Image.fromarray(page).convert("RGBA")):
        sheet = annotate(picture, digit)
        assert sheet.mode == "RGB"
        assert 320 <= max(sheet.size) <= 1400
        assert len(sheet.getcolors(1 << 20)) > 4
    assert digit.box is not None


# ---- the embedded model

needs_model = pytest.mark.skipif(not (EMBEDDED / "digit.onnx").is_file(), reason="no model in the package yet")

DRAWN = {
    0: [[(0.5, 0.0), (0.85, 0.12), (1, 0.5), (0.85, 0.88), (0.5, 1), (0.15, 0.88), (0, 0.5), (0.15, 0.12), (0.5, 0)]],
    1: [[(0.5, 0), (0.45, 1)]],
    2: [[(0.05, 0.25), (0.2, 0.05), (0.5, 0), (0.85, 0.1), (0.9, 0.35), (0.6, 0.65), (0, 1), (1, 0.98)]],
    3: [
        [(0.05, 0.1), (0.4, 0), (0.8, 0.08), (0.85, 0.3), (0.65, 0.45), (0.35, 0.48)],
        [(0.35, 0.48), (0.75, 0.52), (0.95, 0.72), (0.8, 0.93), (0.4, 1), (0, 0.9)],
    ],
    4: [[(0.3, 0), (0.05, 0.55), (0.95, 0.55)], [(0.75, 0.05), (0.7, 1)]],
    5: [[(0.9, 0), (0.2, 0.02), (0.12, 0.42), (0.55, 0.36), (0.9, 0.55), (0.88, 0.85), (0.5, 1), (0.05, 0.92)]],
    6: [
        [(0.7, 0), (0.3, 0.3), (0.08, 0.65), (0.2, 0.93), (0.5, 1)],
        [(0.5, 1), (0.85, 0.9), (0.88, 0.65), (0.6, 0.5), (0.2, 0.62)],
    ],
    7: [[(0, 0.03), (0.95, 0), (0.6, 0.45), (0.4, 1)]],
    8: [
        [(0.5, 0.45), (0.15, 0.3), (0.2, 0.08), (0.5, 0), (0.8, 0.08), (0.85, 0.3), (0.5, 0.45)],
        [(0.5, 0.45), (0.1, 0.65), (0.12, 0.9), (0.5, 1), (0.88, 0.9), (0.9, 0.65), (0.5, 0.45)],
    ],
    9: [
        [(0.85, 0.3), (0.7, 0.05), (0.35, 0.02), (0.1, 0.22), (0.2, 0.45), (0.55, 0.48), (0.85, 0.3)],
        [(0.85, 0.3), (0.82, 0.65), (0.7, 1)],
    ],
}


def written(digit, *, scale=1.0, shift=(0, 0), degrees=0.0, pen=12):
    """A clear digit on a sheet of 240 x 240, strokes smoothed, ink black."""
    sheet = np.full((240, 240), 255, np.uint8)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for stroke in DRAWN[digit]:
        points = (np.array(stroke) - 0.5) * (70, 110) * scale @ turn.T + 120 + np.array(shift)
        cv2.polylines(sheet, [(points * 16).round().astype(np.int32)], False, 0, pen, cv2.LINE_AA, shift=4)
    return sheet


def jpeg(page, quality):
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def transparent(page):
    return np.dstack([np.zeros((*page.shape, 3), np.uint8), 255 - page])


CHANGES = {
    "as drawn": written,
    "shift": lambda d: written(d, shift=(60, -50)),
    "shift to the edge": lambda d: written(d, shift=(-72, 50)),
    "scale 0.5": lambda d: written(d, scale=0.5, pen=6),
    "scale 2": lambda d: written(d, scale=1.9, pen=22),
    "rotation 15": lambda d: written(d, degrees=15),
    "rotation -15": lambda d: written(d, degrees=-15),
    "inversion": lambda d: 255 - written(d),
    "thin pen": lambda d: written(d, pen=3),
    "thick pen": lambda d: written(d, pen=18),
    "jpeg": lambda d: jpeg(written(d), 20),
    "transparent": lambda d: transparent(written(d)),
}


@needs_model
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_clear_digit_snapshot(change):
    answers = Reader().digits([change(digit) for digit in range(10)])
    assert [answer.value for answer in answers] == list(range(10))


@needs_model
def test_embedded_model_is_ours():
    engine = Reader().engine
    assert engine.card.architecture != "unknown"
    assert onnx.load_from_string((EMBEDDED / "digit.onnx").read_bytes()).graph.input


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_are_read_in_order_and_under_the_callers_cancellation(threads: int) -> None:
    def square(chunk: list[int]) -> list[int]:
        check_cancelled()
        return [item * item for item in chunk]

    assert map_chunks(square, list(range(10)), threads=threads, size=4) == [item * item for item in range(10)]
    cancellation = Cancellation()
    cancellation.cancel()
    with cancellation.active(), pytest.raises(ReadingCancelled):
        map_chunks(square, list(range(10)), threads=threads, size=4)
