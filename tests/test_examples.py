"""The examples for other frameworks, each run by its framework's test client with synthetic pictures."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.browser.site import served
from handigit import Reader, synth
from serving import encoded, picture

EXAMPLES = Path(__file__).parents[1] / "examples"
HOSTILE = "<img src=x onerror=alert(1)> ![x](http://elsewhere.example/x.png).png"
EMPTY_PAD = encoded(Image.new("L", (480, 240), 255))


def on_pad(digit: int) -> bytes:
    """The pad's PNG with a digit drawn somewhere on it."""
    pad = Image.new("L", (480, 240), 255)
    pad.paste(Image.open(BytesIO(picture(digit, size=200))), (180, 20))
    return encoded(pad)


def photograph(text: str) -> bytes:
    """A camera's JPEG of a handwritten number."""
    return encoded(Image.fromarray(synth.picture(text, seed=2, size_px=(120, 320)).pixels), "JPEG")


# Flask


@pytest.fixture(scope="module")
def flask_client() -> Any:
    pytest.importorskip("flask", reason="the extra 'examples' is not installed")
    return run_path(str(EXAMPLES / "flask_app.py"))["create_app"]().test_client()


def send(client: Any, content: bytes, *, name: str = "drawing.png", kind: str = "digit") -> Any:
    return client.post("/", data={"kind": kind, "picture": (BytesIO(content), name)})


def meters(html: str) -> list[float]:
    return [float(value) for value in re.findall(r'<meter value="([^"]+)"', html)]


@pytest.mark.parametrize("digit", [1, 7])
def test_flask_reads_a_drawing(flask_client: Any, digit: int) -> None:
    answer = send(flask_client, on_pad(digit))
    assert answer.status_code == 200
    assert f"<output>{digit}</output>" in answer.text
    assert "<p>Read, 99." in answer.text
    bars = meters(answer.text)
    assert len(bars) == 10
    assert bars.index(max(bars)) == digit
    assert sum(bars) == pytest.approx(1)


def test_flask_reads_a_number_from_a_photograph(flask_client: Any) -> None:
    answer = send(flask_client, photograph("1107"), name="photo.jpg", kind="number")
    assert "<output>1107</output>" in answer.text
    assert "Or else: \n<b>" in answer.text
    assert meters(answer.text) == []
    assert re.search(r'value="number"\s+checked', answer.text)


def test_flask_calls_an_empty_pad_blank(flask_client: Any) -> None:
    answer = send(flask_client, EMPTY_PAD)
    assert "<p>Blank</p>" in answer.text
    assert meters(answer.text) == []


def test_flask_explains_a_bad_picture(flask_client: Any) -> None:
    broken = send(flask_client, on_pad(7)[:200])
    assert broken.status_code == 422
    assert re.search(r'<p role="alert">[^<]*truncated or damaged', broken.text)
    missing = flask_client.post("/", data={"kind": "digit"})
    assert missing.status_code == 400
    assert '<p role="alert">No picture' in missing.text


def test_flask_enforces_its_size_limit(flask_client: Any) -> None:
    answer = send(flask_client, bytes(10 * 2**20 + 1))
    assert answer.status_code == 413
    assert '<p role="alert">The picture is larger than 10 MB' in answer.text


def test_flask_shows_a_hostile_name_as_text(flask_client: Any) -> None:
    for content in (on_pad(7), b"nonsense"):
        answer = send(flask_client, content, name=HOSTILE)
        assert "<img" not in answer.text
        assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text


def test_flask_allows_only_its_own_script_and_host(flask_client: Any) -> None:
    first, second = flask_client.get("/"), flask_client.get("/")
    policy = first.headers["Content-Security-Policy"]
    nonces = set(re.findall(r'nonce="([^"]+)"', first.text))
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}'" in policy
    assert policy != second.headers["Content-Security-Policy"]
    assert not re.search(r"(?:src|href)=|https?:|style=| on\w+=", first.text)
    assert flask_client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


# Streamlit


@pytest.fixture(scope="module")
def visited() -> Any:
    """The application, shared by all tests: each new one searches every installed package for components."""
    testing = pytest.importorskip("streamlit.testing.v1", reason="the extra 'examples' is not installed")
    return testing.AppTest.from_file(EXAMPLES / "streamlit_app.py", default_timeout=60).run()


@pytest.fixture
def app(visited: Any) -> Any:
    """The application in its initial state; earlier inputs are discarded with their source."""
    for label, option in [("From", "File"), ("From", "Camera"), ("From", "Pad"), ("What it holds", "One digit")]:
        choose(visited, label, option)
    return visited


def choose(app: Any, label: str, option: str) -> Any:
    next(group for group in app.segmented_control if group.label == label).set_value(option)
    return app.run()


def upload(app: Any, content: bytes, name: str = "picture.png") -> Any:
    choose(app, "From", "File")
    app.file_uploader[0].upload(name, content, "image/png")
    return app.run()


def shown(app: Any) -> tuple[str, str]:
    """The outcome in words, and the text."""
    assert not app.exception
    return app.metric[0].label.split(",")[0], app.metric[0].value


def bars(app: Any) -> list[float]:
    """The heights in the bar chart, from 0 to 9."""
    arrow = pytest.importorskip("pyarrow")
    (table,) = app.get("vega_lite_chart")[0].proto.datasets
    return list(arrow.ipc.open_stream(table.data.data).read_pandas()["probability"])


def test_streamlit_waits_for_a_picture(app: Any) -> None:
    assert not app.exception
    assert not app.metric
    assert not app.error
    assert not app.camera_input  # it would ask for the camera


def test_streamlit_reads_a_drawing(app: Any) -> None:
    png = base64.b64encode(on_pad(7)).decode()
    app.session_state["pad"] = {"drawing": {"raw": {}, "data": f"data:image/png;base64,{png}"}}
    assert shown(app.run()) == ("Read", "7")


@pytest.mark.parametrize("digit", [1, 7])
def test_streamlit_reads_an_upload(app: Any, digit: int) -> None:
    assert shown(upload(app, on_pad(digit))) == ("Read", str(digit))
    heights = bars(app)
    assert heights.index(max(heights)) == digit
    assert sum(heights) == pytest.approx(1)
    assert app.get("image")  # what the model saw


def test_streamlit_reads_a_number_from_a_photograph(app: Any) -> None:
    choose(choose(app, "What it holds", "One number"), "From", "Camera")
    app.camera_input[0].upload("photo.jpg", photograph("1107"))
    assert shown(app.run())[1] == "1107"
    assert app.text[0].value.startswith("Or else: ")


def test_streamlit_calls_an_empty_page_blank(app: Any) -> None:
    assert shown(upload(app, EMPTY_PAD)) == ("Blank", "–")
    assert not app.get("vega_lite_chart")


def test_streamlit_explains_a_bad_picture(app: Any) -> None:
    upload(app, on_pad(7)[:200], HOSTILE)
    assert not app.exception
    assert "truncated or damaged" in app.error[0].value
    assert "elsewhere.example" not in app.error[0].value
    assert not app.metric


# Gradio


@pytest.fixture(scope="module")
def gradio_app() -> dict[str, Any]:
    return run_path(str(EXAMPLES / "gradio_app.py"))


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


def test_gradio_reads_pixels_and_sketches(gradio_app: dict[str, Any]) -> None:
    read, kinds = gradio_app["read"], gradio_app["KINDS"]
    for drawn in (pixels(on_pad(7)), {"composite": pixels(on_pad(7)), "layers": []}):
        outcome, [[number, confidence, _]] = read(drawn, kinds[1])
        assert (outcome, number) == ("Read", "7")
        assert confidence.startswith("99.")
    assert read(pixels(photograph("1107")), kinds[2])[1][0][0] == "1107"
    assert read(None, kinds[0]) == ("Draw a number, or choose a picture.", [])
    assert read(pixels(EMPTY_PAD), kinds[1]) == ("Blank", [])
    assert "cannot read a picture" in read(np.zeros((2, 3, 5, 7)), kinds[0])[0]


def test_gradio_page_offers_what_the_function_takes(gradio_app: dict[str, Any]) -> None:
    pytest.importorskip("gradio", reason="not among the extras")
    page = gradio_app["build"]()
    assert {"radio", "sketchpad", "image", "dataframe"} <= {block.get_block_name() for block in page.blocks.values()}


# Label Studio

LABELS = """<View><Image name="image" value="$ocr"/><Rectangle name="bbox" toName="image"/>
<TextArea name="transcription" toName="image" perRegion="true"/></View>"""
SCORES = EXAMPLES.parent / "samples" / "pages"


@pytest.fixture(scope="module")
def label_studio() -> Iterator[Any]:
    pytest.importorskip("flask", reason="the extra 'examples' is not installed")
    with served(SCORES) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_URL", address)
        yield run_path(str(EXAMPLES / "label_studio_backend.py"))["create_app"]().test_client()


def predict(client: Any, *addresses: str) -> list[dict[str, Any]]:
    tasks = [{"id": number, "data": {"ocr": address}} for number, address in enumerate(addresses)]
    answer = client.post("/predict", json={"tasks": tasks, "label_config": LABELS})
    assert answer.status_code == 200
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def test_label_studio_gets_a_box_and_a_text_per_number(label_studio: Any) -> None:
    [result] = predict(label_studio, "/scores-on-squared-paper.jpg")
    boxes = [item for item in result["result"] if item["type"] == "rectangle"]
    texts = [item for item in result["result"] if item["type"] == "textarea"]
    assert [item["value"]["text"][0] for item in texts] == ["87", "92", "45", "100", "73", "68", "9"]
    assert [item["id"] for item in boxes] == [item["id"] for item in texts]
    for item in boxes:
        assert (item["from_name"], item["to_name"]) == ("bbox", "image")
        value = item["value"]
        assert 0 <= value["x"] < value["x"] + value["width"] <= 100
        assert 0 <= value["y"] < value["y"] + value["height"] <= 100
    assert 0 < result["score"] <= 1
    assert result["model_version"].startswith("handigit-number-")


def test_label_studio_fetches_from_its_own_server_only(label_studio: Any) -> None:
    elsewhere, missing = predict(label_studio, "http://127.0.0.1:1/x.png", "/missing.png")
    assert "is not on http://127.0.0.1:" in elsewhere["error"]
    assert "404" in missing["error"]
    assert elsewhere["result"] == missing["result"] == []


def test_label_studio_checks_the_backend(label_studio: Any) -> None:
    assert label_studio.get("/health").json["status"] == "UP"
    assert label_studio.post("/setup", json={"project": "1"}).json["model_version"]
    assert label_studio.post("/predict", json={"tasks": [], "label_config": "<View/>"}).status_code == 400


# Models of one's own


def test_a_hub_model_is_stored_exported_and_reads(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    example = run_path(str(EXAMPLES / "own_hub_model.py"))
    example["DigitMixer"]().save_pretrained(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "model.safetensors"}
    model = example["DigitMixer"].from_pretrained(str(tmp_path / "model"))
    example["export"](model, tmp_path / "model.onnx")
    digit = Reader(tmp_path / "model.onnx").digit(picture(7))
    assert sum(digit.probabilities) == pytest.approx(1)


def test_the_keras_example_prepares_glyphs_as_handigit_does() -> None:
    example = run_path(str(EXAMPLES / "own_keras_model.py"))
    batch = example["to_batch"](synth.digits(3, seed=1).glyphs)
    assert batch.shape == (3, 28, 28, 1)
    assert (batch.min(), batch.max()) == (0, 1)


@pytest.mark.slow
def test_the_keras_example_trains_exports_and_reads(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, str(EXAMPLES / "own_keras_model.py"), str(tmp_path / "model.onnx")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "plain-3.png Digit('3'" in done.stdout
