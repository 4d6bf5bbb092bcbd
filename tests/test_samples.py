"""The pictures under samples/ are documentation, fixture and snapshot: each is read as its folder says."""

import json
from pathlib import Path

import pytest

from handigit import Reader
from handigit.read.files import SUFFIXES
from handigit.records import Digit

SAMPLES = Path(__file__).parents[1] / "samples"
EXPECTED = [
    (folder.parent, name, answer)
    for folder in sorted(SAMPLES.glob("*/expected.json"))
    for name, answer in json.loads(folder.read_text(encoding="utf-8")).items()
]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def matches(digit: Digit, expected: dict[str, object]) -> bool:
    outcomes = expected["outcome"] if isinstance(expected["outcome"], list) else [expected["outcome"]]
    right_text = expected.get("text") in (None, "", "" if digit.value is None else str(digit.value))
    return digit.outcome.value in outcomes and right_text


def texts_match(texts: list[str], outcomes: list[str], expected: dict[str, object]) -> bool:
    """Numbers in reading order; where no text is expected, none may be `read`."""
    wanted = expected["texts"]
    return (texts == wanted if wanted else True) and set(outcomes) <= set(expected["outcome"])


@pytest.mark.parametrize(("folder", "name", "expected"), EXPECTED, ids=[f"{f.name}/{n}" for f, n, _ in EXPECTED])
def test_sample_is_read_as_its_folder_says(
    reader: Reader, folder: Path, name: str, expected: dict[str, object]
) -> None:
    if folder.name in ("numbers", "pages"):
        numbers = reader.page(folder / name) if folder.name == "pages" else [reader.number(folder / name)]
        texts, outcomes = [n.text for n in numbers], [n.outcome.value for n in numbers]
        assert texts_match(texts, outcomes, expected), f"{texts} {outcomes}, expected {expected}"
        return
    digit = reader.digit(folder / name)
    assert matches(digit, expected), f"{digit.outcome} {digit.value} at {digit.confidence:.3f}, expected {expected}"


def test_samples_and_expectations_match() -> None:
    pictures = {path.relative_to(SAMPLES) for path in SAMPLES.rglob("*") if path.suffix in SUFFIXES}
    pictures = {path for path in pictures if path.parts[0] != "forms"}  # these have templates and expected records
    assert pictures == {(folder / name).relative_to(SAMPLES) for folder, name, _ in EXPECTED}
    assert len(pictures) >= 12


def test_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 3_000_000
