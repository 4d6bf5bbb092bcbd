"""The same reader behind plain Flask with a thread for each connection: `python flask_app.py PORT`.

It runs with Flask on PYTHONPATH; that is no dependency of the project.
"""

import logging
import sys
from typing import Any

from flask import Flask, request  # type: ignore[import-not-found, unused-ignore]
from werkzeug.serving import WSGIRequestHandler

from handigit.read import Reader

app, reader = Flask("peer"), Reader(threads=1)


@app.get("/health")  # type: ignore[untyped-decorator, unused-ignore]
def health() -> str:
    """It is well."""
    return "ok"


@app.post("/predict")  # type: ignore[untyped-decorator, unused-ignore]
def predict() -> dict[str, Any]:
    """A digit from a form's file."""
    number = reader.digit(request.files["file"].read()).as_number()
    return {"readings": [number.as_dict(source="upload", model=reader.engine.card.name)]}


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # keeps connections open, as the others do
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
