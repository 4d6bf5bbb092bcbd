"""The same reader behind LitServe, as its users would write it: `python litserve_app.py PORT`.

It runs with LitServe on PYTHONPATH; that is no dependency of the project.
"""

import sys
from typing import Any

import litserve  # type: ignore[import-not-found, unused-ignore]
from fastapi import Request

from handigit.read import Reader
from handigit.read.document import PageReading, read_batch


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """A digit from a form's file, in batches."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe calls it so
        """Load the model, once a worker."""
        self.reader = Reader(threads=1)
        self.reader.digits([])

    def decode_request(self, request: Request) -> bytes:
        """The picture in a request, which is the parsed form by now, whatever its type says."""
        return bytes(request["file"].file.read())

    def predict(self, contents: list[bytes]) -> list[PageReading | Exception]:
        """The digits on a batch of pictures."""
        return read_batch(self.reader, contents, "digit")

    def encode_response(self, output: PageReading | Exception) -> dict[str, Any]:
        """The answer's JSON, as ours."""
        if isinstance(output, Exception):
            return {"error": str(output)}
        return {"readings": [number.as_dict(source="upload", model=output.model) for number in output.numbers]}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=64, batch_timeout=0.002), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
