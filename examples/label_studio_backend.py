"""A machine learning backend for Label Studio: every picture comes with Handigit's readings as pre-annotations.

In Label Studio, label with a rectangle and a text per region, as its template "Optical Character Recognition" does,
then add http://127.0.0.1:9090 under Settings > Model. `README.md` says how to run it.
"""

import os
import urllib.request
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import cv2
import numpy as np
from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue

from handigit import Box, HandigitError, Number, Reader

MAX_BYTES = 30 * 2**20
_TIMEOUT_S = 20


def create_app() -> Flask:
    """The application; `flask run` finds it by this name."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=10 * 2**20)
    reader = Reader()
    host = os.environ.get("LABEL_STUDIO_URL", "http://127.0.0.1:8080")

    @app.get("/health")
    def health() -> ResponseReturnValue:
        return jsonify(status="UP", model_class="Handigit")

    @app.post("/setup")
    def setup() -> ResponseReturnValue:
        return jsonify(model_version=reader.model_name("number"))

    @app.post("/webhook")
    def webhook() -> ResponseReturnValue:
        return jsonify(status="ok")  # annotations are exported from Label Studio, not learnt from here

    @app.post("/predict")
    def predict() -> ResponseReturnValue:
        body = request.get_json()
        names = tag_names(body.get("label_config") or "")
        version = reader.model_name("number")
        return jsonify(results=[prediction(reader, task, names, host, version) for task in body.get("tasks", [])])

    return app


def tag_names(label_config: str) -> dict[str, str]:
    """The names of the project's rectangle, text and picture tags, and the task's field with the picture's address."""
    try:
        tags = {tag.tag: tag.attrib for tag in ElementTree.fromstring(label_config).iter()}  # noqa: S314 - no entities
        region = tags.get("RectangleLabels") or tags["Rectangle"]
        return {
            "rectangle": region["name"],
            "text": tags["TextArea"]["name"],
            "picture": region["toName"],
            "field": tags["Image"]["value"].removeprefix("$"),
        }
    except (ElementTree.ParseError, KeyError):
        abort(400, "the project needs an Image, a Rectangle (or RectangleLabels) and a TextArea tag")


def prediction(reader: Reader, task: dict[str, Any], names: dict[str, str], host: str, version: str) -> dict[str, Any]:
    """Label Studio's prediction for one task; without results where its picture cannot be had or read."""
    try:
        content = picture_of(str(task["data"][names["field"]]), host)
        numbers = reader.page(content)
    except (HandigitError, OSError, KeyError, ValueError) as problem:
        return {"model_version": version, "score": 0.0, "result": [], "error": str(problem)}
    height, width = size_of(content)
    found = [(number, number.box) for number in numbers if number.text and number.box]
    return {
        "model_version": version,
        "score": min((number.confidence for number, _ in found), default=0.0),
        "result": [item for number, box in found for item in region(number, box, names, (width, height))],
    }


def region(number: Number, box: Box, names: dict[str, str], size: tuple[int, int]) -> list[dict[str, Any]]:
    """A number as Label Studio's rectangle and text with one id; lengths are percent of the picture's."""
    width, height = size
    value = {
        "x": 100 * box.left / width,
        "y": 100 * box.top / height,
        "width": 100 * box.width / width,
        "height": 100 * box.height / height,
        "rotation": 0,
    }
    common = {
        "id": uuid4().hex[:10],
        "to_name": names["picture"],
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": number.confidence,
    }
    return [
        {**common, "from_name": names["rectangle"], "type": "rectangle", "value": value},
        {**common, "from_name": names["text"], "type": "textarea", "value": value | {"text": [number.raw]}},
    ]


def picture_of(address: str, host: str) -> bytes:
    """A picture's bytes from Label Studio, and from no other server: addresses come with the tasks.

    Raises:
        ValueError: another server, or a picture that is too large.
        OSError: it cannot be had.
    """
    url = urljoin(host, address)
    if urlsplit(url)[:2] != urlsplit(host)[:2]:
        raise ValueError(f"{url[:100]} is not on {host}; set LABEL_STUDIO_URL to the server that has the pictures")
    token = os.environ.get("LABEL_STUDIO_TOKEN", "")
    wanted = urllib.request.Request(url, headers={"Authorization": f"Token {token}"} if token else {})  # noqa: S310
    with urllib.request.urlopen(wanted, timeout=_TIMEOUT_S) as response:  # noqa: S310 - its scheme is the host's
        content: bytes = response.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{url[:100]} has more than {MAX_BYTES / 2**20:.0f} MB")
    return content


def size_of(content: bytes) -> tuple[int, int]:
    """Height and width after EXIF rotation, as the boxes have them."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("Label Studio shows no pictures of this format")
    return int(pixels.shape[0]), int(pixels.shape[1])


if __name__ == "__main__":
    create_app().run("127.0.0.1", 9090)
