"""`handigit doctor`: its report on a good and on a bad installation."""

import json
from importlib import import_module

import pytest

from handigit.cli import run
from handigit.cli.doctor import run_checks


def report(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    status = run(["doctor", "--format", "json"])
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] == (status == 0)
    return status, {check["name"]: check for check in content["checks"]}


def test_a_good_installation_reads_its_own_samples(capsys) -> None:
    status, checks = report(capsys)
    assert status == 0
    assert checks["read a digit"]["state"] != "problem"
    assert checks["read a number"]["state"] != "problem"
    digests = [check["text"] for name, check in checks.items() if name.startswith("model ")]
    assert all(len(text.removeprefix("sha256 ")) == 64 for text in digests)
    assert {name for name in checks if name.startswith("extra ")} >= {"extra train", "extra app", "extra batch"}


def test_a_missing_model_is_a_problem_with_a_reason(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HANDIGIT_MODEL_DIR", str(tmp_path))
    status, checks = report(capsys)
    assert status == 1
    assert checks["models"]["state"] == "problem"
    assert "no model there" in checks["models"]["text"]


def test_bad_and_unknown_settings_are_named(monkeypatch) -> None:
    monkeypatch.setenv("HANDIGIT_PROT", "8000")
    assert {check.name: check.state for check in run_checks()}["HANDIGIT_PROT"] == "warning"
    monkeypatch.setenv("HANDIGIT_THREADS", "none")
    checks = {check.name: check for check in run_checks()}
    assert checks["settings"].state == "problem"
    assert "HANDIGIT" in checks["settings"].text or "threads" in checks["settings"].text


def test_people_get_words_and_advice(capsys, monkeypatch) -> None:
    module = import_module("handigit.cli.doctor")  # the package has a function of that name
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert 'pip install "handigit[app]" if you need it' in text
    assert "Everything needed to read works." in text
