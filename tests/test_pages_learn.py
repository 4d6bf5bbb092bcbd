"""The Learn page: steps of a digit, a blank sheet and broken pictures; and the page in a browser."""

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from onnx import helper, numpy_helper
from PIL import Image, ImageOps
from playwright.sync_api import BrowserContext, Page, expect

from browsing import check_accessible, check_narrow
from handigit.read import Engine, Reader
from handigit.read.engine import EMBEDDED
from handigit.records import Outcome
from handigit.synth.sets import digits
from handigit.web import create_app
from handigit.web.explain.activations import LAYERS, Activations, NotInspectable
from handigit.web.explain.evidence import BANK_SIZE, Neighbours, occlusion_map
from handigit.web.explain.sentences import sentences
from handigit.web.explain.steps import MAX_MAPS, NEAREST, steps
from handigit.web.wording import answer_sentence
from serving import HOST, Running, encoded, picture, settings
from test_web import wait_until_ready

SEVEN = picture(size=280)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The open desk, which keeps nothing."""
    app = create_app(settings(tmp_path_factory.mktemp("learn")), make_reader=lambda place: Reader(place, threads=1))
    with TestClient(app, base_url=HOST) as opened:
        yield wait_until_ready(opened)


@pytest.fixture(scope="module")
def activations() -> Activations:
    return Activations((EMBEDDED / "digit.onnx").read_bytes())


def pixels(address: str) -> np.ndarray:
    """The picture that an address holds."""
    head, content = address.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))))


def test_a_drawn_seven_is_followed_to_its_answer(client: TestClient) -> None:
    answer = client.post("/learn/steps", content=SEVEN)
    assert answer.status_code == 200
    assert len(answer.content) < 60_000
    result = answer.json()
    assert result["picture"] == {"width": 280, "height": 280, "reversed": False}
    left, top, right, bottom = result["ink"]["box"]
    assert 0.2 < left < right < 0.8
    assert 0.1 < top < bottom < 0.9
    read = client.post("/v1/digit", content=SEVEN).json()["readings"][0]
    assert result["answer"]["text"] == read["text"] == "7"
    assert result["answer"]["confidence"] == pytest.approx(read["confidence"], abs=1e-6)
    assert sum(result["answer"]["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert [one["value"] for one in result["nearest"]].count(7) >= 6
    assert result["evidence"]["value"] == 7
    assert result["says"]["picture-says"].endswith("280 by 280 pixels.")
    assert result["says"]["words"].startswith("7 (")
    assert result["says"]["threshold-says"].startswith("To be wrong at most once in ")


def test_each_picture_is_what_its_step_says() -> None:
    result = steps(Reader(threads=1), SEVEN)
    glyph = pixels(result["glyph"]["image"])
    assert np.array_equal(glyph, (Reader(threads=1).digit(SEVEN).glyph * 255).astype(np.uint8))  # type: ignore[operator]
    assert result["glyph"]["centre"] == pytest.approx([14, 14], abs=0.6)
    ink = pixels(result["ink"]["image"]).astype(int)
    blue = ink[..., 2] - ink[..., 0] > 60
    rows, columns = np.nonzero(blue)
    left, top, right, bottom = (side * 280 for side in result["ink"]["box"])
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx(
        (left, top, right, bottom), abs=2
    )
    assert [layer["size"] for layer in result["layers"]] == [28, 14, 7]
    assert all(pixels(image).shape == (14, 14) for image in result["layers"][1]["images"])
    assert len(result["layers"][2]["images"]) == MAX_MAPS
    assert len(result["nearest"]) == NEAREST
    distances = [one["distance"] for one in result["nearest"]]
    assert distances == sorted(distances)


def test_a_blackboard_is_said_to_be_reversed() -> None:
    chalk = ImageOps.invert(Image.open(BytesIO(SEVEN)))
    result = steps(Reader(threads=1), encoded(chalk))
    assert result["picture"]["reversed"]
    assert "as on a blackboard" in sentences(result)["ink-says"]
    assert result["answer"]["text"] == "7"


def test_a_blank_sheet_ends_after_the_ink() -> None:
    result = steps(Reader(threads=1), encoded(Image.new("L", (100, 100), 240)))
    assert result["ink"] is result["glyph"] is result["layers"] is result["nearest"] is result["evidence"] is None
    assert result["answer"]["outcome"] == "blank"
    assert sentences(result)["words"] == "Nothing is written here."
    assert sentences(result).keys() == {"text", "words", "outcome", "answer-says", "picture-says", "ink-says"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"not a picture", 422, "unreadable-picture"),
        (SEVEN[:100], 422, "unreadable-picture"),
        (b"", 400, "bad-request"),
        (SEVEN + bytes(2**20), 413, "too-large"),
    ],
)
def test_what_is_no_picture_is_refused(client: TestClient, body: bytes, status: int, kind: str) -> None:
    answer = client.post("/learn/steps", content=body)
    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:handigit:problem:{kind}"


def test_samples_are_digits_that_are_read(client: TestClient) -> None:
    first, again = (client.get("/learn/sample?number=7").content for _ in range(2))
    assert first == again != client.get("/learn/sample?number=17").content
    assert client.get("/learn/sample?number=100").status_code == 422
    reader = Reader(threads=1)
    read = [reader.digit(client.get(f"/learn/sample?number={n}").content).value for n in range(10)]
    assert sum(value == n for n, value in enumerate(read)) >= 9


def test_the_last_layer_computes_the_answer(activations: Activations) -> None:
    glyphs = digits(40, seed=1).glyphs.astype(np.float32) / 255
    seen = activations.compute(glyphs)
    assert len(seen.maps) == LAYERS
    assert all(len(maps) == 40 and maps.min() >= 0 for maps in seen.maps)
    assert np.array_equal(seen.features, activations.features(glyphs))
    logits = Engine(EMBEDDED / "digit.onnx", threads=1).logits(glyphs)
    ones = np.c_[seen.features, np.ones(40)]
    fitted = ones @ np.linalg.lstsq(ones, logits, rcond=None)[0]
    assert np.abs(fitted - logits).max() < 0.5  # linear but for eight bits


def dense(*widths: int) -> bytes:
    """Anybody's model without pictures inside: layers of these widths, and ten scores."""
    rng = np.random.default_rng(0)
    sizes = [784, *widths, 10]
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), f"w{n}")
        for n, shape in enumerate(pairwise(sizes))
    ]
    nodes, last = [], "glyphs"
    for n in range(len(weights)):
        name = "scores" if n == len(widths) else f"sum{n}"
        nodes.append(helper.make_node("MatMul", [last, f"w{n}"], [name]))
        if name != "scores":
            nodes.append(helper.make_node("Relu", [name], [f"active{n}"]))
        last = f"active{n}"
    ends = [helper.make_tensor_value_info(*end) for end in (("glyphs", 1, ("n", 784)), ("scores", 1, ("n", 10)))]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_dense_model_has_features_but_no_maps(tmp_path: Path) -> None:
    (tmp_path / "digit.onnx").write_bytes(dense(64, 32))
    result = steps(Reader(tmp_path, threads=1), SEVEN)
    assert result["layers"] == []
    assert "no feature maps" in sentences(result)["layers-says"]
    assert len(result["nearest"]) == NEAREST
    assert result["evidence"]["image"]


def test_without_anything_inside_pixels_are_compared(tmp_path: Path) -> None:
    content = dense()
    with pytest.raises(NotInspectable):
        Activations(content)
    with pytest.raises(NotInspectable):
        Activations(b"nonsense")
    (tmp_path / "digit.onnx").write_bytes(content)
    assert steps(Reader(tmp_path, threads=1), SEVEN)["layers"] == []
    drawn = digits(BANK_SIZE, seed=6)
    nearest = Neighbours(None).nearest(drawn.glyphs[3].astype(np.float32) / 255, count=2)
    assert nearest[0].distance == pytest.approx(0, abs=1e-6)
    assert nearest[0].label == drawn.labels[3]


def test_evidence_lies_where_the_ink_is() -> None:
    engine = Engine(EMBEDDED / "digit.onnx", threads=1)
    glyph = Reader(threads=1).digit(SEVEN).glyph
    assert glyph is not None
    speaks = occlusion_map(engine, glyph, value=7)
    assert speaks[glyph > 0.5].mean() > 5 * abs(speaks[glyph == 0].mean())
    hidden = glyph.copy()
    y, x = np.unravel_index(int(speaks.argmax()), speaks.shape)
    hidden[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 0
    shares = engine.probabilities(np.stack([glyph, hidden]))[:, 7]
    assert shares[1] < shares[0]


def test_evidence_is_result_in_odds() -> None:
    result = steps(Reader(threads=1), SEVEN)
    result["evidence"] |= {"most": 8.0, "least": -1.0}
    assert "more than a thousand times worse. Where it is blue" in sentences(result)["evidence-says"]
    result["evidence"] |= {"most": 1.0, "least": 0.0}
    assert "2.7 times worse. Hardly any ink" in sentences(result)["evidence-says"]


def test_an_answer_is_a_sentence() -> None:
    assert answer_sentence(Outcome.READ, "7", 0.9999, expected="digit") == "7 (>99.9% sure)"
    assert answer_sentence(Outcome.DOUBT, "07", 0.5, expected="number") == "Probably 07 (50.0%). Please check."
    assert answer_sentence(Outcome.DOUBT, "5", 0.149, expected="digit") == "Perhaps 5 (14.9%). Please check."
    assert answer_sentence(Outcome.DOUBT, "", 0.5, expected="number") == "Too unsure to say."
    assert answer_sentence(Outcome.NOT_A_NUMBER, "", 0.9, expected="digit") == "This is not a digit."


def test_looking_inside_changes_no_answer(activations: Activations) -> None:
    before = hashlib.sha256((EMBEDDED / "digit.onnx").read_bytes()).hexdigest()
    activations.features(np.zeros((1, 28, 28), np.float32))
    assert hashlib.sha256((EMBEDDED / "digit.onnx").read_bytes()).hexdigest() == before


def test_the_steps_need_nothing_of_the_learning_half() -> None:
    program = (
        "import sys; from serving import picture; from handigit.read import Reader; import handigit.web;"
        "from handigit.web.explain.steps import steps; assert steps(Reader(threads=1), picture())['layers'];"
        "print([name for name in ('torch', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def draw_seven(page: Page) -> None:
    """By mouse, on the pad."""
    box = page.locator("#pad").bounding_box()
    assert box
    points = [(0.3, 0.25), (0.7, 0.25), (0.6, 0.5), (0.45, 0.8)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


@pytest.mark.browser
def test_a_visitor_draws_and_sees_every_step(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/learn")
    expect(page.locator("#steps")).to_be_visible()  # a sample photo
    draw_seven(page)
    expect(page.locator("#picture-says")).to_contain_text("280 by 280")
    expect(page.locator("#words")).to_contain_text("7 (")
    expect(page.locator(".step:visible")).to_have_count(8)
    expect(page.locator(".layer")).to_have_count(LAYERS)
    expect(page.locator("#nearest li")).to_have_count(NEAREST)
    expect(page.locator("#bars li.best")).to_contain_text(re.compile("^7"))
    for image in page.locator(".steps img:visible").all():
        expect(image).to_have_js_property("complete", True)
        expect(image).not_to_have_js_property("naturalWidth", 0)
        assert image.get_attribute("alt") is not None
    check_accessible(page)
    page.emulate_media(color_scheme="dark")
    check_accessible(page)
    check_narrow(page)


@pytest.mark.browser
def test_another_photo_is_followed_and_silence_is_said(context: BrowserContext, site: Running) -> None:
    tab = context.new_page()  # its console shows the request that fails
    tab.goto(f"{site.url}/learn")
    expect(tab.locator("#steps")).to_be_visible()
    first = tab.locator("#glyph").get_attribute("src")
    tab.get_by_role("button", name="Use a sample photo").click()
    expect(tab.locator("#glyph")).not_to_have_attribute("src", first or "")
    tab.route("**/learn/steps", lambda route: route.abort())
    draw_seven(tab)
    expect(tab.locator("#words")).to_contain_text("Can't reach the server")
