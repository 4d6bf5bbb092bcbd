"""Authentication and roles: tokens, accounts, sessions, and what each may do."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from handigit.store import Role
from handigit.web import create_app
from handigit.web.auth import UnprotectedServer, allowed_hosts, is_loopback
from serving import HOST, open_store, picture, settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
TOKEN = "a secret of more than 16"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def client(tmp_path) -> Iterator[TestClient]:
    """A server with a token and three accounts, one of each role."""
    store = open_store(tmp_path)
    for role in Role:
        store.accounts.add_user(role.value, f"password of {role}", role)
    app = create_app(settings(tmp_path, token=SecretStr(TOKEN)), store=store)
    with TestClient(app, base_url=HOST) as opened:
        while opened.get("/readyz").status_code != 200:
            pass
        yield opened


def sign_in(client: TestClient, role: Role) -> None:
    answer = client.post("/v1/session", json={"name": role.value, "password": f"password of {role}"})
    assert answer.json() == {"name": role.value, "role": role.value}


@pytest.mark.parametrize("path", ["/v1/readings", "/v1/models", "/metrics", "/v1/session", "/v2/models/digit"])
def test_without_credentials_nothing_is_shown(client, path) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get(path, headers=BEARER).status_code == 200


def test_reading_needs_credentials(client) -> None:
    assert client.post("/v1/digit", content=picture()).status_code == 401
    assert client.post("/v1/digit", content=picture(), headers=BEARER).status_code == 200


def test_health_needs_no_credentials(client) -> None:
    assert {client.get(path).status_code for path in ("/healthz", "/readyz", "/v2/health/live")} == {200}


def test_roles_limit_what_a_user_may_do(client) -> None:
    requests = [("GET", "/v1/readings"), ("POST", "/v1/review/lease"), ("GET", "/v1/accounts")]
    allowed = {}
    for role in Role:
        sign_in(client, role)
        allowed[role] = [client.request(method, path).status_code for method, path in requests]
    assert allowed == {Role.READER: [200, 403, 403], Role.REVIEWER: [200, 204, 403], Role.ADMIN: [200, 204, 200]}


def test_the_cookie_is_http_only_and_ends_with_the_session(client) -> None:
    answer = client.post("/v1/session", json={"name": "reader", "password": "password of reader"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    secret = client.cookies["handigit_session"]
    assert client.delete("/v1/session").status_code == 204
    client.cookies.set("handigit_session", secret)
    assert client.get("/v1/session").status_code == 401


def test_password_guessing_is_slowed_down(client) -> None:
    wrong = {"name": "admin", "password": "nope"}
    statuses = [client.post("/v1/session", json=wrong).status_code for _ in range(25)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_a_correction_carries_the_name_of_its_user(client) -> None:
    reading = client.post("/v1/digit", content=picture(), headers=BEARER).json()["readings"][0]["id"]
    sign_in(client, Role.REVIEWER)
    assert client.post(f"/v1/readings/{reading}/corrections", json={"text": "1"}).json()["by"] == "reviewer"


def test_tokens_are_shown_once_and_can_be_revoked(client) -> None:
    secret = client.post("/v1/tokens", json={"name": "till", "role": "reader"}, headers=BEARER).json()["secret"]
    own = {"authorization": f"Bearer {secret}"}
    assert client.get("/v1/session", headers=own).json() == {"name": "till", "role": "reader"}
    listed = client.get("/v1/tokens", headers=BEARER)
    assert secret not in listed.text
    assert client.delete(f"/v1/tokens/{listed.json()['tokens'][0]['id']}", headers=BEARER).status_code == 204
    assert client.get("/v1/session", headers=own).status_code == 401


def test_accounts_are_added_changed_and_removed(client) -> None:
    new = {"name": "ada", "password": "correct horse", "role": "reviewer"}
    assert client.post("/v1/accounts", json=new, headers=BEARER).status_code == 201
    assert client.post("/v1/accounts", json=new, headers=BEARER).status_code == 409
    assert client.post("/v1/session", json=new | {"role": "admin"}).json()["role"] == "reviewer"
    assert client.put("/v1/accounts/ada/password", json={"password": "battery staple"}, headers=BEARER).is_success
    assert client.get("/v1/session").status_code == 401
    assert client.delete("/v1/accounts/ada", headers=BEARER).status_code == 204
    assert client.delete("/v1/accounts/ada", headers=BEARER).status_code == 404


def test_the_first_account_must_be_an_admin_and_enables_sign_in(tmp_path) -> None:
    with TestClient(create_app(settings(tmp_path), store=open_store(tmp_path)), base_url=HOST) as client:
        new = {"name": "ada", "password": "correct horse"}
        assert client.get("/v1/readings").status_code == 200
        assert client.post("/v1/accounts", json=new).status_code == 422
        assert client.post("/v1/accounts", json=new | {"role": "admin"}).status_code == 201
        assert client.get("/v1/readings").status_code == 401


@pytest.mark.parametrize("changes", [{"host": EVERYWHERE}, {"hosts": "numbers.example"}, {"proxies": "127.0.0.1"}])
def test_a_reachable_server_does_not_start_without_credentials(tmp_path, changes) -> None:
    with pytest.raises(UnprotectedServer, match="HANDIGIT_TOKEN"):
        create_app(settings(tmp_path, **changes), store=open_store(tmp_path))
    assert create_app(settings(tmp_path, token=SecretStr(TOKEN), **changes), store=open_store(tmp_path))


def test_too_many_requests_from_one_address_are_a_429(tmp_path) -> None:
    closed = settings(tmp_path, token=SecretStr(TOKEN), rate_per_minute=60)
    with TestClient(create_app(closed, store=open_store(tmp_path)), base_url=HOST) as client:
        answers = [client.get("/v1/session", headers=BEARER) for _ in range(15)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        (EVERYWHERE, False),
        ("10.1.1.1", False),
        ("name", False),
    ],
)
def test_only_loopback_is_loopback(host, local) -> None:
    assert is_loopback(host) is local


def test_accepted_host_names(tmp_path) -> None:
    assert allowed_hosts(settings(tmp_path, host=EVERYWHERE)) is None
    assert "127.0.0.1" in (allowed_hosts(settings(tmp_path)) or ())
    assert "numbers.example" in (allowed_hosts(settings(tmp_path, host=EVERYWHERE, hosts="Numbers.example")) or ())
