"""CTC decoding: probabilities, constraints, alignment."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import PatternError
from handigit.read.ctc import align, decode
from handigit.read.patterns import parse_alphabet, parse_pattern

ALPHABET = "0123456789.,-/=$x?"


def frames(path: str, *, sure: float = 0.98) -> np.ndarray:
    """Frames along a path, "_" for the blank, each this sure."""
    shares = np.full((len(path), len(ALPHABET) + 1), (1 - sure) / len(ALPHABET))
    for row, character in zip(shares, path, strict=True):
        row[0 if character == "_" else 1 + ALPHABET.index(character)] = sure
    return shares


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(now for before, now in zip((0, *path), path, strict=False) if now and now != before)


@pytest.mark.parametrize(
    ("path", "text"),
    [("__1_11__2_", "112"), ("77__7", "77"), ("5", "5"), ("____", ""), ("1_.5", "1.5"), ("0_0_0", "000")],
)
def test_most_probable_path_is_decoded(path, text) -> None:
    assert decode(frames(path), ALPHABET)[0].raw == text


def test_blanks_separate_equal_digits() -> None:
    assert decode(frames("1_1", sure=0.999999), ALPHABET)[0].text == "11"


@given(st.integers(0, 2**32 - 1))
def test_wide_beam_sums_the_probabilities_of_all_paths(seed) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handigit.read.ctc.BEAM_WIDTH", 1000)
        patch.setattr("handigit.read.ctc.PRUNE_BELOW", 0.0)
        check_probabilities(seed)


def check_probabilities(seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(3), 4)
    by_text: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=4):
        text = collapsed(path)
        by_text[text] = by_text.get(text, 0.0) + float(np.prod([shares[t, c] for t, c in enumerate(path)]))
    for found in decode(shares, "01"):
        true = by_text[tuple(1 + int(character) for character in found.raw)]
        assert found.probability == pytest.approx(true)


def test_text_has_no_separators() -> None:
    best = decode(frames("1_5_._7_2_8"), ALPHABET)[0]
    assert (best.raw, best.text, best.is_number) == ("15.728", "15728", True)


@pytest.mark.parametrize("path", ["?", "1_?_2", "-_-", "x", "____"])
def test_texts_with_unknowns_or_without_digits_are_not_numbers(path) -> None:
    assert not decode(frames(path), ALPHABET)[0].is_number


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"\d{5}", "12345"), ("99999", "12345"), ("YYYY", "2026"), ("DD.MM.YYYY", "01022026"), (r"[12]\d{3}", "1999")],
)
def test_patterns_allow_matching_digits(pattern, text) -> None:
    asked = parse_pattern(pattern)
    assert asked.allows(text)
    assert asked.may_begin(text[:2])
    assert not asked.may_begin(text + "0")
    assert not asked.allows(text[:-1])


@pytest.mark.parametrize(
    ("pattern", "raw"),
    [(r"\d+\.\d{2}", "3.50"), (r"\d{2}-\d{2}-\d{4}", "01-02-2026"), (r"\d{1,3},\d\d", "$12,50="), (r"\d+/\d+", "7/10")],
)
def test_patterns_may_describe_the_number_as_written(pattern, raw) -> None:
    asked = parse_pattern(pattern)
    assert asked.allows(raw)
    assert all(asked.may_begin(raw[:stop]) for stop in range(len(raw)))
    assert not asked.allows(raw.replace("0", ".").replace("1", "-"))


@pytest.mark.parametrize("pattern", [r"\D+", "", r"[a-z]+", r"\d{50}", r"(\d)(?!\1)\1", r"１２"])
def test_pattern_that_no_number_matches_is_an_error(pattern) -> None:
    with pytest.raises(PatternError, match="matches no number"):
        parse_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"\d{40}", r"(?!0+$)\d{12}", r"[1-9]\d*(?<=5)", r"(\d)\1\1"])
def test_unusual_patterns_are_accepted(pattern) -> None:
    assert parse_pattern(pattern).may_begin("")


@pytest.mark.parametrize(("alphabet", "allowed"), [("0-9", "0123456789"), ("0-4", "01234"), ("0123456789-", "12-3")])
def test_alphabets_may_have_ranges(alphabet, allowed) -> None:
    asked = parse_alphabet(alphabet, ALPHABET)
    assert asked.allows(allowed)
    assert asked.allows("1?")  # what is not part of a number may always occur
    assert not asked.allows("1.5")


def test_error_names_an_invalid_pattern() -> None:
    with pytest.raises(PatternError, match="is not a regular expression"):
        parse_pattern(r"(\d")


def test_constraint_finds_the_best_allowed_text() -> None:
    shares = frames("1_2_3", sure=0.9)
    shares[2, 0] = 0.06  # perhaps there was nothing
    best = decode(shares, ALPHABET, constraint=parse_pattern(r"\d{2}"))
    assert best
    assert all(len(one.text) == 2 for one in best)
    free = {one.raw: one.probability for one in decode(shares, ALPHABET)}
    assert best[0].probability == pytest.approx(free[best[0].raw], rel=0.05)  # not scaled up to 1


def test_unsatisfiable_constraint_gives_no_text() -> None:
    assert decode(frames("1"), ALPHABET, constraint=parse_pattern(r"\d{5}")) == []


def test_alignment_gives_each_character_its_frames() -> None:
    path = "__1_11__22_"
    spans = align(frames(path), [1 + int(digit) for digit in "112"])
    assert spans.tolist() == [[2, 3], [4, 6], [8, 10]]


@given(st.text("123", min_size=1, max_size=6))
def test_alignment_keeps_the_order(text) -> None:
    path = "".join(f"{digit}_" for digit in text)
    spans = align(frames(path), [1 + int(digit) for digit in text])
    assert spans[:, 0].tolist() == list(range(0, 2 * len(text), 2))


def test_skipping_blank_frames_moves_no_character() -> None:
    path = "_____11___1____2_____"
    spans = align(frames(path, sure=0.999999), [1 + int(digit) for digit in "112"])
    assert spans.tolist() == [[5, 7], [10, 11], [15, 16]]
