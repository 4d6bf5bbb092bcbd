"""The public names, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import handigit
from handigit import errors
from handigit.records import Box, Digit, Outcome
from handigit.settings import Settings

HEAVY = {"torch", "ray", "fastapi", "sqlalchemy", "matplotlib", "optuna", "onnx", "httpx"}


def imported_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after `code`."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in output.split()}


def test_public_names_are_those_of_their_modules() -> None:
    for name in handigit.__all__:
        assert getattr(handigit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Raeder'"):
        _ = handigit.Raeder


def test_every_error_is_public_and_in_the_docstring_tree() -> None:
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    for name in raised:
        assert getattr(handigit, name) is getattr(errors, name)
        assert name in str(errors.__doc__)


@pytest.mark.parametrize("code", ["import handigit.cli", "import handigit.read, handigit.images", "import handigit"])
def test_import_loads_no_heavy_package(code: str) -> None:
    assert not imported_by(code) & HEAVY


def test_importing_the_package_loads_no_submodule() -> None:
    assert not imported_by("import handigit") & {"numpy", "cv2", "onnxruntime", "PIL", "pydantic"}


def test_digit_as_number() -> None:
    digit = Digit(
        outcome=Outcome.READ,
        value=7,
        confidence=0.9,
        probabilities=(0.0, 0.08, 0.02, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0),
        box=Box(1, 2, 3, 5),
    )
    answer = digit.as_number(page=2).as_dict(source="a.png", model="m")
    assert answer == {
        "source": "a.png",
        "page": 2,
        "outcome": "read",
        "raw": "7",
        "text": "7",
        "value": 7,
        "confidence": 0.9,
        "box": [1, 2, 3, 5],
        "digits": [{"value": 7, "confidence": 0.9, "box": [1, 2, 3, 5]}],
        "alternatives": [["1", 0.08], ["2", 0.02]],
        "model": "m",
    }


def test_blank_has_no_text_and_no_digits() -> None:
    blank = Digit(outcome=Outcome.BLANK, value=None, confidence=1.0, probabilities=(0.1,) * 10, box=None)
    answer = blank.as_number().as_dict(source="a.png", model="m")
    assert (answer["text"], answer["digits"], answer["alternatives"], answer["box"]) == ("", [], [], None)


def test_settings_come_from_the_environment(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDIGIT_DATA", str(tmp_path))
    monkeypatch.setenv("HANDIGIT_MAX_GREY_MPX", "12.5")
    settings = Settings()
    assert (settings.data, settings.max_grey_mpx) == (tmp_path, 12.5)


def test_error_names_an_invalid_setting(monkeypatch) -> None:
    monkeypatch.setenv("HANDIGIT_THREADS", "0")
    with pytest.raises(ValidationError, match="threads"):
        Settings()
