"""The client with a real server on this machine, and with one that refuses on purpose."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from handigit.client import Client, ServiceError
from serving import picture, running


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server.url


def test_pictures_are_read_listed_and_corrected(url, tmp_path) -> None:
    (tmp_path / "seven.png").write_bytes(picture(7))
    with Client(url) as client:
        answers = client.read(tmp_path / "seven.png", picture(1), as_="digit")
        assert [(answer["source"], answer["text"]) for answer in answers] == [("seven.png", "7"), ("upload", "1")]
        corrections = [client.correct(answers[1]["id"], "4", key="one") for _ in "ab"]
        assert corrections[0]["id"] == corrections[1]["id"]
        assert [reading["truth"] for reading in client.readings(limit=1)] == [
            {"text": "4", "value": 4, "outcome": "read"},
            None,
        ]


def test_a_refusal_is_raised_with_the_server_s_words(url) -> None:
    with Client(url) as client, pytest.raises(ServiceError, match="save it as one of these") as refused:
        client.read(b"no picture", as_="digit")
    assert (refused.value.status, refused.value.problem["type"]) == (422, "urn:handigit:problem:unreadable-picture")


class Busy(BaseHTTPRequestHandler):
    """Refuses twice and asks for a pause of one second, then answers."""

    requests: list[str] = []  # noqa: RUF012 - emptied by the test that reads it

    def do_GET(self) -> None:
        """Answer one request."""
        self.requests.append(self.path)
        refuse = len(self.requests) <= 2
        self.send_response(429 if refuse else 200)
        body = b"" if refuse else b'{"readings": [], "after": null}'
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_what: object) -> None:
        """Log nothing."""


def test_it_retries_after_the_pause_that_the_server_asks_for_and_gives_up_in_the_end(monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("handigit.client.time.sleep", pauses.append)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        Busy.requests.clear()
        with Client(url, tries=2) as client, pytest.raises(ServiceError, match="429"):
            list(client.readings())
        assert len(pauses) == 1
        assert pauses[0] >= 1
        with Client(url) as client:
            assert list(client.readings()) == []
        server.shutdown()


def test_an_unreachable_server_is_a_transport_error() -> None:
    with Client("http://127.0.0.1:9", tries=1) as client, pytest.raises(httpx.TransportError):
        list(client.readings())
