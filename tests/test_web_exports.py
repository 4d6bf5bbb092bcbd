"""Downloads of many rows: few at a time, limited, on disk; their rows and pictures are checked in test_web_forms."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openpyxl import load_workbook

from handigit.forms.page_state import PageState
from handigit.forms.record import Page, Record, RecordOutcome
from handigit.store import FormRecord, Store
from handigit.web import create_app
from handigit.web.exports import Exports, at_most
from handigit.web.problems import Problem
from handigit.web.record_export import write_stored
from handigit.web.state import state_of
from serving import HOST, open_store, settings
from store_cases import PROVENANCE, number, page


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def client(tmp_path, store) -> Iterator[TestClient]:
    with TestClient(create_app(settings(tmp_path), store=store), base_url=HOST) as opened:
        while opened.get("/readyz").status_code != 200:
            pass
        yield opened


PATHS = ("/v1/readings/export?format=xlsx", "/v1/records/export?format=csv", "/v1/forms/tally-sheet/form.pdf?copies=2")


@pytest.mark.parametrize("path", PATHS)
def test_only_a_few_are_made_at_a_time(client, path) -> None:
    exports = state_of(client.app).exports
    with exports.admit(), exports.admit():
        refused = client.get(path)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_one_that_takes_too_long_ends(client, store, monkeypatch, path) -> None:
    store.add([number("7")], PROVENANCE)
    record = Record(RecordOutcome.UNPLACED, pages=(Page("a.png", 0, PageState.UNPLACED),), source="a.png")
    store.forms.add(record.to_json(), key="k")
    monkeypatch.setattr(state_of(client.app).exports, "_seconds", -1.0)
    answer = client.get(path)
    assert answer.status_code == 504
    assert "select less" in answer.json()["detail"]


def test_a_failed_one_leaves_its_place() -> None:
    exports = Exports(at_once=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="row"), exports.admit() as guard:
            list(guard(broken()))


def broken() -> Iterator[int]:
    yield 1
    raise ValueError("row")


def test_too_many_rows_are_refused_with_advice() -> None:
    assert list(at_most(3, "abc", what="letters")) == ["a", "b", "c"]
    with pytest.raises(Problem, match="more than 3 letters; select a word"):
        list(at_most(3, "abcd", what="letters; select a word"))


def stored(count: int) -> Iterator[FormRecord]:
    for id_ in range(1, count + 1):
        where = Page("pile.pdf", id_, PageState.UNPLACED, "no form")
        content = Record(RecordOutcome.UNPLACED, pages=(where,), source=f"{id_}.png").to_json()
        yield FormRecord(id_, content, {}, (), datetime.now(UTC))


@pytest.mark.parametrize("kind", ["xlsx", "csv", "jsonl", "parquet"])
def test_records_are_written_one_by_one(kind: str) -> None:
    """The next record is only asked for when the one before has been written."""
    seen: list[str] = []

    def noting(rows: Any) -> Iterator[Any]:
        for row in rows:
            seen.append(row.source)
            yield row

    with TemporaryFile() as file:
        write_stored(stored(1500), file, kind, bom=False, guard=noting)
        file.seek(0)
        content = file.read()
    assert seen == [f"{id_}.png" for id_ in range(1, 1501)]
    if kind == "xlsx":
        sheet = load_workbook(io.BytesIO(content), read_only=True)["Records"]
        assert [row[4] for row in sheet.iter_rows(min_row=2, values_only=True)] == seen
    if kind == "csv":
        assert [line.split(",")[4] for line in content.decode().splitlines()[1:]] == seen


def test_a_workbook_with_too_many_pictures_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("handigit.web.record_export.MAX_PICTURES", -1)
    with TemporaryFile() as file, pytest.raises(Problem, match="pictures of fields; select a batch"):
        write_stored(stored(1), file, "xlsx", bom=False, guard=iter, with_crops=lambda record, _: record)


def test_readings_with_pictures_are_limited(client, store, monkeypatch) -> None:
    store.add([number("7"), number("8")], PROVENANCE, page=page())
    monkeypatch.setattr("handigit.web.api.readings.MAX_PICTURES", 1)
    assert client.get("/v1/readings/export?format=xlsx").status_code == 200
    refused = client.get("/v1/readings/export?format=xlsx&crops=true")
    assert (refused.status_code, "select fewer readings" in refused.text) == (422, True)
