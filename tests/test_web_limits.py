"""Limits that are settled from a request's head: who asks, what it may do, how much it may send."""

import asyncio
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from handigit.store import Role
from handigit.web import create_app
from handigit.web.exchange_limits import RequestGuard, UploadBudget
from handigit.web.problems import Problem
from handigit.web.rate_limits import RefusalPace, TokenBucket, network_of
from handigit.web.state import state_of
from serving import HOST, NumberReader, open_store, picture, settings

TOKEN = "a secret of more than 16"
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def client(tmp_path) -> Iterator[TestClient]:
    """A server with a token and a reader."""
    store = open_store(tmp_path)
    store.accounts.add_user("reader", "password of reader", Role.READER)
    own = settings(tmp_path, token=SecretStr(TOKEN), max_upload_mb=2, max_uploads_mb=3)
    with TestClient(create_app(own, store=store, make_reader=NumberReader), base_url=HOST) as opened:
        while opened.get("/readyz").status_code != 200:
            pass
        yield opened


def status_before_body(client: TestClient, method: str, path: str, headers: dict[str, str]) -> int | None:
    """The status that is sent before the server asks for the body; None if it asks first."""
    statuses: list[int | None] = []

    async def receive() -> dict[str, Any]:
        statuses.append(None)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    fields = [(name.encode(), value.encode()) for name, value in ({"host": "127.0.0.1"} | headers).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": fields,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    return statuses[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/accounts"),
        ("PUT", "/v1/accounts/ada/password"),
        ("POST", "/v1/tokens"),
        ("POST", "/v1/models/switch"),
        ("POST", "/v1/readings/1/corrections"),
        ("POST", "/v1/review/lease/1/decide"),
        ("POST", "/v2/models/digit/infer"),
        ("POST", "/v1/digit"),
    ],
)
def test_credentials_and_size_are_checked_before_the_body(client, method, path) -> None:
    assert status_before_body(client, method, path, JSON | {"content-length": "100"}) == 401
    assert status_before_body(client, method, path, JSON | BEARER | {"content-length": "4000001"}) == 413


def test_the_role_is_checked_before_the_body(client) -> None:
    secret = client.post("/v1/tokens", json={"name": "till", "role": "reader"}, headers=BEARER).json()["secret"]
    headers = JSON | {"authorization": f"Bearer {secret}", "content-length": "100"}
    assert status_before_body(client, "POST", "/v1/accounts", headers) == 403
    assert status_before_body(client, "POST", "/v1/readings/1/corrections", headers) == 403


@pytest.mark.parametrize("path", ["/v1/session", "/v1/accounts"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_json_of_more_than_64_kb_is_refused(client, path, declared) -> None:
    content = b"[" + b"[]," * 30_000 + b"[]]"
    body = content if declared else iter([content])
    answer = client.post(path, content=body, headers=JSON | BEARER)
    assert answer.status_code == 413
    assert "65,536 are allowed" in answer.json()["detail"]


def test_an_inference_request_of_many_lists_is_refused(client) -> None:
    content = b'{"inputs": [' + b"[]," * 200_000 + b"[]]}"
    answer = client.post("/v2/models/digit/infer", content=content, headers=BEARER | JSON)
    assert answer.status_code == 400


def test_uploads_in_progress_share_a_budget() -> None:
    budget = UploadBudget(100)
    budget.take(80)
    with pytest.raises(Problem) as refused:
        budget.check(30)
    assert (refused.value.kind.status, refused.value.headers["Retry-After"]) == (429, "5")
    budget.release(80)
    budget.take(200)  # a single one always fits: its own limit is another


@pytest.mark.parametrize(("files", "memory"), [(3, 2**20), (60, 1)], ids=["small", "large"])
def test_a_megabyte_of_a_request_is_held_in_memory_not_of_each_file(client, monkeypatch, files, memory) -> None:
    limits: list[int] = []

    class Spooled(SpooledTemporaryFile[bytes]):
        def __init__(self, max_size: int = 0, **rest: Any) -> None:
            limits.append(max_size)
            super().__init__(max_size, **rest)

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", Spooled)
    parts = [("file", (f"{number}.png", bytes(30_000))) for number in range(files)]
    assert client.post("/v1/digit", files=parts, headers=BEARER).status_code == 422
    assert limits == [memory] * files


def test_pictures_that_are_not_small_are_decoded_apart(tmp_path) -> None:
    with TestClient(create_app(settings(tmp_path)), base_url=HOST) as client:
        while client.get("/readyz").status_code != 200:
            pass
        assert state_of(client.app).service.models.active.reader.limits.isolate


def test_the_schema_of_a_correction_names_the_outcomes_that_it_takes(client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["CorrectionBody"]["properties"]["outcome"]["enum"] == ["read", "blank", "not_a_number"]


def guard(budget: UploadBudget, *chunks: bytes) -> RequestGuard:
    """The guard of a request whose body arrives in these chunks."""
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:  # noqa: ARG001
        raise AssertionError("nothing is sent")

    scope = {"method": "POST", "headers": [(b"transfer-encoding", b"chunked")]}
    return RequestGuard(scope, receive, send, max_bytes=1e6, budget=budget)  # type: ignore[arg-type]


def test_large_bodies_share_the_budget_and_small_ones_are_exempt() -> None:
    async def run() -> None:
        budget = UploadBudget(300_000)
        first, second, small = guard(budget, bytes(200_000)), guard(budget, bytes(200_000)), guard(budget, b"small")
        await first.receive()
        with pytest.raises(Problem) as refused:
            await second.receive()
        assert refused.value.kind.status == 429
        assert (await small.receive())["body"] == b"small"
        first.close()
        await guard(budget, bytes(200_000)).receive()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("testclient", "testclient"),
    ],
)
def test_ipv6_callers_are_counted_by_their_network(address, network) -> None:
    assert network_of(address) == network


def test_a_bucket_refuses_after_its_burst_each_caller_alone() -> None:
    bucket = TokenBucket(per_minute=1, burst=2)
    waits = [bucket.take("a") for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert 50 < waits[2] <= 60
    assert bucket.take("b") == 0


def test_refusals_in_a_flood_are_spaced_and_a_few_are_not() -> None:
    pace = RefusalPace(per_second=10, burst=5, longest_s=2)
    assert [pace.pause_s(100.0) for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    assert max(pace.pause_s(100.0) for _ in range(1000)) == pytest.approx(2)
    assert pace.pause_s(103.0) == 0


def test_a_known_session_is_not_locked_out_by_guesses(client) -> None:
    right = {"name": "reader", "password": "password of reader"}
    assert client.post("/v1/session", json=right).status_code == 200
    session = client.cookies["handigit_session"]
    client.cookies.clear()
    guesses = [client.post("/v1/session", json=right | {"password": "guess"}) for _ in range(40)]
    assert [guesses[0].status_code, guesses[-1].status_code] == [401, 429]
    assert int(guesses[-1].headers["retry-after"]) >= 1
    client.cookies.set("handigit_session", session)
    assert client.post("/v1/session", json=right).status_code == 200


def test_the_last_admin_cannot_be_removed(client) -> None:
    client.post("/v1/accounts", json={"name": "ada", "password": "correct horse", "role": "admin"}, headers=BEARER)
    assert client.delete("/v1/accounts/ada", headers=BEARER).status_code == 409
    client.post("/v1/accounts", json={"name": "bob", "password": "correct horse", "role": "admin"}, headers=BEARER)
    assert client.delete("/v1/accounts/ada", headers=BEARER).status_code == 204


def test_a_second_server_on_the_same_store_soon_asks_for_credentials(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("handigit.web.auth.REFRESH_S", -1)
    first, second = (create_app(settings(tmp_path), store=open_store(tmp_path)) for _ in "ab")
    with TestClient(first, base_url=HOST) as one, TestClient(second, base_url=HOST) as two:
        assert two.get("/v1/readings").status_code == 200
        new = {"name": "ada", "password": "correct horse", "role": "admin"}
        assert one.post("/v1/accounts", json=new).status_code == 201
        assert two.get("/v1/readings").status_code == 401


def test_head_is_answered_as_get_without_a_body(client) -> None:
    answer = client.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == client.get("/healthz").headers["content-length"]
    assert client.head("/v1/readings").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/session", "DELETE, GET, HEAD, POST"),
        ("GET", "/v1/digit", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/static/app.css", "GET, HEAD"),
        ("GET", "/v1/accounts/ada", "DELETE"),
        ("GET", "/v1/records/check", "POST"),
    ],
)
def test_405_names_the_allowed_methods(client, method, path, allowed) -> None:
    answer = client.request(method, path, headers=BEARER)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_two_host_headers_are_a_400(client) -> None:
    assert client.get("/healthz", headers=[("host", "127.0.0.1"), ("host", "127.0.0.1")]).status_code == 400


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/readings?outcom=read", "outcom"),
        ("/v1/readings?until=0.5", "until"),
        ("/v1/models?x=1", "x"),
        ("/v1/review?a=1&b=2", "a, b"),
    ],
)
def test_unknown_and_wrong_query_parameters_are_named(client, path, named) -> None:
    answer = client.get(path, headers=BEARER)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_a_listed_origin_may_use_the_api_and_no_other(tmp_path) -> None:
    own = settings(tmp_path, token=SecretStr(TOKEN), cors_origins="https://shop.example")
    listed, other = {"origin": "https://shop.example"}, {"origin": "https://elsewhere.example"}
    with TestClient(create_app(own, store=open_store(tmp_path)), base_url=HOST) as client:
        while client.get("/readyz").status_code != 200:
            pass
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert client.options("/v1/digit", headers=listed | preflight).status_code == 200
        assert client.options("/v1/digit", headers=other | preflight).status_code == 400
        refused = client.post("/v1/digit", content=picture(), headers=listed)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://shop.example")
        assert client.post("/v1/session", json={}, headers=other | BEARER).status_code == 403


@pytest.mark.parametrize("prefix", ["", "/numbers"], ids=["stripped by the proxy", "kept by the proxy"])
def test_a_path_prefix_is_accepted(tmp_path, prefix) -> None:
    own = settings(tmp_path, root_path="/numbers")
    with TestClient(create_app(own, make_reader=NumberReader), base_url=HOST) as client:
        while client.get(f"{prefix}/readyz").status_code != 200:
            pass
        assert client.post(f"{prefix}/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"
