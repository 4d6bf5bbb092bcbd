"""The examples for other frameworks, each run by its framework's test client with synthetic pictures."""

import base64
import re
from io import BytesIO
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from PIL import Image

from handigit import synth
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
