"""Readiness, waits with deadlines, and a server short of resources."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from handigit.store import Store, StoreBusy, StoreFull
from handigit.web import create_app
from handigit.web.problems import Problem, problem_of
from handigit.web.write_pool import WritePool
from handigit.workers import WorkerUnavailable
from serving import HOST, NumberReader, open_store, picture, settings


@pytest.fixture
def store(tmp_path) -> Store:
    """A store in the test's folder."""
    return open_store(tmp_path)


@pytest.fixture
def client(tmp_path, store, monkeypatch) -> Iterator[TestClient]:
    """A ready server that checks its parts at each request."""
    monkeypatch.setattr("handigit.web.readiness.MAX_AGE_S", -1)
    app = create_app(settings(tmp_path), store=store, make_reader=NumberReader)
    with TestClient(app, base_url=HOST) as opened:
        while opened.get("/readyz").status_code != 200:
            pass
        yield opened


def not_ready(client: TestClient) -> str:
    """The reason that /readyz gives; the process is alive in any case."""
    answer = client.get("/readyz")
    assert (answer.status_code, client.get("/v2/health/ready").status_code) == (503, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200
    detail: str = answer.json()["detail"]
    return detail


def test_not_ready_without_the_database_file(client, tmp_path) -> None:
    for file in tmp_path.glob("test.db*"):
        file.unlink()
    assert "store does not answer" in not_ready(client)


def test_not_ready_while_the_store_hangs(client, store, monkeypatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("handigit.web.readiness.TIMEOUT_S", 0.05)
    monkeypatch.setattr(store, "ping", release.wait)
    assert "has not answered" in not_ready(client)
    release.set()
    assert client.get("/readyz").status_code == 200


def test_not_ready_after_a_reading_could_not_be_stored(client, store, monkeypatch) -> None:
    def refuse(pages: Any) -> Any:  # noqa: ARG001
        raise StoreBusy("locked")

    with monkeypatch.context() as broken:
        broken.setattr(store.ingest, "add_many", refuse)
        answer = client.post("/v1/digit", content=picture())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "refuses new readings" in not_ready(client)
    assert client.post("/v1/digit", content=picture()).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_not_ready_on_a_full_disk(client, monkeypatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("handigit.web.readiness.shutil.disk_usage", lambda _: usage)
    assert "1,000 bytes are free" in not_ready(client)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
def test_an_upload_that_the_system_cannot_hold_is_a_503(client, monkeypatch, code) -> None:
    class Full:
        def __init__(self, **_: Any) -> None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr("handigit.web.uploads.SpooledTemporaryFile", Full)
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", Full)
    for upload in ({"content": picture()}, {"files": {"file": picture()}}):
        answer = client.post("/v1/digit", **upload)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_document_that_cannot_be_copied_for_its_decoder_is_a_503(client, monkeypatch) -> None:
    def full() -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("handigit.images.documents.tempfile.TemporaryFile", full)
    answer = client.post("/v1/page", content=picture(format="PDF", size=64))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("error", [StoreBusy("x"), StoreFull("x"), WorkerUnavailable("x")])
def test_passing_failures_are_a_503_with_retry_after(error) -> None:
    problem = problem_of(error)
    assert problem.kind.status == 503
    assert int(problem.headers["Retry-After"]) >= 1


def test_changes_that_wait_do_not_take_the_threads_of_reads(client, store, monkeypatch) -> None:
    reading = client.post("/v1/digit", content=picture()).json()["readings"][0]["id"]
    release, started = threading.Event(), threading.Semaphore(0)
    decide = store.decide

    def slow(*args: Any, **kwargs: Any) -> Any:
        started.release()
        assert release.wait(60)
        return decide(*args, **kwargs)

    monkeypatch.setattr(store, "decide", slow)
    statuses: list[int] = []

    def correct() -> None:
        answer = client.post(f"/v1/readings/{reading}/corrections", json={"text": "1"})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=correct) for _ in range(45)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        assert started.acquire(timeout=60)
    assert client.get("/v1/readings").status_code == 200
    release.set()
    for thread in threads:
        thread.join(60)
    assert statuses == [201] * 45


def test_a_stuck_change_and_too_many_of_them_are_a_503() -> None:
    release = threading.Event()

    async def run() -> list[str]:
        pool = WritePool(capacity=1, deadline_s=0.05)
        stuck = asyncio.create_task(pool.run(release.wait))
        await asyncio.sleep(0)
        details = []
        for change in (pool.run(release.wait), stuck):
            with pytest.raises(Problem) as refused:
                await change
            details.append(refused.value.detail)
        release.set()
        assert await pool.run(lambda: "done") == "done"
        pool.close()
        return details

    busy, slow = asyncio.run(run())
    assert "busy" in busy
    assert "too long" in slow


def test_a_stored_picture_is_checked_again_before_a_browser_shows_its_copy(client) -> None:
    reading = client.post("/v1/digit", content=picture()).json()["readings"][0]["id"]
    path = f"/v1/pictures/{client.get(f'/v1/readings/{reading}').json()['picture']}"
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    assert client.get(path, headers={"if-none-match": first.headers["etag"]}).status_code == 304
