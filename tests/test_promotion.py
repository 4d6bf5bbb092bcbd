"""Promotion: a new model goes live only if it does not do worse on a frozen set."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import DataError
from handigit.evaluate.promotion import PromotionRefused, compare, install, mcnemar, require_no_loss


def right(pattern: str) -> np.ndarray:
    return np.array([character == "+" for character in pattern], dtype=bool)


@pytest.mark.parametrize(
    ("lost", "gained", "chance"), [(0, 0, 1), (0, 9, 1), (1, 0, 0.5), (5, 0, 1 / 32), (3, 1, 5 / 16)]
)
def test_the_paired_test_is_exact(lost: int, gained: int, chance: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(chance)


@given(st.integers(0, 30), st.integers(0, 30))
def test_a_net_loss_has_a_probability_of_at_most_one_half(lost: int, gained: int) -> None:
    assert (mcnemar(lost, gained) <= 0.5) == (lost > gained)


@pytest.mark.slow
def test_the_paired_test_agrees_with_a_full_enumeration() -> None:
    for lost, gained in itertools.product(range(6), repeat=2):
        tosses = list(itertools.product((0, 1), repeat=lost + gained))
        assert mcnemar(lost, gained) == pytest.approx(sum(sum(t) >= lost for t in tosses) / len(tosses))


def test_a_model_that_loses_is_refused_with_figures(tmp_path: Path) -> None:
    answers = {"live": right("++++-"), "better": right("+++++"), "worse": right("+++--"), "equal": right("-++++")}

    def right_of(model: Path) -> np.ndarray:
        return answers[model.name]

    live = tmp_path / "live"
    assert require_no_loss(live, tmp_path / "better", right_of).gained == 1
    assert require_no_loss(live, tmp_path / "equal", right_of).chance == 0.75
    with pytest.raises(
        PromotionRefused, match=r"of 5 examples .* 2 wrong, the live one 1; it loses 1 .* gains 0.* 0\.5"
    ):
        require_no_loss(live, tmp_path / "worse", right_of)
    assert require_no_loss(live, tmp_path / "worse", right_of, significance=0.05).lost == 1
    with pytest.raises(DataError, match="empty"):
        compare(right(""), right(""))


def test_the_previous_model_stays_beside_the_promoted_one(tmp_path: Path) -> None:
    live = tmp_path / "models" / "digit.onnx"
    for content in (b"one", b"two"):
        (tmp_path / "new").write_bytes(content)
        previous = install(tmp_path / "new", live, facts={"new": content.decode()})
    assert previous is not None
    assert (live.read_bytes(), previous.read_bytes(), previous.name) == (b"two", b"one", "digit.previous.onnx")
    lines = (live.parent / "promotions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["new"] for line in lines] == ["one", "two"]
    assert install(previous, live, facts={}) == previous  # and back
    assert live.read_bytes() == b"one"
