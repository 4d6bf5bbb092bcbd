"""Check digits by their published vectors, joint decoding against brute force, checks on records."""

from decimal import Decimal
from itertools import product

import numpy as np
import pytest

from handigit.forms.check_digits import SCHEMES, complete, passes
from handigit.forms.checks import Checker
from handigit.forms.errors import RosterError
from handigit.forms.joint import REST, RuleFactor, TextFactor, decode_jointly, distribution
from handigit.forms.lookup import load_lookup
from handigit.forms.record import Alone, CheckState, Field, FieldOutcome
from handigit.forms.rules import parse_rule
from handigit.forms.specs import Kind
from handigit.forms.template import Template
from handigit.forms.votes import Hypotheses


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("luhn", "79927398713"),  # Wikipedia's worked example
        ("luhn", "4111111111111111"),
        ("mod11", "0306406152"),  # ISBN-10 of the standard's example
        ("mod11", "080442957X"),
        ("mod97", "3214282912345698765432161182"),  # an IBAN (GB82 WEST ...) rearranged to digits
        ("iso7064-11-2", "0000000218250097"),  # ORCID's own example, 0000-0002-1825-0097
        ("iso7064-11-2", "079X"),  # ISO 7064, clause 9
        ("ean", "4006381333931"),
        ("ean", "73513537"),
        ("verhoeff", "2363"),
        ("damm", "5724"),
    ],
)
def test_published_numbers_are_valid_and_any_changed_digit_is_not(scheme, text):
    assert passes(scheme, text)
    for place, character in enumerate(text):
        if character != "X":
            changed = text[:place] + str((int(character) + 1) % 10) + text[place + 1 :]
            assert not passes(scheme, changed)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_completed_numbers_are_valid(scheme):
    assert passes(scheme, complete(scheme, "123401"))


@pytest.mark.parametrize("text", ["", "7", "12a4", "²3"])
def test_what_is_no_number_is_not_valid(text):
    assert not any(passes(scheme, text) for scheme in SCHEMES)


def rule_of(text, *names):
    (rule,) = parse_rule(text, names)
    return rule


def factor_of(rule, lists, **options):
    values = {name: {text: Decimal(text) for text, _ in found} for name, found in lists.items()}
    return RuleFactor(rule, values, **options)


LISTS = {
    "a": [("117", 0.6), ("111", 0.3)],
    "b": [("186", 0.7), ("166", 0.25)],
    "c": [("303", 0.4), ("308", 0.35), ("277", 0.2)],
}


def brute_force(rule, lists, factor):
    """The posterior of each text by summing over all combinations, `REST` included."""
    priors = {name: distribution(found) for name, found in lists.items()}
    fits, off, misses = factor.slip_weights()  # the model of slips is shared, the summation is not
    sums = {name: dict.fromkeys(prior, 0.0) for name, prior in priors.items()}
    for combination in product(*(prior.items() for prior in priors.values())):
        texts = [text for text, _ in combination]
        weight = factor.chance
        if REST not in texts:
            values = {name: Decimal(text) for name, text in zip(priors, texts, strict=True)}
            residual = rule.residual(values)
            weight = fits if rule.accepts(residual) else off + misses.get(int(residual), 0.0)
        for _, share in combination:
            weight *= share
        for name, text in zip(priors, texts, strict=True):
            sums[name][text] += weight
    return {name: {text: value / sum(found.values()) for text, value in found.items()} for name, found in sums.items()}


@pytest.mark.parametrize("text", ["a + b == c", "a + b <= c", "c - a == b"])
def test_posteriors_are_exact(text):
    rule = rule_of(text, "a", "b", "c")
    factor = factor_of(rule, LISTS)
    expected = brute_force(rule, LISTS, factor)
    found = decode_jointly({name: distribution(one) for name, one in LISTS.items()}, [factor])
    for name, shares in expected.items():
        assert found[name] == pytest.approx(shares, abs=1e-9)


def test_a_sum_decides_between_readings():
    found = decode_jointly({name: distribution(one) for name, one in LISTS.items()},
                           [factor_of(rule_of("a + b == c", "a", "b", "c"), LISTS)])  # fmt: skip
    assert all(
        max(found[name], key=found[name].get) == text for name, text in zip("abc", ("117", "186", "303"), strict=True)
    )
    assert min(max(shares.values()) for shares in found.values()) > 0.9


def test_a_long_column_is_decoded_like_a_short_one():
    rng = np.random.default_rng(0)
    names = [f"x.{i}" for i in range(25)]
    true = rng.integers(0, 90, 25)
    lists = {name: [(str(value), 0.6), (str((value + 7) % 90), 0.3)] for name, value in zip(names, true, strict=True)}
    lists["t"] = [(str(true.sum()), 0.9), (str(true.sum() + 1), 0.05)]
    (rule,) = parse_rule("sum(x.*) == t", [*names, "t"])
    found = decode_jointly({name: distribution(one) for name, one in lists.items()}, [factor_of(rule, lists)])
    assert max(found["t"], key=found["t"].get) == str(true.sum())


def test_products_are_decoded():
    lists = {"n": [("7", 0.5), ("1", 0.4)], "price": [("12", 0.9)], "sum": [("84", 0.6), ("34", 0.3)]}
    rule = rule_of("n * price == sum", "n", "price", "sum")
    found = decode_jointly({name: distribution(one) for name, one in lists.items()}, [factor_of(rule, lists)])
    assert found["n"]["7"] > 0.95
    assert found["sum"]["84"] > 0.95


def test_row_and_column_totals_decide_together():
    lists = {"a": [("4", 0.5), ("9", 0.45)], "b": [("3", 0.9)], "c": [("2", 0.9)], "row": [("7", 0.5), ("1", 0.4)],
             "column": [("6", 0.5), ("0", 0.4)]}  # fmt: skip
    rules = [rule_of("a + b == row", *lists), rule_of("a + c == column", *lists)]
    factors = [factor_of(rule, {name: lists[name] for name in rule.fields}) for rule in rules]
    found = decode_jointly({name: distribution(one) for name, one in lists.items()}, factors)
    assert {name: max(shares, key=shares.get) for name, shares in found.items()} == {
        "a": "4", "b": "3", "c": "2", "row": "7", "column": "6",
    }  # fmt: skip


def test_a_check_digit_decides():
    found = decode_jointly({"x": distribution([("12", 0.5), ("18", 0.4)])}, [TextFactor("x", frozenset({"18"}), 0.1)])
    assert found["x"]["18"] > 0.95


def test_a_wrong_sum_read_rightly_is_not_read_as_a_right_one():
    lists = {"a": [("117", 0.98)], "b": [("186", 0.97), ("176", 0.004)], "c": [("293", 0.98)]}  # 303 would be right
    found = decode_jointly({name: distribution(one) for name, one in lists.items()},
                           [factor_of(rule_of("a + b == c", "a", "b", "c"), lists)])  # fmt: skip
    assert found["b"]["176"] < 0.9


FORM = """\
format = "handigit-form/1"
name = "f"
page = [{ size = [200, 200] }]
field = [
  { name = "a", kind = "number", box = [10, 10, 30, 20] },
  { name = "b", kind = "number", box = [10, 30, 30, 40] },
  { name = "c", kind = "number", box = [10, 50, 30, 60] },
]
"""


def apply(checks, readings, *, folder=".", checker=None, source="s"):
    checker = checker or Checker(Template.parse(FORM + f"check = [{checks}]\n", folder=folder))
    fields, hypotheses = {}, {}
    for name, texts in readings.items():
        text, share = texts[0] if texts else ("", 0.0)
        outcome = FieldOutcome.READ if share > 0.95 else FieldOutcome.DOUBT if texts else FieldOutcome.BLANK
        value = Decimal(text) if text else None
        fields[name] = Field(name, Kind.NUMBER, outcome, text, text, value, share, alone=Alone(text, share, outcome))
        hypotheses[name] = Hypotheses(tuple(texts), text)
    return (*checker.apply(fields, hypotheses, threshold=0.95, source=source), checker)


def test_checks_turn_doubts_into_readings_and_keep_what_was_read_alone():
    fields, (check,), _ = apply('{ rule = "a + b == c" }', {"a": [("117", 0.8), ("111", 0.1)], "b": [("186", 0.99)],
                                                            "c": [("308", 0.5), ("303", 0.4)]})  # fmt: skip
    assert check.state is CheckState.HOLDS
    assert (fields["c"].text, fields["c"].by, fields["c"].outcome) == ("303", "checks", FieldOutcome.READ)
    assert fields["c"].alone.text == "308"


def test_a_sum_that_nothing_satisfies_fails_and_shows_its_arithmetic():
    fields, (check,), _ = apply('{ rule = "a + b == c", says = "must add up" }',
                                {"a": [("4", 0.99)], "b": [("3", 0.99)], "c": [("9", 0.99)]})  # fmt: skip
    assert check.state is CheckState.FAILS
    assert check.why == "4 + 3 - 9 = -2, which must be 0"
    assert {field.outcome for field in fields.values()} == {FieldOutcome.DOUBT}


def test_only_a_very_unlikely_reading_that_satisfies_a_check_is_not_believed():
    _, (check,), _ = apply('{ digits = "luhn", field = "a" }', {"a": [("17", 0.998), ("18", 0.0004)]})
    assert check.state is CheckState.FAILS


def test_a_blank_field_leaves_a_check_unchecked():
    _, (check,), _ = apply('{ rule = "a + b == c" }', {"a": [("4", 0.99)], "b": [], "c": [("4", 0.99)]})
    assert check.state is CheckState.NOT_CHECKED


def test_a_list_decides_copies_its_columns_and_names_the_nearest(tmp_path):
    (tmp_path / "pupils.csv").write_text("id,name\n1234,Ada\n5678,Bo\n")
    check = '{ list = "pupils.csv", column = "id", field = "a", copy = ["name"] }'
    fields, _, checker = apply(check, {"a": [("1284", 0.6), ("1234", 0.3)]}, folder=tmp_path)
    assert (fields["a"].text, fields["a"].copied) == ("1234", {"name": "Ada"})
    fields, (failed,), _ = apply(check, {"a": [("5679", 0.99)]}, checker=checker)
    assert "near it are 5678" in failed.why
    assert fields["a"].outcome is FieldOutcome.DOUBT


@pytest.mark.parametrize(
    ("content", "message"),
    [("id,name\n1,A\n1,B\n", "occurs twice"), ("name\nA\n", "no column 'id'"), ("", "no column 'id'")],
)
def test_lists_that_are_refused(tmp_path, content, message):
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(RosterError, match=message):
        load_lookup(tmp_path / "l.csv", "id")


def test_a_value_that_must_be_unique_fails_the_second_time():
    _, (first,), checker = apply('{ unique = "a" }', {"a": [("7", 0.99)]}, source="one")
    _, (second,), _ = apply("", {"a": [("7", 0.99)]}, checker=checker, source="two")
    assert (first.state, second.state, second.why) == (CheckState.HOLDS, CheckState.FAILS, "7 is also in one")


def test_error_among_read_stays_in_bounds_where_two_percent_add_wrongly():
    """Readings drawn from known probabilities; of the fields that checks let through 1 % may be wrong."""
    rng = np.random.default_rng(5)
    read = wrong = 0
    for _ in range(600):
        a, b = rng.integers(1, 500, 2).tolist()
        c = a + b if rng.random() >= 0.02 else max(a + b + int(rng.choice([-10, 10, 1, -1, 100, 3])), 0)
        lists = {name: _noisy(value, rng) for name, value in zip("abc", (a, b, c), strict=True)}
        fields, _, _ = apply('{ rule = "a + b == c" }', lists)
        for name, value in zip("abc", (a, b, c), strict=True):
            if fields[name].outcome is FieldOutcome.READ:
                read += 1
                wrong += fields[name].text != str(value)
    assert read > 1200
    assert wrong / read < 0.015


def _noisy(value, rng):
    """What a calibrated reader would list: the truth with probability p is given p."""
    text = str(value)
    place = int(rng.integers(len(text)))
    other = text[:place] + str((int(text[place]) + int(rng.integers(1, 10))) % 10) + text[place + 1 :]
    sure = float(rng.choice([0.995, 0.98, 0.9, 0.7]))
    left = 1 - sure
    if rng.random() < sure:
        return [(text, sure), (other, 0.7 * left)]
    return [(other, sure), (text, 0.7 * left)]
