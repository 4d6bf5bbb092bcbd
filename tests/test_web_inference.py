"""The Open Inference Protocol: plain requests, and the public client of another model server."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from handigit.images import find_digit, open_pages
from handigit.images.strip import STRIP_PX, make_strip
from handigit.web import create_app
from serving import HOST, picture, running, settings

PATH = "/v2/models/digit/infer"


def glyphs() -> np.ndarray:
    """A 7 and a 1 as the model's input."""
    digits = [find_digit(next(open_pages(picture(digit)))) for digit in (7, 1)]
    return np.stack([digit.glyph for digit in digits if digit])


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[TestClient]:
    with TestClient(create_app(settings(tmp_path_factory.mktemp("v2"))), base_url=HOST) as opened:
        while opened.get("/v2/health/ready").status_code != 200:
            pass
        yield opened


def inference(**changes: object) -> dict[str, object]:
    """A request for the two glyphs, with changes."""
    tensor = {"name": "glyphs", "shape": [2, 28, 28], "datatype": "FP32", "data": glyphs().ravel().tolist()}
    return {"id": "r1", "inputs": [tensor | changes]}


def test_json_in_json_out(client) -> None:
    answer = client.post(PATH, json=inference()).json()
    (output,) = answer["outputs"]
    assert (answer["id"], output["shape"], output["datatype"]) == ("r1", [2, 10], "FP32")
    probs = np.reshape(output["data"], (2, 10))
    assert probs.argmax(axis=1).tolist() == [7, 1]
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-6)


def test_nested_data_other_shapes_and_uint8_give_the_same_answer(client) -> None:
    expected = client.post(PATH, json=inference()).json()["outputs"][0]["data"]
    nested = inference(data=glyphs().tolist())
    flat = inference(shape=[2, 784])
    grey = inference(datatype="UINT8", data=np.rint(glyphs() * 255).ravel().astype(int).tolist())
    for request, tolerance in ((nested, 1e-7), (flat, 1e-7), (grey, 1e-3)):
        assert np.allclose(client.post(PATH, json=request).json()["outputs"][0]["data"], expected, atol=tolerance)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2, 27, 28]},
        {"shape": [-2, 28, 28]},
        {"shape": [3, 28, 28]},
        {"shape": []},
        {"data": [float("nan")] * 1568},
        {"data": [2.0] * 1568},
        {"data": [10**400] * 1568},
        {"data": "text"},
        {"datatype": "BYTES"},
        {"name": "pixels"},
        {"parameters": {"binary_data_size": -1}},
        {"parameters": 7},
    ],
    ids=str,
)
def test_invalid_requests_are_refused_in_the_protocols_format(client, changes) -> None:
    answer = client.post(PATH, content=json.dumps(inference(**changes)))
    assert answer.status_code in (400, 422)
    assert answer.json()["error"] == answer.json()["detail"]


def test_the_number_model_gives_probabilities_per_frame(client) -> None:
    described = client.get("/v2/models/number").json()
    (model_input,), (output_shape,) = described["inputs"], [output["shape"] for output in described["outputs"]]
    assert (model_input["name"], model_input["shape"]) == ("strips", [-1, STRIP_PX, -1])
    written = make_strip(next(open_pages(picture(size=112)))).pixels
    strips = np.stack([written, np.ones_like(written)])
    tensor = {"name": "strips", "shape": list(strips.shape), "datatype": "FP32", "data": strips.tolist()}
    (output,) = client.post("/v2/models/number/infer", json={"inputs": [tensor]}).json()["outputs"]
    probs = np.reshape(output["data"], output["shape"])
    alphabet = described["parameters"]["alphabet"]
    assert probs.shape[0] == 2
    assert probs.shape[2] == output_shape[2] == len(alphabet) + 1
    assert np.allclose(probs.sum(axis=2), 1, atol=1e-6)
    best = probs.argmax(axis=2)
    assert {alphabet[n - 1] for n in best[0] if n} == {"7"}
    assert not best[1].any()


@pytest.mark.parametrize("shape", [[1, 28, 28], [1, 48, 0], [1, 48], [5000, 48, 1], [1, 48, 10**9]])
def test_strips_of_another_height_or_too_many_are_refused(client, shape) -> None:
    tensor = {"name": "strips", "shape": shape, "datatype": "FP32", "data": [0.0]}
    answer = client.post("/v2/models/number/infer", json={"inputs": [tensor]})
    assert answer.status_code == 422
    assert "[n, 48, width]" in answer.json()["detail"]


def test_versions_are_digests(client) -> None:
    described = client.get("/v2/models/digit").json()
    version = described["versions"][0]
    assert client.get(f"/v2/models/digit/versions/{version}/ready").json()["ready"]
    assert client.get("/v2/models/digit/versions/00000000").status_code == 404


def test_the_public_client_of_another_server_works_unchanged(tmp_path) -> None:
    triton = pytest.importorskip(
        "tritonclient.http", reason="needs tritonclient[http]: pip install 'tritonclient[http]'"
    )
    with running(tmp_path) as server:
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digit")
        assert client.get_model_metadata("digit")["inputs"][0]["shape"] == [-1, 28, 28]
        for binary in (True, False):
            tensor = triton.InferInput("glyphs", [2, 28, 28], "FP32")
            tensor.set_data_from_numpy(glyphs(), binary_data=binary)
            requested = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
            for outputs in (requested, None):
                answer = client.infer("digit", [tensor], outputs=outputs)
                assert answer.as_numpy("probabilities").argmax(axis=1).tolist() == [7, 1]
        with pytest.raises(triton.InferenceServerException, match="no model named 'missing'"):
            client.infer("missing", [tensor])
        client.close()
