"""The server as a process: its log, slow, large and disconnecting clients, limits on heads, shutdown."""

import json
import signal
import socket
from collections.abc import Iterator

import pytest

from serving import Running, end_under_load, picture, running


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


def test_the_log_is_json_without_what_was_read(server) -> None:
    with server.client() as client:
        headers = {"x-request-id": "find-me"}
        client.post("/v1/digit", content=picture(), params={"name": "secret-name.png"}, headers=headers)
        client.post("/v1/digit", content=b"secret-content", headers=headers | {"x-request-id": "find-me-too"})
    server.wait_for("answered", request_id="find-me-too")
    lines = [line for line in server.log if str(line.get("request_id")).startswith("find-me")]
    assert [(line["event"], line["route"], line["status"]) for line in lines] == [
        ("answered", "/v1/digit", 200),
        ("answered", "/v1/digit", 422),
    ]
    assert not any("secret" in line for line in server.raw)
    assert all(json.loads(line)["level"] for line in server.raw)


def test_slow_senders_do_not_block_others(server) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"POST /v1/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf")
    with server.client() as client:
        assert {client.post("/v1/digit", content=picture()).status_code for _ in range(20)} == {200}
    for connection in slow:
        connection.close()


def test_a_head_that_takes_too_long_closes_the_connection(tmp_path) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with running(tmp_path, code="from handigit.web import head_limits; head_limits.HEAD_TIMEOUT_S = 0.5") as server:
        for first in (b"", health[:30], health + health[:30]):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
                silent.sendall(first)
                stream = silent.makefile("rb")
                if first.startswith(health):
                    assert b"200 OK" in stream.readline()
                    silent.sendall(health[30:40])  # the second head begins in one packet and goes on in another
                stream.read()  # until the server closes it


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_large_upload_is_refused(server, declared) -> None:
    size, chunk = 300_000_000, b"\x89PNG\r\n\x1a\n" + bytes(999_992)
    headers = {"content-length": str(size)} if declared else {}
    with server.client() as client:
        answer = client.post("/v1/digit", content=(chunk for _ in range(size // len(chunk))), headers=headers)
    assert (answer.status_code, answer.reason_phrase) == (413, "Content Too Large")
    assert "are allowed" in answer.json()["detail"]


def test_a_form_with_too_many_parts_is_refused(server) -> None:
    with server.client() as client:
        answer = client.post("/v1/digit", files=[("file", (str(number), b"x")) for number in range(10_000)])
    assert answer.status_code == 400
    assert "Too many files" in answer.json()["detail"]


FULL = """
from handigit.web.batching import BatchQueue, QueueFull
def check_capacity(self, items=1):
    raise QueueFull(3.0)
BatchQueue.check_capacity = check_capacity
"""
HEAD = b"POST /v1/digit?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: %b\r\nContent-Length: %d\r\n\r\n"


def answers_to(server: Running, *pieces: bytes, count: int) -> list[tuple[int, bytes, bytes]]:
    """Status, head and body of `count` answers on one connection, to requests sent piece by piece."""
    answers = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        stream = connection.makefile("rb")
        for _ in range(count):
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answers.append((int(head[9:12]), head, stream.read(length)))
    return answers


def test_a_full_server_refuses_and_the_connection_stays_open(tmp_path) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    whole = HEAD % (b"a", 4) + b"1234"
    with running(tmp_path, code=FULL) as server:
        answers = answers_to(server, whole + whole, HEAD % (b"b", 8), b"1234", b"5678" + health, count=4)
        with server.client() as client:
            counted = client.get("/metrics").text
        assert [line["status"] for line in server.log if line["event"] == "refused"] == [429]
    assert [status for status, *_ in answers] == [429, 429, 429, 200]
    _, head, body = answers[0]
    assert (json.loads(body)["type"], json.loads(body)["request_id"]) == ("urn:handigit:problem:busy", "a")
    assert b"retry-after: 3\r\n" in head
    assert 'handigit_requests_total{method="POST",route="/v1/digit",status="429"} 3' in counted


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + (b"X: " + b"a" * 10_000 + b"\r\n") * 8 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000, 431),
    ],
    ids=["address", "header", "count", "total", "unfinished"],
)
def test_a_head_that_is_too_large_is_refused(server, head, status) -> None:
    ((answered, _, body),) = answers_to(server, head, count=1)
    assert answered == json.loads(body)["status"] == status


SLOW = """
import threading
from handigit.web import service
honest = service.read_batch
service.read_batch = lambda *args: threading.Event().wait(1) or honest(*args)
"""


def test_a_disconnect_is_logged_as_499(tmp_path) -> None:
    with running(tmp_path, code=SLOW, HANDIGIT_WORKERS="0") as server:
        content = picture()
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as impatient:
            impatient.sendall(HEAD % (b"gone", len(content)) + content)
        line = server.wait_for("answered", request_id="gone")
        with server.client() as client:
            assert client.post("/v1/digit", content=content).status_code == 200
    assert line["status"] == 499
    assert {line["level"] for line in server.log} == {"info"}


def test_sigterm_finishes_accepted_requests(tmp_path) -> None:
    with running(tmp_path) as server:
        answers = end_under_load(server).answers
        assert server.process.returncode == 0
        accepted = [line for line in server.log if line["event"] == "answered" and line["route"] == "/v1/digit"]
        finished = [line for line in accepted if line["finished"] and line["status"] == 200]
    assert answers.count(200) == len(finished) == len(accepted)
    assert set(answers) == {200}


def test_a_draining_server_answers_but_is_not_ready(tmp_path) -> None:
    with running(tmp_path, HANDIGIT_DRAIN_S="3") as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        while (answer := client.get("/readyz")).status_code == 200:
            pass
        assert answer.status_code == 503
        assert "elsewhere" in answer.json()["detail"]
        assert client.post("/v1/digit", content=picture()).status_code == 200
        assert server.process.wait(60) == 0
