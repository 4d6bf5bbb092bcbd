"""The server as a process: how fast it starts, how it ends, what it logs, what slow and large callers do to it."""

import json
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from handigit.web.load_shedding import plain_target
from serving import Running, end_under_load, picture, running


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


def test_a_first_answer_comes_soon_after_the_start(tmp_path) -> None:
    began = time.monotonic()
    with running(tmp_path) as server, server.client() as client:
        assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"
    assert time.monotonic() - began < 120  # bench/serve.py measures it; here the machine may be busy


def test_the_log_is_json_and_has_the_request_but_not_what_was_read(server) -> None:
    with server.client() as client:
        headers = {"x-request-id": "find-me"}
        client.post("/v1/digit", content=picture(), params={"name": "secret-name.png"}, headers=headers)
        client.post("/v1/digit", content=b"secret-content", headers=headers)
    time.sleep(0.2)
    mine = [line for line in server.log if line.get("request_id") == "find-me"]
    assert [(line["event"], line["route"], line["status"]) for line in mine] == [
        ("answered", "/v1/digit", 200),
        ("answered", "/v1/digit", 422),
    ]
    assert not any("secret" in line for line in server.raw)
    assert all(json.loads(line)["level"] for line in server.raw)


def test_a_slow_sender_holds_nobody_up(server) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for one in slow:
        one.sendall(b"POST /v1/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf")
    with server.client() as client:
        taken = []
        for _ in range(20):
            began = time.monotonic()
            assert client.post("/v1/digit", content=picture()).status_code == 200
            taken.append(time.monotonic() - began)
    for one in slow:
        one.close()
    assert sorted(taken)[10] < 0.5


def test_a_connection_that_says_nothing_is_closed(tmp_path) -> None:
    with running(tmp_path, code="from handigit.web import connection; connection.FIRST_HEAD_S = 0.5") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
            slow.sendall(b"POST /v1/digit HTTP/1.1\r\n")
            assert slow.recv(1) == b""


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_large_upload_is_refused_without_being_held(server, declared) -> None:
    size, chunk = 300_000_000, b"\x89PNG\r\n\x1a\n" + bytes(999_992)
    with server.client() as client:
        client.post("/v1/digit", content=picture())  # so that what is needed anyway is there
        server.forget_peak()
        before = server.memory_mb()
        headers = {"content-length": str(size)} if declared else {}
        answer = client.post("/v1/digit", content=(chunk for _ in range(size // len(chunk))), headers=headers)
    assert answer.status_code == 413
    assert "are allowed" in answer.json()["detail"]
    assert server.peak_mb() - before <= 8


@pytest.mark.parametrize("parts", [10_000])
def test_a_form_of_very_many_parts_is_refused(server, parts) -> None:
    with server.client() as client:
        before = server.memory_mb()
        files = [("file", (str(number), b"x")) for number in range(parts)]
        answer = client.post("/v1/digit", files=files)
    assert answer.status_code == 400
    assert "Too many files" in answer.json()["detail"]
    assert server.memory_mb() - before <= 30


FULL = """
from handigit.web.batching import Lane, LaneFull
def check_room(self, items=1):
    raise LaneFull(3.0)
Lane.patience_s, Lane.check_room = lambda self: 3.0, check_room
"""
HEAD = b"POST /v1/digit?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: %b\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Iterator[Running]:
    """A server that never has room."""
    with running(tmp_path_factory.mktemp("full"), code=FULL) as started:
        yield started


def answers_to(server: Running, *pieces: bytes, count: int) -> list[tuple[int, bytes, bytes]]:
    """Status, head and body of so many answers on one connection, to what is sent piece by piece."""
    found = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        stream = connection.makefile("rb")
        for _ in range(count):
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append((int(head[9:12]), head, stream.read(length)))
    return found


def test_a_refusal_at_the_door_is_as_whole_as_any(full) -> None:
    (refused,) = answers_to(full, HEAD % (b"mine", 4) + b"1234", count=1)
    with full.client() as client:
        expected = client.get("/nothing")
        counted = client.get("/metrics").text
    status, head, body = refused
    problem = json.loads(body)
    assert (status, problem["status"], problem["request_id"]) == (429, 429, "mine")
    assert problem["type"] == "urn:handigit:problem:busy"
    sent = {line.partition(b": ")[0].decode() for line in head.splitlines()[1:]}
    assert sent == set(expected.headers) | {"retry-after"}
    assert b"retry-after: 3\r\n" in head
    assert 'handigit_requests_total{method="POST",route="/v1/digit",status="429"}' in counted
    assert [line["status"] for line in full.log if line["event"] == "refused"] == [429]


def test_a_connection_lives_on_after_refusals_whatever_way_their_bodies_come(full) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    whole = HEAD % (b"a", 4) + b"GET "
    pieces = (whole + whole, HEAD % (b"b", 8), b"POST", b" /v1" + whole[:20], whole[20:] + health)
    answers = answers_to(full, *pieces, count=5)
    assert [status for status, *_ in answers] == [429, 429, 429, 429, 200]


def test_refusals_wait_their_turn_behind_answers_that_are_not_ready(full) -> None:
    slow = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answers = answers_to(full, slow + HEAD % (b"a", 1) + b"1" + slow + HEAD % (b"b", 1) + b"2", count=4)
    assert [status for status, *_ in answers] == [200, 429, 200, 429]


@pytest.mark.parametrize(
    ("data", "target"),
    [
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", b"/v1/digit"),
        (b"POST /v1/digit?a=b HTTP/1.1\r\ncontent-length:2\r\nX: y\r\n\r\nab", b"/v1/digit?a=b"),
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", None),  # more is to come
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 1\r\n\r\nab", None),  # another request begins
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", None),
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", None),
        (b"POST /v1/digit HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 0\r\n\r\n", None),  # its body only looks so
        (b"POST /v1/digit HTTP/1.0\r\nContent-Length: 2\r\n\r\nab", None),
        (b"GET /v1/digit HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", None),
        (b"POST /v1/digit HTTP/1.1\r\nContent-Length: 2", None),
        (b"\r\n\r\n", None),
    ],
)
def test_only_what_is_whole_and_plain_is_seen_at_a_glance(data, target) -> None:
    assert plain_target(data) == target


@pytest.mark.parametrize(
    "line", [b"Expect: 100-continue", b"Connection: close", b"Transfer-Encoding: chunked", b"Content-Length: 70000"]
)
def test_what_is_rare_is_refused_the_long_way(full, line) -> None:
    head = b"POST /v1/digit HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n\r\n" % line
    ((status, _, body),) = answers_to(full, head, count=1)
    assert (status, json.loads(body)["status"]) == (429, 429)


SLOW = """
import time
from handigit.web import service
honest = service.read_together
service.read_together = lambda *given: time.sleep(1) or honest(*given)
"""


def test_a_caller_who_hangs_up_is_noticed_and_costs_nobody_an_error(tmp_path) -> None:
    with running(tmp_path, code=SLOW, HANDIGIT_WORKERS="0") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as impatient:
            content = picture()
            impatient.sendall(HEAD % (b"gone", len(content)) + content)
            time.sleep(0.1)
        line = server.wait_for("answered", seconds=10)
        with server.client() as client:
            assert client.post("/v1/digit", content=content).status_code == 200
    assert (line["request_id"], line["status"]) == ("gone", 499)
    assert {line["level"] for line in server.log} == {"info"}


def test_sigterm_finishes_what_was_accepted_and_leaves_nothing_behind(tmp_path) -> None:
    with running(tmp_path) as server:
        answers = end_under_load(server).answers
        assert server.process.returncode == 0
        accepted = [line for line in server.log if line["event"] == "answered" and line["route"] == "/v1/digit"]
        finished = [line for line in accepted if line["finished"] and line["status"] == 200]
    assert answers.count(200) == len(finished) == len(accepted)
    assert set(answers) == {200}


def test_while_it_drains_it_is_not_ready_but_answers(tmp_path) -> None:
    with running(tmp_path, HANDIGIT_DRAIN_S="1") as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert client.get("/readyz").status_code == 503
        assert "elsewhere" in client.get("/readyz").json()["detail"]
        assert client.post("/v1/digit", content=picture()).status_code == 200
        assert server.process.wait(60) == 0
