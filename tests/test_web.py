"""The HTTP API, in this process: answers, problems, headers, corrections, models, metrics."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handigit.read import Reader
from handigit.read.engine import EMBEDDED
from handigit.records import Outcome
from handigit.store import Deleted
from handigit.web import create_app
from handigit.web.app import forget_regularly
from handigit.web.service import PageResult
from serving import HOST, NumberReader, encoded, open_store, picture, settings


def wait_until_ready(client: TestClient) -> TestClient:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if client.get("/readyz").status_code == 200:
            return client
        time.sleep(0.01)  # workers start
    raise AssertionError("never ready")


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[TestClient]:
    """A server without sign-in, with a store, a folder of models, and a fake number reader."""
    folder = tmp_path_factory.mktemp("service")
    embedded = (EMBEDDED / "digit.onnx").read_bytes()
    (folder / "models").mkdir()
    (folder / "models" / "twin.onnx").write_bytes(embedded)
    (folder / "models" / "broken.onnx").write_bytes(embedded[:1000])
    own = settings(folder, models=folder / "models")
    app = create_app(own, store=open_store(folder), make_reader=lambda place: NumberReader(place, threads=1))
    with TestClient(app, base_url=HOST) as opened:
        yield wait_until_ready(opened)


def problem_of(answer) -> dict[str, object]:
    """The problem in an answer, which must be a proper one."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert not re.search(r"Traceback|/(?:home|root|tmp|usr|work)/", answer.text)
    return problem


def test_a_picture_in_the_body_is_read_and_stored(client) -> None:
    answer = client.post("/v1/digit", content=picture(), params={"name": "seven.png"})
    assert answer.status_code == 200
    (reading,) = answer.json()["readings"]
    expected = Reader(threads=1).digit(picture()).as_number().as_dict(source="seven.png", model=reading["model"])
    assert reading == {"id": reading["id"]} | expected
    assert client.get(f"/v1/readings/{reading['id']}").json()["text"] == "7"


@pytest.mark.parametrize("kind", ["digit", "number", "page", "read"])
def test_a_repeated_request_with_a_key_is_stored_once(client, kind) -> None:
    headers = {"Idempotency-Key": f"once-{kind}"}
    files = [("file", (f"{kind}-{digit}.png", picture(digit), "image/png")) for digit in (7, 1)]
    first, again = (client.post(f"/v1/{kind}", files=files, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.json()["readings"] == again.json()["readings"]
    assert all(reading["id"] for reading in first.json()["readings"])
    other = client.post(f"/v1/{kind}", content=picture(1, size=40), headers=headers)
    assert problem_of(other)["status"] == 409
    wrong = client.post(f"/v1/{kind}", content=picture(), headers={"Idempotency-Key": "no key"})
    assert "Idempotency-Key" in str(problem_of(wrong)["detail"])


@pytest.mark.parametrize("format", ["GIF", "HEIF"])
def test_pictures_of_phones_and_animations_are_read(client, format) -> None:  # noqa: A002
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    content = picture(format=format, size=112)
    body = client.post("/v1/digit", files={"file": (f"7.{format.lower()}", content, "image/x")}).json()
    assert [reading["text"] for reading in body["readings"]] == ["7"]


def test_keep_false_stores_nothing(client) -> None:
    before = client.get("/v1/readings").json()
    answer = client.post("/v1/digit", content=picture(), params={"keep": "false"})
    assert answer.json()["readings"][0]["id"] is None
    assert client.get("/v1/readings").json() == before


def test_files_are_answered_in_order_and_a_bad_one_is_a_problem(client) -> None:
    files = [("file", ("a", picture(7))), ("file", ("b", b"no picture")), ("file", ("c", picture(1)))]
    body = client.post("/v1/digit", files=files).json()
    assert [(one["source"], one["text"]) for one in body["readings"]] == [("a", "7"), ("c", "1")]
    assert [(one["source"], one["status"]) for one in body["problems"]] == [("b", 422)]


def test_the_status_is_a_problem_only_if_no_file_can_be_read(client) -> None:
    files = [("file", (name, b"no picture")) for name in "ab"]
    assert "none of 2 pictures" in problem_of(client.post("/v1/digit", files=files))["detail"]


def test_a_document_is_streamed_as_json_lines(client) -> None:
    pages = [Image.open(BytesIO(picture(digit, size=60))) for digit in (7, 1, 7)]
    scan = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with client.stream("POST", "/v1/page", content=scan, headers={"accept": "application/jsonl"}) as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert [(line["page"], line["text"]) for line in lines] == [(0, "7")] * 2 + [(1, "1")] * 2 + [(2, "7")] * 2


def test_answers_do_not_collect_the_pixels_of_their_pages(client, monkeypatch) -> None:
    sizes, honest = [], PageResult.as_dicts

    def watched(result: PageResult) -> list[dict[str, Any]]:
        assert result.read
        sizes.append(result.read.page.size)
        return honest(result)

    monkeypatch.setattr(PageResult, "as_dicts", watched)
    page = Image.open(BytesIO(picture(size=60)))
    scan = encoded(page, "TIFF", save_all=True, append_images=[page] * 2)
    assert len(client.post("/v1/page", content=scan).json()["readings"]) == 6
    assert client.post("/v1/digit", content=picture()).status_code == 200
    assert sizes == [0] * 4


def test_the_application_uses_the_given_reader(client) -> None:
    assert client.post("/v1/number", content=picture()).json()["readings"][0]["text"] == "7"


@pytest.mark.parametrize("accept", ["application/json", "application/jsonl"])
def test_a_picture_that_cannot_be_read_is_a_422(client, accept) -> None:
    answer = client.post("/v1/digit", content=picture()[:60], headers={"accept": accept})
    assert answer.status_code == 422
    assert "damaged" in problem_of(answer)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/digit", b"", 400),
        ("GET", "/v1/digit", None, 405),
        ("GET", "/nothing", None, 404),
        ("POST", "/v1/digit?within=0", picture(), 422),
        ("GET", "/v1/readings/999999", None, 404),
        ("GET", "/v1/readings/0", None, 422),
        ("GET", "/v1/readings?since=2024-01-01", None, 422),
        ("GET", "/v1/readings?since=0001-01-01T00:00:00%2B14:00", None, 422),
        ("GET", "/v1/pictures/" + "0" * 64, None, 404),
        ("POST", "/v1/models/switch", b'{"name": "missing"}', 404),
        ("POST", "/v1/models/switch", b'{"name": "broken"}', 409),
        ("POST", "/v1/models/switch", b'{"name": "../../etc"}', 404),
        ("POST", "/v2/models/missing/infer", b"{}", 404),
        ("POST", "/v2/models/digit/infer", b"{}", 400),
    ],
)
def test_wrong_requests_are_answered_with_a_problem(client, method, path, body, status) -> None:
    kind = {"content-type": "application/json"} if body and body[:1] == b"{" else {}
    assert problem_of(client.request(method, path, content=body, headers=kind))["status"] == status


def test_the_client_request_id_is_in_header_answer_and_row(client) -> None:
    answer = client.post("/v1/digit", content=picture(), headers={"x-request-id": "till-17"})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "till-17"
    assert client.get(f"/v1/readings/{answer.json()['readings'][0]['id']}").json()["request_id"] == "till-17"


def test_a_harmful_request_id_is_replaced(client) -> None:
    assert re.fullmatch("[0-9a-f]{32}", client.get("/healthz", headers={"x-request-id": "a b"}).headers["x-request-id"])


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/openapi.json"])
def test_every_response_has_strict_headers(client, path) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://[broken"},
        {"sec-fetch-site": "cross-site"},
        {"host": "rebound.example"},
    ],
)
def test_pages_of_other_origins_cannot_send_requests(client, headers) -> None:
    assert problem_of(client.post("/v1/digit", content=picture(), headers=headers))["status"] == 403


def test_own_pages_may_send_requests(client) -> None:
    headers = {"origin": HOST, "sec-fetch-site": "same-origin"}
    assert client.post("/v1/digit", content=picture(), headers=headers).status_code == 200


def test_a_reading_is_corrected_undone_and_deleted(client) -> None:
    reading = client.post("/v1/digit", content=picture(1)).json()["readings"][0]["id"]
    path = f"/v1/readings/{reading}"
    said = [client.post(f"{path}/corrections", json={"text": "4"}, headers={"idempotency-key": "k"}) for _ in "ab"]
    assert [one.status_code for one in said] == [201, 201]
    assert said[0].json() == said[1].json()
    now = client.get(path).json()
    assert (now["text"], now["truth"]["text"], len(now["history"])) == ("1", "4", 1)
    assert now["history"][0]["by"] == "local"
    client.post(f"/v1/corrections/{said[0].json()['id']}/undo")
    assert client.get(path).json()["truth"] is None
    assert client.request("DELETE", "/v1/readings", params={"number": reading}).json()["readings"] == 1
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "said", [{"text": "4a"}, {"text": ""}, {"text": "4", "outcome": "blank"}, {"outcome": "doubt"}]
)
def test_a_correction_that_is_not_a_number_is_refused(client, said) -> None:
    reading = client.post("/v1/digit", content=picture()).json()["readings"][0]["id"]
    assert problem_of(client.post(f"/v1/readings/{reading}/corrections", json=said))["status"] == 422


def test_readings_are_listed_by_page_filtered_and_exported(client) -> None:
    ids = [client.post("/v1/digit", content=picture(1)).json()["readings"][0]["id"] for _ in range(3)]
    first = client.get("/v1/readings", params={"limit": 2, "contains": "1"}).json()
    second = client.get("/v1/readings", params={"limit": 2, "contains": "1", "after": first["after"]}).json()
    listed = [one["id"] for one in first["readings"] + second["readings"]]
    assert listed[:3] == ids[::-1]
    lines = client.get("/v1/readings/export", params={"format": "jsonl", "contains": "1"}).text.splitlines()
    assert [json.loads(line)["id"] for line in lines][:3] == ids[::-1]
    assert client.get("/v1/readings/export").headers["content-type"].startswith("text/csv")


def test_the_stored_picture_has_no_metadata(client) -> None:
    note = PngInfo()
    note.add_text("Author", "somebody")
    content = encoded(Image.open(BytesIO(picture())), pnginfo=note)
    reading = client.post("/v1/digit", content=content).json()["readings"][0]["id"]
    kept = client.get(f"/v1/pictures/{client.get(f'/v1/readings/{reading}').json()['picture']}")
    assert kept.headers["content-type"] == "image/png"
    assert b"somebody" in content
    assert b"somebody" not in kept.content


def test_a_doubt_is_leased_and_decided(client) -> None:
    reading = client.post("/v1/number", content=picture()).json()["readings"][0]
    assert reading["outcome"] == Outcome.DOUBT
    held = client.post("/v1/review/lease").json()
    while held["reading"]["id"] != reading["id"]:
        client.post(f"/v1/review/lease/{held['id']}/decide", json={"reading": held["reading"]["id"], "text": "7"})
        held = client.post("/v1/review/lease").json()
    decision = {"reading": reading["id"], "text": "7"}
    decided = [client.post(f"/v1/review/lease/{held['id']}/decide", json=decision) for _ in "ab"]
    assert [one.status_code for one in decided] == [200, 200]
    assert decided[0].json()["id"] == decided[1].json()["id"]
    assert client.post(f"/v1/corrections/{decided[0].json()['id']}/undo").json()["undone_by"] == "local"
    assert set(client.get("/v1/review").json()) >= {"doubts", "controls", "held"}


def test_models_are_listed_switched_and_rolled_back(client) -> None:
    listed = {one["name"]: one for one in client.get("/v1/models").json()["models"]}
    assert set(listed) == {"default", "twin", "broken"}
    assert listed["default"]["parts"][0]["card"]["task"] == "digit"
    assert "problem" in listed["broken"]
    twin = {"name": "twin", "sha256": listed["twin"]["parts"][0]["sha256"]}
    assert client.post("/v1/models/switch", json=twin).json()["name"] == "twin"
    wrong = problem_of(client.post("/v1/models/switch", json=twin | {"sha256": "0" * 64}))
    assert "SHA-256" in wrong["detail"]
    assert client.post("/v1/digit", content=picture()).json()["readings"][0]["text"] == "7"


def active_after(folder: Path, **changes: object) -> str:
    """The name of the model that a server with this state starts with."""
    with TestClient(
        create_app(settings(folder, models=folder / "models", **changes), make_reader=NumberReader), base_url=HOST
    ) as client:
        name: str = wait_until_ready(client).app.state.handigit.service.models.active.name
    return name


def test_a_switch_survives_a_restart_while_the_model_is_unchanged(tmp_path, caplog) -> None:
    (tmp_path / "models").mkdir()
    other = tmp_path / "models" / "other.onnx"
    other.write_bytes((EMBEDDED / "digit.onnx").read_bytes())
    app = create_app(settings(tmp_path, models=other.parent), make_reader=NumberReader)
    with TestClient(app, base_url=HOST) as client:
        wait_until_ready(client).post("/v1/models/switch", json={"name": "other"})
    assert active_after(tmp_path) == "other"
    assert active_after(tmp_path, model_dir=EMBEDDED) == "default"  # another configured model takes precedence
    kept = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(kept.replace(other.stem, "gone"))
    assert active_after(tmp_path) == "default"
    (tmp_path / "model.json").write_text("[")
    assert active_after(tmp_path) == "default"
    (tmp_path / "model.json").write_text(kept)
    other.write_bytes(other.read_bytes()[:1000])
    assert active_after(tmp_path) == "default"
    choices = ("last model not used", "choice of model unreadable")
    logged = [(record.message, record.problem) for record in caplog.records if record.message in choices]
    assert logged == [
        ("last model not used", "not-found"),
        ("choice of model unreadable", "JSONDecodeError"),
        ("last model not used", "model-refused"),
    ]


def test_metrics_count_requests_and_outcomes(client) -> None:
    client.post("/v1/digit", content=picture())
    text = client.get("/metrics").text
    assert re.search(r'handigit_requests_total\{method="POST",route="/v1/digit",status="200"\} [1-9]', text)
    assert re.search(r'handigit_answers_total\{kind="digit",outcome="read"\} [1-9]', text)
    assert "handigit_ready 1.0" in text


class Forgetful:
    """A fake store that records what it is asked to forget."""

    def __init__(self) -> None:
        self.before: list[datetime] = []

    def forget(self, *, before: datetime) -> Deleted:
        """Note the time."""
        self.before.append(before)
        return Deleted(1, 1)


def test_readings_older_than_the_retention_are_forgotten_regularly(caplog) -> None:
    store = Forgetful()

    async def run() -> None:
        forgetting = asyncio.create_task(forget_regularly(store, days=2, every_s=0.001))  # type: ignore[arg-type]
        while len(store.before) < 2:
            await asyncio.sleep(0)
        forgetting.cancel()

    with caplog.at_level("INFO"):
        asyncio.run(run())
    age = datetime.now(UTC) - store.before[0]
    assert timedelta(days=2) <= age < timedelta(days=2.1)
    assert caplog.records[0].message == "forgotten"


class Blocking(NumberReader):
    """Reads digits only once it is released."""

    started, release = threading.Event(), threading.Event()

    def digits_on(self, pages):
        """Wait, then read."""
        self.started.set()
        assert self.release.wait(30)
        return super().digits_on(pages)


@pytest.fixture
def blocked(tmp_path) -> Iterator[TestClient]:
    """A server with a queue of one picture whose reader waits."""
    Blocking.started.clear()
    Blocking.release.clear()
    with TestClient(create_app(settings(tmp_path, queue=1), make_reader=Blocking), base_url=HOST) as client:
        Blocking.release.set()
        wait_until_ready(client)
        Blocking.started.clear()
        Blocking.release.clear()
        yield client
        Blocking.release.set()


def test_a_full_queue_is_a_429_with_retry_after(blocked) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(blocked.post, "/v1/digit", content=picture())
        assert Blocking.started.wait(30)
        refused = blocked.post("/v1/digit", content=picture())
        Blocking.release.set()
        assert waiting.result().status_code == 200
    assert problem_of(refused)["type"] == "urn:handigit:problem:busy"
    assert int(refused.headers["retry-after"]) >= 1
    assert blocked.post("/v1/digit", content=picture()).status_code == 200


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_missed_deadline_is_a_504(blocked, format) -> None:  # noqa: A002
    answer = blocked.post("/v1/digit?within=0.05", content=picture(format=format))
    assert problem_of(answer)["status"] == 504
    assert int(answer.headers["retry-after"]) >= 1


def test_the_package_never_uses_pickle() -> None:
    source = Path(__file__).parents[1] / "src"
    using = re.compile(r"^\s*(?:import|from)\s+(?:c?[pP]ickle|dill|joblib|cloudpickle|shelve|marshal)\b|torch\.load\(")
    unsafe = re.compile(r"allow_pickle\s*=\s*True|read_pickle\(")
    for file in source.rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not using.search(line), file.name
            assert not unsafe.search(line), file.name
