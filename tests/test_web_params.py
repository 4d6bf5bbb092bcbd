"""Parameters of the read routes: patterns, alphabets, error rates, base64 JSON, and what is refused."""

import base64
import json
import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from handigit.errors import PatternError
from handigit.records import Expected
from handigit.web import create_app
from handigit.web.pattern_check import check_pattern
from serving import HOST, NumberReader, picture, settings


class Noting(NumberReader):
    """Notes what is expected of the numbers that it reads, and its error rate."""

    seen: ClassVar[list[tuple[Expected, float]]] = []

    def numbers_on(self, crops, **expected):
        """Note and read."""
        self.seen.append((Expected(**expected), self.target_error))
        return super().numbers_on(crops, **expected)


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[TestClient]:
    """A server that stores nothing."""
    app = create_app(settings(tmp_path_factory.mktemp("params"), max_files=3), make_reader=Noting)
    with TestClient(app, base_url=HOST) as opened:
        while opened.get("/readyz").status_code != 200:
            pass
        yield opened


def test_pattern_alphabet_and_error_rate_reach_the_reader(client) -> None:
    query = {"pattern": r"\d{2}", "alphabet": "0-9,", "target_error": "0.002"}
    answer = client.post("/v1/number", content=picture(), params=query)
    assert answer.status_code == 200
    assert Noting.seen[-1] == (Expected(r"\d{2}", "0-9,"), 0.002)
    client.post("/v1/number", content=picture())
    assert Noting.seen[-1][1] == 0.01  # the next request has the usual rate


def test_every_answer_has_raw_text_and_value(client) -> None:
    (reading,) = client.post("/v1/number", content=picture()).json()["readings"]
    assert (reading["raw"], reading["text"], reading["value"]) == ("7", "7", 7)
    line = client.post("/v1/number", content=picture(), headers={"accept": "application/jsonl"}).json()
    assert {"raw", "text", "value"} <= line.keys()


def test_read_decides_what_a_picture_holds(client) -> None:
    answer = client.post("/v1/read", content=picture(), params={"pattern": "9"})
    assert [reading["text"] for reading in answer.json()["readings"]] == ["7"]


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/v1/digit", "pattern=99", "pattern"),
        ("/v1/page", "alphabet=0-9", "alphabet"),
        ("/v1/number", "patern=99", "patern"),
        ("/v1/number", "target_error=1.5", "target_error"),
        ("/v1/number", "within=soon", "within"),
        ("/v1/number", "keep=perhaps", "keep"),
        ("/v1/number", "alphabet=", "alphabet"),
        ("/v1/number", "pattern=" + "9" * 101, "pattern"),
        ("/v1/number", "pattern=" + quote(r"(?R)?\d"), "(?R"),
    ],
)
def test_a_wrong_parameter_is_a_422_that_names_it(client, path, query, named) -> None:
    answer = client.post(f"{path}?{query}", content=picture())
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{5}",
        r"[12]\d{3}",
        "YYYY",
        "DD.MM.YYYY",
        "99999",
        r"\d{1,3}(,\d{3})*",
        r"\d+\.\d{2}",
        r"-?\d+",
        r"(?:19|20)\d\d",
        r"[^0]\d{2}",
        r"\d{1,3}|A",
        r"^\d{2,}$",
        "[]0-9]",
        "",
    ],
)
def test_usual_patterns_are_accepted(pattern) -> None:
    check_pattern(pattern)
    re.compile(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?R)?\d", "(?R"),
        (r"(\d|(?R))*", "(?R"),
        (r"((?1)?\d)+", "(?1"),
        (r"(\d+)+", "varies"),
        (r"(\d*)*", "varies"),
        (r"(\d|\d\d)*", "alternatives"),
        (r"\d*\d*\d*\d*\d*", "more than 4"),
        (r"\d{65}", "within 0 to 64"),
        (r"\d{3,2}", "within 0 to 64"),
        (r"\d{1,9999}", "count"),
        (r"\d++", "repeats a repetition"),
        (r"\d+?", "repeats a repetition"),
        (r"(?=\d)\d", "(?="),
        (r"(?i)\d", "(?i"),
        (r"(\d)\1", r"\1"),
        (r"\p{Nd}", r"\p"),
        ("((((((9))))))", "nests"),
        ("(9", "without )"),
        ("9)", "without ("),
        ("[9", "without ]"),
        ("[[9]]", "inside a class"),
        ("9\\", "uses"),
        ("+", "where a character"),
        ("9" * 101, "101 characters"),
    ],
)
def test_patterns_without_a_time_bound_are_refused(pattern, message) -> None:
    with pytest.raises(PatternError, match=re.escape(message)):
        check_pattern(pattern)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_pictures_come_as_base64_in_json(client) -> None:
    single = client.post("/v1/digit", json={"image": encoded(picture(1))}, params={"name": "one.png"}).json()
    assert [(reading["source"], reading["text"]) for reading in single["readings"]] == [("one.png", "1")]
    several = {"images": [f"data:image/png;base64,{encoded(picture(7))}", {"name": "b", "data": encoded(picture(1))}]}
    readings = client.post("/v1/digit", json=several).json()["readings"]
    assert [(reading["source"], reading["text"]) for reading in readings] == [("upload", "7"), ("b", "1")]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 422, "JSON"),
        ("{}", 422, "image"),
        ('{"image": "AAAA", "images": ["AAAA"]}', 422, "image"),
        ('{"picture": "AAAA"}', 422, "picture"),
        ('{"image": "*"}', 400, "not base64"),
        ('{"image": ""}', 400, "empty"),
        (json.dumps({"images": ["AAAA"] * 4}), 400, "3 are allowed"),
        (json.dumps({"image": "A" * 1_500_000}), 413, "1,500,000 are allowed"),
    ],
)
def test_json_that_holds_no_picture_is_refused(client, body, status, message) -> None:
    answer = client.post("/v1/digit", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert message in answer.json()["detail"]
