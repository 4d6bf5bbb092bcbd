"""Forms over HTTP: templates saved on the server, scans to stored records, corrections, checks again, export."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx
import numpy as np
import pytest
from openpyxl import load_workbook
from PIL import Image

from handigit.forms import Template
from handigit.forms.drawn import View, fill, see
from serving import SUM_FIELDS, Running, encoded, running

SHEET = Path(__file__).parents[1] / "samples" / "forms" / "score-sheets" / "score-sheet-001.jpg"
SUMS = f"""\
{SUM_FIELDS}check = [
  {{ rule = "a + b == sum", says = "a and b must make the sum" }},
  {{ list = "ids.csv", column = "id", field = "a", copy = ["who"] }},
]
"""
IDS = "id,who\n12,Ann\n70,Bea\n"
MANY = f"[[table]]\nname = 't'\nrows = {list(range(99))}\ncolumns = {list(range(99))}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("forms")) as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def save(client: httpx.Client, text: str = SUMS, ids: str = IDS, **query: Any) -> httpx.Response:
    files = [("file", ("form.toml", text)), ("file", ("ids.csv", ids))]
    return client.put("/v1/forms/sums", files=files, params=query)


def scan(a: str = "12", b: str = "30", total: str = "42", *, seed: int = 1) -> bytes:
    """A filled form as a scanner sees it."""
    rng = np.random.default_rng(seed)
    values = {"a": a, "b": b, "sum": total}
    return encoded(Image.fromarray(see(fill(bare(), rng, values=values, copy=str(seed), dpi=150),
                                       View(dpi=130, noise=2), rng).pixels))  # fmt: skip


def bare() -> Template:
    """The form without its list, whose file is on the server only."""
    return Template.parse(SUMS.replace('  { list = "ids.csv", column = "id", field = "a", copy = ["who"] },\n', ""))


@pytest.fixture(scope="module")
def record(server: Running) -> dict[str, Any]:
    """A stored record whose sum is wrong."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert save(client).status_code == 200
        answer = client.post("/v1/forms/sums/records?batch=monday&name=one.png", content=scan(total="52"))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["records"]
    return dict(found)


@pytest.mark.usefixtures("record")
def test_templates_are_listed_and_shown(client: httpx.Client) -> None:
    listed = client.get("/v1/forms").json()["forms"]
    assert listed[0]["name"] == "sums"
    assert listed[0]["saved"] is True
    assert {"score-sheet", "cheque"} <= {form["name"] for form in listed}
    shown = client.get("/v1/forms/sums").json()
    assert [field["name"] for field in shown["fields"]] == ["a", "b", "sum"]
    assert client.get("/v1/forms/sums/form.pdf?copies=2").content.startswith(b"%PDF")
    assert client.get("/v1/forms/nothing").status_code == 404


def test_a_scan_becomes_a_stored_record(client: httpx.Client, record: dict[str, Any]) -> None:
    assert (record["template"], record["batch"], record["outcome"]) == ("sums", "monday", "doubt")
    stored = client.get(f"/v1/records/{record['id']}").json()
    assert stored["fields"]["b"]["text"] == "30"
    assert stored["fields"]["a"]["alone"]["texts"]
    assert client.get(f"/v1/pictures/{stored['pictures']['1']}").headers["content-type"] == "image/png"
    assert stored["revisions"][0]["by"] == "reader"
    assert "must make the sum" in " ".join(stored["problems"])


def test_the_same_scan_is_stored_once(client: httpx.Client, record: dict[str, Any]) -> None:
    again = client.post("/v1/forms/sums/records?name=one.png", content=scan(total="52")).json()["records"]
    assert [one["id"] for one in again] == [record["id"]]


@pytest.mark.usefixtures("record")
def test_records_that_are_not_kept_have_no_id(client: httpx.Client) -> None:
    before = len(client.get("/v1/records").json()["records"])
    (found,) = client.post("/v1/forms/sums/records?keep=false", content=scan(seed=9)).json()["records"]
    assert (found["id"], found["batch"]) == (None, None)
    assert len(client.get("/v1/records").json()["records"]) == before


def test_a_correction_settles_the_checks(client: httpx.Client) -> None:
    save(client)
    (found,) = client.post("/v1/forms/sums/records", content=scan(total="52", seed=2)).json()["records"]
    address = f"/v1/records/{found['id']}/fields/sum"
    corrected = client.post(address, json={"text": "42"}, headers={"Idempotency-Key": "k1"}).json()
    assert (corrected["fields"]["sum"]["text"], corrected["fields"]["sum"]["by"]) == ("42", "person")
    assert {check["state"] for check in corrected["checks"]} == {"holds"}
    assert corrected["outcome"] == "read"
    assert corrected["fields"]["a"]["copied"] == {"who": "Ann"}
    taken_back = client.post(address, json={"text": None}).json()
    assert taken_back["outcome"] == "doubt"
    history = client.get(f"/v1/records/{found['id']}").json()
    assert [change["text"] for change in history["changes"]] == ["42", None]
    assert len(history["revisions"]) == 3


@pytest.mark.parametrize(
    ("field", "body", "status"),
    [("sum", {"text": "many"}, 422), ("sum", {}, 422), ("other", {"text": "1"}, 404), ("sum", {"text": "1\n"}, 422)],
)
def test_a_bad_correction_changes_nothing(
    client: httpx.Client, record: dict[str, Any], field: str, body: dict[str, str], status: int
) -> None:
    assert client.post(f"/v1/records/{record['id']}/fields/{field}", json=body).status_code == status
    assert client.get(f"/v1/records/{record['id']}").json()["changes"] == []


def test_a_changed_roster_is_applied_to_a_batch_without_a_new_scan(client: httpx.Client) -> None:
    save(client, ids="id,who\n99,Cid\n")
    (found,) = client.post("/v1/forms/sums/records?batch=roster", content=scan(seed=3)).json()["records"]
    assert found["outcome"] == "doubt"
    save(client)
    assert client.post("/v1/records/check?batch=roster").json() == {"records": 1, "changed": 1}
    after = client.get("/v1/records?batch=roster").json()["records"][0]
    assert (after["outcome"], after["fields"]["a"]["copied"]) == ("read", {"who": "Ann"})
    assert client.post("/v1/records/check?batch=roster").json()["changed"] == 0


def test_archives_and_pages_without_a_form(client: httpx.Client) -> None:
    save(client)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/1.png", scan(seed=4))
        archive.writestr("a/2.png", encoded(Image.new("L", (400, 600), 255)))
        archive.writestr("a/3.png", b"no picture")
        archive.writestr("a/readme.txt", b"text")
    answer = client.post(
        "/v1/forms/sums/records", params={"name": "pile.zip", "batch": "zip"}, content=packed.getvalue()
    )
    found = {record["source"].partition("!")[2]: record["outcome"] for record in answer.json()["records"]}
    assert found == {"a/1.png": "read", "a/2.png": "blank", "a/3.png": "unplaced"}
    (batch,) = [one for one in client.get("/v1/records/batches").json()["batches"] if one["name"] == "zip"]
    assert batch["outcomes"] == {"read": 1, "blank": 1, "unplaced": 1}
    assert batch["templates"] == ["sums"]


def packed_zip(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("bomb.zip", packed_zip(("a.bmp", b"BM" + bytes(40 << 20))), "larger than 32 MB"),
        ("lzma.zip", packed_zip(("a.bmp", b"BM" + bytes(99)), compression=zipfile.ZIP_LZMA), "deflate"),
        ("many.zip", packed_zip(*[(f"{number}.txt", b"") for number in range(20_001)]), "more than 20,000 members"),
        ("names.zip", packed_zip(*[(f"{number}{'x' * 60_000}.txt", b"") for number in range(80)]), "too large"),
        ("scans.tar.xz", b"\xfd7zXZ\0", "send its files in a .zip or .tar"),
    ],
)
def test_an_archive_that_costs_too_much_is_not_unpacked(
    client: httpx.Client, name: str, content: bytes, problem: str
) -> None:
    answer = client.post("/v1/forms/sums/records", params={"name": name, "keep": False}, content=content)
    assert answer.status_code == 200
    (record,) = answer.json()["records"]
    assert record["outcome"] == "unplaced"
    assert problem in answer.text


def test_each_page_finds_its_own_form(client: httpx.Client) -> None:
    (found,) = client.post("/v1/forms/auto/records", content=SHEET.read_bytes()).json()["records"]
    assert found["template"] == "score-sheet"


def test_records_are_streamed(client: httpx.Client) -> None:
    save(client)
    files = [("file", ("1.png", scan(seed=5))), ("file", ("2.png", scan(seed=6)))]
    with client.stream(
        "POST", "/v1/forms/sums/records", files=files, headers={"Accept": "application/jsonl"}
    ) as answer:
        records = [json.loads(line) for line in answer.iter_lines()]
    assert [record["source"] for record in records] == ["1.png", "2.png"]


def test_a_page_is_placed_by_hand(client: httpx.Client) -> None:
    save(client)
    page = Image.open(io.BytesIO(scan(seed=7)))
    width, height = page.size
    page = page.crop((int(0.21 * width), int(0.3 * height), width, height))  # without three markers and the code
    (found,) = client.post("/v1/forms/sums/records?batch=hand", content=encoded(page)).json()["records"]
    if found["outcome"] != "unplaced":
        pytest.skip("the page was placed without help")
    left, top = -0.21 * width, -0.3 * height
    corners = [[left, top], [page.width, top], [page.width, page.height], [left, page.height]]
    body = {"template": "sums", "corners": corners}
    placed = client.post(f"/v1/records/{found['id']}/place", json=body).json()
    assert (placed["template"], placed["pages"][0]["method"]) == ("sums", "corners")
    assert placed["fields"]["b"]["text"] == "30"
    flat = {"template": "sums", "corners": [[0, 0], [10, 0], [20, 0], [30, 0]]}
    assert client.post(f"/v1/records/{found['id']}/place", json=flat).status_code == 422


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("kind", ["xlsx", "csv", "jsonl", "parquet"])
def test_records_are_exported(client: httpx.Client, kind: str) -> None:
    answer = client.get("/v1/records/export", params={"batch": "monday", "format": kind, "crops": True})
    assert answer.status_code == 200
    if kind == "xlsx":
        book = load_workbook(io.BytesIO(answer.content))
        assert book.sheetnames == ["Records", "Fields", "Problems"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            pictures = [name for name in archive.namelist() if name.startswith("xl/media/")]
        assert len(pictures) == 3 * (book["Records"].max_row - 1)
    elif kind != "parquet":
        assert "30" in answer.text


def test_changed_fields_need_a_new_version(client: httpx.Client) -> None:
    save(client)
    wider = SUMS.replace("[40, 65, 61, 74]", "[40, 65, 68, 74]").replace("cells = 3, required", "cells = 4, required")
    refused = save(client, wider)
    assert refused.status_code == 409
    assert "send version = 2" in refused.json()["detail"]
    assert save(client, wider, raise_version=True).json()["version"] == 2
    assert save(client, SUMS.replace("page =", "version = 3\npage =")).json()["version"] == 3
    save(client, SUMS.replace("page =", "version = 4\npage ="))


@pytest.mark.parametrize(
    ("name", "files", "status"),
    [
        ("sums", [("x.toml", SUMS)], 422),
        ("sums", [("form.toml", "no toml [")], 422),
        ("other", [("form.toml", SUMS), ("ids.csv", IDS)], 422),
        ("No Name", [("form.toml", SUMS)], 422),
        ("fresh", [("form.toml", SUMS.replace('"sums"', '"fresh"'))], 422),  # without its list
        ("sums", [("form.toml", SUMS.replace("ids.csv", "/etc/passwd"))], 422),
        ("sums", [("form.toml", SUMS.replace("size =", 'blank = "../x.png", size ='))], 422),
        ("sums", [("form.toml", SUMS), ("../ids.csv", IDS), (".hidden", IDS)], 422),
        ("sums", [("form.toml", SUMS.replace("cells = 3,", 'pattern = "(\\\\d+)+x",', 1)), ("ids.csv", IDS)], 422),
        (
            "sums",
            [("form.toml", SUMS + MANY)],
            422,
        ),
        ("sums", [("form.toml", "a = " + "[" * 20_000)], 422),
        ("sums", [("form.toml", SUMS + "[[table]]\npatterns = 5\n"), ("ids.csv", IDS)], 422),
        ("sums", [("form.toml", SUMS), ("ids.csv", IDS), ("\U00020000" * 100 + ".csv", IDS)], 422),
        ("sums", [("form.toml", SUMS), ("ids.csv", "x" * (33 << 20))], 422),
    ],
)
def test_a_bad_template_is_not_saved(
    client: httpx.Client, name: str, files: list[tuple[str, str]], status: int
) -> None:
    before = client.get("/v1/forms").json()
    answer = client.put(f"/v1/forms/{name}", files=[("file", file) for file in files])
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert gettempdir() not in answer.text
    assert client.get("/v1/forms").json() == before


def test_a_missing_form_and_an_unknown_parameter_are_refused(client: httpx.Client) -> None:
    assert client.post("/v1/forms/nothing/records", content=scan()).status_code == 404
    assert client.post("/v1/forms/sums/records?kep=false", content=scan()).status_code == 422
    assert client.get("/v1/records/99999").status_code == 404
    assert client.post("/v1/records/check?batch=none").json() == {"records": 0, "changed": 0}


def test_records_are_deleted(client: httpx.Client) -> None:
    save(client)
    (found,) = client.post("/v1/forms/sums/records", content=scan(seed=8)).json()["records"]
    assert client.delete("/v1/records", params={"number": found["id"]}).json() == {"records": 1, "pictures": 1}
    assert client.get(f"/v1/records/{found['id']}").status_code == 404
