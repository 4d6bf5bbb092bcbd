"""Checks applied again to records that were read before, and what people decided in them."""

import json
from decimal import Decimal

import numpy as np
import pytest

from handigit.forms import FormError, FormReader, Rechecker, Record, RecordOutcome, Template
from handigit.forms.page_state import PageState
from handigit.forms.record import Alone, CheckState, Field, FieldOutcome, Page
from handigit.forms.specs import Kind

SUM = """\
format = "handigit-form/1"
name = "sums"
page = [{ size = [100, 100], units = "mm" }]
field = [
  { name = "a", kind = "number", box = [10, 10, 30, 20], cells = 2 },
  { name = "b", kind = "number", box = [10, 30, 30, 40], cells = 2 },
  { name = "sum", kind = "number", box = [10, 50, 30, 60], cells = 2, required = true },
  { name = "weight", kind = "decimal", box = [50, 50, 80, 60], cells = 3, places = 1 },
  { name = "done", kind = "mark", box = [50, 10, 55, 15] },
]
check = [{ rule = "a + b == sum", says = "a and b must make the sum" }]
"""
TEMPLATE = Template.parse(SUM)


def read(name, *texts, kind=Kind.NUMBER, outcome=FieldOutcome.DOUBT):
    """A field as read alone, the likeliest text first."""
    text, share = texts[0]
    return Field(name, kind, outcome, raw=text, text=text, value=Decimal(text), confidence=share,
                 alone=Alone(text, share, outcome, text, "", texts))  # fmt: skip


def record_of(template=TEMPLATE, source="a.png", **fields):
    return Record(RecordOutcome.DOUBT, template=template.name, version=template.version, fields=fields,
                  pages=(Page(source, 0, PageState.PLACED),), source=source,
                  provenance={"threshold": "0.97"})  # fmt: skip


def unsure():
    return record_of(
        a=read("a", ("12", 0.95), ("17", 0.04)),
        b=read("b", ("13", 0.98)),
        sum=read("sum", ("30", 0.6), ("25", 0.35)),
        weight=read("weight", ("368", 0.99), kind=Kind.DECIMAL, outcome=FieldOutcome.READ),
    )


def test_a_record_survives_json():
    record = unsure()
    again = Record.from_json(json.loads(record.json_line()))
    assert again.to_json() == record.to_json()
    assert again["weight"].value == record["weight"].value
    assert again["a"].alone.texts == (("12", 0.95), ("17", 0.04))


@pytest.mark.parametrize("content", [{}, {"outcome": "what"}, {"outcome": "read", "template": 1}])
def test_what_is_no_record_is_refused(content):
    with pytest.raises(FormError, match="not a record"):
        Record.from_json(content)


def test_a_rule_that_was_added_later_decides_an_old_reading():
    bare = Template.parse(SUM.replace('check = [{ rule = "a + b == sum", says = "a and b must make the sum" }]', ""))
    before = Rechecker(bare).recheck(unsure())
    assert before["sum"].text == "30"
    after = Rechecker(TEMPLATE).recheck(before)
    assert (after["sum"].text, after["sum"].by) in {("25", "checks"), ("30", "reader")}
    assert after["a"].alone.text == "12"
    assert after.provenance["template"] == TEMPLATE.digest


def test_checking_twice_changes_nothing_more():
    once = Rechecker(TEMPLATE).recheck(unsure())
    assert Rechecker(TEMPLATE).recheck(once).to_json() == once.to_json()


def test_what_a_person_decided_stays_and_decides_the_rest():
    found = Rechecker(TEMPLATE).recheck(unsure(), corrected={"sum": "25"})
    assert (found["sum"].by, found["sum"].confidence) == ("person", 1.0)
    assert found["a"].text == "12"
    assert [check.state for check in found.checks] == [CheckState.HOLDS]
    assert Rechecker(TEMPLATE).recheck(found)["sum"].by == "person"


def test_a_wrong_sum_that_a_person_confirms_still_fails():
    found = Rechecker(TEMPLATE).recheck(unsure(), corrected={"a": "12", "b": "13", "sum": "99"})
    assert found.checks[0].state is CheckState.FAILS
    assert found.outcome is RecordOutcome.DOUBT
    assert {field.by for name, field in found.fields.items() if name != "weight"} == {"person"}
    assert found["sum"].outcome is FieldOutcome.READ


@pytest.mark.parametrize(
    ("name", "typed", "text", "value"),
    [("weight", "36,8", "368", Decimal("36.8")), ("weight", "40", "400", Decimal(40)), ("a", "", "", None),
     ("done", "yes", "yes", True)],
)  # fmt: skip
def test_people_type_values(name, typed, text, value):
    record = record_of(**{**unsure().fields, "done": Field("done", Kind.MARK, FieldOutcome.DOUBT)})
    field = Rechecker(TEMPLATE).recheck(record, corrected={name: typed})[name]
    assert (field.text, field.value) == (text, value)


def test_a_check_digit_ten_in_a_sum_is_not_calculated_with():
    found = Rechecker(TEMPLATE).recheck(unsure(), corrected={"a": "1X"})
    assert found.checks[0].state is CheckState.FAILS
    assert "a is 1X" in found.checks[0].why


@pytest.mark.parametrize(("name", "typed"), [("weight", "heavy"), ("done", "perhaps"), ("a", "many"), ("a", "1a2")])
def test_what_a_field_cannot_hold_is_refused(name, typed):
    record = record_of(**{**unsure().fields, "done": Field("done", Kind.MARK, FieldOutcome.DOUBT)})
    with pytest.raises(ValueError, match=name):
        Rechecker(TEMPLATE).recheck(record, corrected={name: typed})


def test_a_roster_that_was_mended_is_applied_without_a_new_scan(tmp_path):
    text = SUM.replace("check = [", 'check = [{ list = "ids.csv", column = "id", field = "b", copy = ["who"] }, ')
    (tmp_path / "ids.csv").write_text("id,who\n77,Ann\n", encoding="utf-8")
    form = Template.parse(text, folder=tmp_path)
    first = Rechecker(form).recheck(unsure())
    assert any(check.state is CheckState.FAILS for check in first.checks)
    (tmp_path / "ids.csv").write_text("id,who\n13,Bea\n", encoding="utf-8")
    second = Rechecker(form).recheck(first)
    assert second["b"].copied == {"who": "Bea"}
    assert second["b"].outcome is FieldOutcome.READ


def test_values_must_be_unique_within_the_records_of_a_pile():
    form = Template.parse(SUM.replace("check = [", 'check = [{ unique = "b" }, '))
    checker = Rechecker(form)
    first, second = checker.records([unsure(), record_of(form, "b.png", **unsure().fields)])
    assert first.checks[0].state is CheckState.HOLDS
    assert "also in a.png, page 1" in second.checks[0].why
    alone = Rechecker(form)
    alone.note([first])
    assert alone.recheck(record_of(form, "b.png", **unsure().fields)).checks[0].state is CheckState.FAILS


def test_a_record_of_another_template_or_version_is_named():
    other = Template.parse(SUM.replace('name = "sums"', 'name = "other"'))
    with pytest.raises(FormError, match="a record of 'sums'"):
        Rechecker(other).recheck(unsure())
    newer = Template.parse(SUM.replace("page =", "version = 2\npage ="))
    with pytest.raises(FormError, match="version 1 of 'sums'"):
        Rechecker(newer).recheck(unsure())


def test_a_page_without_a_form_stays_as_it_is():
    page = Record(RecordOutcome.UNPLACED, source="x.png")
    assert Rechecker(TEMPLATE).recheck(page) is page


def test_a_scan_read_checked_and_checked_again_is_the_same():
    from handigit.forms.drawn import View, fill, see

    rng = np.random.default_rng(3)
    scan = see(fill(Template.load("tally-sheet"), rng, dpi=150), View(dpi=120, noise=2), rng)
    record = FormReader("tally-sheet").read(scan.pixels, source="scan.png")
    again = Rechecker("tally-sheet").recheck(Record.from_json(record.to_json()))
    texts = {name: (field.text, field.outcome) for name, field in record.fields.items()}
    assert {name: (field.text, field.outcome) for name, field in again.fields.items()} == texts
    assert [check.state for check in again.checks] == [check.state for check in record.checks]
    assert again.outcome is record.outcome
