"""Forms read from drawn scans: records, states of pages, groups of pages, marks, files."""

import json
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from handigit import Outcome
from handigit.forms import FormReader, RecordOutcome, Template
from handigit.forms.align import Aligner
from handigit.forms.cells import cell_of, together
from handigit.forms.columns import doubt_among_marks
from handigit.forms.drawn import View, fill, save_samples, see
from handigit.forms.drawn_values import break_sum, draw_values
from handigit.forms.held_pages import HeldPages
from handigit.forms.marks import read_choice, read_mark, read_present
from handigit.forms.number_reader import Reading
from handigit.forms.page_state import PageState
from handigit.forms.record import Alone, CheckState, Field, FieldOutcome
from handigit.forms.specs import Area, FieldSpec, Kind, RuleCheck
from handigit.forms.votes import vote
from handigit.forms.writing import cut_writing, find_small_writing

TALLY = Template.load("tally-sheet")


def scribbles():
    page = np.full((600, 500), 250, np.uint8)
    points = np.random.default_rng(0).integers(20, 480, (60, 2)).astype(np.int32)
    cv2.polylines(page, [points], False, 30, 3)
    return page


SCAN = View(dpi=130, rotation=0.5, noise=2)
VALUES = {"station": "1753581", "date": "30032026", "votes_a": "69", "votes_b": "8", "votes_c": "3", "valid": "80",
          "invalid": "32", "cast": "112", "recounted": "yes", "chair": "yes", "witness": ""}  # fmt: skip


@pytest.fixture(scope="module")
def reader():
    return FormReader([TALLY, "parcel-label"])


def scan_of(template=TALLY, values=VALUES, seed=7, view=SCAN, **options):
    rng = np.random.default_rng(seed)
    return see(fill(template, rng, values=values, dpi=150, **options), view, rng).pixels


@pytest.fixture(scope="module")
def record(reader):
    return reader.read(scan_of())


def test_a_filled_form_is_read(record):
    assert (record.outcome, record.template, record.version, record.copy) == (RecordOutcome.READ, "tally-sheet", 1, "1")
    texts = {name: field.text for name, field in record.fields.items()}
    assert texts == VALUES | {"witness": "no"}
    assert record["witness"].outcome is FieldOutcome.BLANK
    assert record["date"].value.isoformat() == "2026-03-30"
    assert record["cast"].value == 112
    assert {check.state for check in record.checks} == {CheckState.HOLDS}


def test_a_field_says_where_it_is_and_how_it_was_read(record):
    field = record["votes_a"]
    assert field.box.width > 60
    assert field.page == 0
    assert field.alone is not None
    assert set(record.provenance) == {"template", "model", "threshold"}


def test_a_record_is_json(record):
    found = json.loads(record.json_line())
    assert found["fields"]["date"]["value"] == "2026-03-30"
    assert found["fields"]["chair"]["value"] is True
    assert found["pages"][0]["state"] == "placed"


def test_a_wrong_sum_is_a_doubt_that_names_itself(reader):
    record = reader.read(scan_of(values=VALUES | {"valid": "90", "cast": "122"}))
    assert record.outcome is RecordOutcome.DOUBT
    failed = [check for check in record.checks if check.state is CheckState.FAILS]
    assert [check.says for check in failed] == ["the candidates' votes must make the valid votes"]
    assert "69 + 8 + 3 - 90" in failed[0].why
    assert record["invalid"].outcome is FieldOutcome.READ


def test_an_empty_form_is_blank(reader):
    assert reader.read(scan_of(values={"station": ""})).outcome is RecordOutcome.BLANK


def test_a_dark_table_around_the_sheet_does_not_matter(reader):
    view = View(dpi=130, rotation=4, perspective=0.03, light=0.3, table=True)
    record = reader.read(scan_of(view=view))
    assert record["votes_a"].text == "69"


def test_every_page_of_a_pile_has_a_state(reader, tmp_path):
    scan = scan_of()
    pages = {
        "1.png": scan,
        "2.png": scan,  # the same file again
        "3.png": np.full((900, 700), 253, np.uint8),
        "4.png": scribbles(),
        "5.png": scan_of(Template.load("cheque"), values={}),
        "6.png": scan_of(view=View(dpi=120)),  # the same sheet scanned again
    }
    for name, page in pages.items():
        cv2.imwrite(str(tmp_path / name), page)
    (tmp_path / "7.pdf").write_bytes(b"%PDF-1.4 broken")
    found = {page.source.rpartition("/")[2]: page.state for record in reader.records(tmp_path) for page in record.pages}
    assert found == {
        "1.png": PageState.PLACED,
        "2.png": PageState.DUPLICATE,
        "3.png": PageState.BLANK,
        "4.png": PageState.UNPLACED,
        "5.png": PageState.OTHER_FORM,
        "6.png": PageState.DUPLICATE,
        "7.pdf": PageState.UNPLACED,
    }


TWO_PAGES = """\
format = "handigit-form/1"
name = "two"
page = [
  { size = [148, 105], markers = true, code = [24, 10, 42, 28] },
  { size = [148, 105], markers = true, code = [24, 10, 42, 28] },
]
field = [
  { name = "a", kind = "number", box = [40, 50, 61, 59], cells = 3, label = "A" },
  { name = "b", kind = "number", box = [80, 50, 101, 59], cells = 3, page = 2, label = "B" },
]
"""


def test_pages_are_grouped_into_forms_and_missing_ones_are_listed():
    form = Template.parse(TWO_PAGES)
    frames = []
    for copy, page, values in [("1", 1, {"a": "12"}), ("1", 2, {"b": "34"}), ("2", 2, {"b": "56"})]:
        frames.append(Image.fromarray(scan_of(form, values=values, page=page, copy=copy, view=View(dpi=120))))
    buffer = BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    reader = FormReader(form)
    pages = [reader.read_page(np.asarray(frame), source="pile", number=n) for n, frame in enumerate(frames)]
    whole, part = reader.record_of(pages[:2]), reader.record_of(pages[2:])
    assert {name: field.text for name, field in whole.fields.items()} == {"a": "12", "b": "34"}
    assert (whole.copy, whole.missing) == ("1", ())
    assert (part.copy, part.missing, part.outcome) == ("2", (1,), RecordOutcome.DOUBT)


def test_a_photocopy_with_other_values_is_a_form_of_its_own(reader, tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), scan_of())
    other = VALUES | {"station": "4682795", "votes_a": "34", "votes_b": "8", "votes_c": "249", "valid": "291",
                      "invalid": "27", "cast": "318"}  # fmt: skip
    cv2.imwrite(str(tmp_path / "2.png"), scan_of(values=other, seed=8))
    assert [record.pages[0].state for record in reader.records(tmp_path)] == [PageState.PLACED, PageState.PLACED]


def test_template_names_must_differ():
    with pytest.raises(ValueError, match="names must differ"):
        FormReader([TALLY, TALLY])


@pytest.fixture(scope="module")
def parcel():
    form = Template.load("parcel-label")
    values = {"service": "express", "fragile": "yes"}
    page = scan_of(form, values=values, view=View(dpi=150))
    return form, page, Aligner([form]).place(page)


def test_marks_and_choices_by_their_ink(parcel):
    form, page, placed = parcel
    fragile = read_mark(page, placed, form.by_name["fragile"])
    assert (fragile.present, fragile.sure) == (True, True)
    assert read_choice(page, placed, form.by_name["service"])[0] == "express"


def test_two_marks_in_a_choice_are_a_doubt(parcel):
    form, page, placed = parcel
    page = page.copy()
    corners = placed.corners(form.by_name["service"], form.by_name["service"].choices[0][1]).round().astype(int)
    cv2.line(page, tuple(corners[0].tolist()), tuple(corners[2].tolist()), 30, 3)
    value, reading = read_choice(page, placed, form.by_name["service"])
    assert value is None
    assert not reading.sure
    assert "standard and express" in reading.note


def test_a_box_filled_all_over_is_a_doubt(parcel):
    form, page, placed = parcel
    page = page.copy()
    cv2.fillConvexPoly(page, placed.corners(form.by_name["fragile"]).round().astype(np.int32), 20)
    assert not read_mark(page, placed, form.by_name["fragile"]).sure


def test_a_smudge_is_no_signature():
    page = scan_of(values={"station": ""})
    placed = Aligner([TALLY]).place(page)
    chair = TALLY.by_name["chair"]
    assert not read_present(page, placed, chair).present
    x, y = placed.corners(chair).mean(axis=0).round().astype(int).tolist()
    cv2.circle(page, (x, y), 9, 60, -1)
    assert not read_present(page, placed, chair).sure


def test_a_barcode_is_read_and_an_unreadable_one_is_a_doubt(reader, parcel):
    import segno

    form, page, placed = parcel
    code = np.array([[0 if module else 255 for module in row] for row in segno.make_qr("PX-77").matrix], np.uint8)
    page = page.copy()
    x, y = (placed.corners(form.by_name["tracking"])[0] + 12).round().astype(int).tolist()
    side = 84
    page[y : y + side, x : x + side] = cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST)
    assert reader.read(page)["tracking"].text == "PX-77"
    page[y + 20 : y + 60, x + 20 : x + 60] = 128
    assert reader.read(page)["tracking"].outcome is FieldOutcome.DOUBT


def test_line_and_cells_together_are_surer_than_each():
    sure = cell_of([0.91 if digit == 4 else 0.01 for digit in range(10)], strange=False, filler=False)
    empty = cell_of(None, strange=False, filler=False)
    found = together({"44": 0.8, "41": 0.15}, [sure, sure, empty])
    assert found["44"] > 0.99


def column(texts, *, left=10):
    specs = [
        FieldSpec(f"r{row}.{left}", Kind.NUMBER, Area(left, 10 * row, left + 20, 10 * row + 9))
        for row in range(len(texts))
    ]
    fields = {}
    for spec, text in zip(specs, texts, strict=True):
        outcome = FieldOutcome.BLANK if text == "" else FieldOutcome.DOUBT if text == "tick" else FieldOutcome.READ
        digits = text if text.isdigit() else ""
        fields[spec.name] = Field(spec.name, Kind.NUMBER, outcome, text=digits, alone=Alone(digits, 1.0, outcome))
    return specs, fields


def test_a_stroke_among_ticks_is_a_doubt():
    marks, digits = column(["1", "tick", "11", "", "tick", "111"]), column(["1", "9", "8", "tick", "7", "11"], left=40)
    found = doubt_among_marks(marks[1] | digits[1], [*marks[0], *digits[0]])
    outcomes = {name: field.outcome for name, field in found.items()}
    assert [outcomes[f"r{row}.10"] for row in (0, 2, 3, 5)] == ["doubt", "doubt", "blank", "doubt"]
    assert [outcomes[f"r{row}.40"] for row in (0, 1, 5)] == ["read", "read", "read"]
    assert found["r0.10"].alone.outcome is FieldOutcome.DOUBT
    assert "column" in found["r0.10"].note


def test_a_few_marks_make_no_column():
    specs, fields = column(["1", "tick", "11"])
    assert doubt_among_marks(fields, specs) == fields


def test_the_alternatives_share_what_the_answer_leaves():
    reading = Reading((("17", 0.2), ("11", 0.2), ("14", 0.1)), "17", Outcome.DOUBT)
    assert reading.shares["17"] == 0.2
    assert reading.shares["11"] == pytest.approx(2 * reading.shares["14"])
    assert 0.8 < sum(reading.shares.values()) < 0.95
    assert Reading((), "?", Outcome.NOT_A_NUMBER).shares == {}


def test_an_empty_comb_needs_no_reading_of_its_line():
    spec = FieldSpec("a", Kind.NUMBER, Area(0, 0, 20, 9), cells=2)
    empty = cell_of(None, strange=False, filler=False)
    assert vote(spec, [], [empty, empty], 0.9)[0].outcome is FieldOutcome.BLANK


def test_cells_that_contradict_the_line_make_a_doubt():
    cells = [cell_of([0.91 if digit == 7 else 0.01 for digit in range(10)], strange=False, filler=False)] * 2
    assert max(together({"86": 0.95}, cells).values()) < 0.9


@pytest.mark.parametrize("name", ["score-sheet", "tally-sheet", "meter-log", "vitals-chart", "cheque"])
def test_drawn_values_satisfy_the_checks_and_broken_ones_do_not(name):
    from decimal import Decimal

    from handigit.forms.check_digits import passes
    from handigit.forms.values import decimal_of

    form = Template.load(name)
    values = draw_values(form, np.random.default_rng(2))
    for check in form.checks:
        if isinstance(check.test, RuleCheck):
            numbers = {field: decimal_of(form.by_name[field], values[field]) or Decimal(0) for field in check.fields}
            assert check.test.rule.holds(numbers), check.says
        elif hasattr(check.test, "scheme"):
            assert passes(check.test.scheme, values[check.test.field])
    if name != "vitals-chart":
        assert break_sum(form, values, np.random.default_rng(1)) != values


def test_samples_are_written_with_their_values(tmp_path):
    save_samples("parcel-label", tmp_path, count=2)
    lines = [json.loads(line) for line in (tmp_path / "values.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["parcel-label-001.jpg", "parcel-label-002.jpg"]
    assert all((tmp_path / line["file"]).is_file() for line in lines)


def boxed(text, *, high, watermark=False, cell=90):
    """A box of three cells with a printed text in it, at the left and in the middle."""
    crop = np.full((cell + 20, 3 * cell + 20), 240, np.uint8)
    for place in range(3):
        cv2.rectangle(crop, (10 + place * cell, 10), (10 + (place + 1) * cell, 10 + cell), 90, 2)
    if watermark:
        cv2.putText(crop, "2014", (30 + 2 * cell, 70), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 210, 2)
    cv2.putText(crop, text, (25, 10 + (cell + high) // 2), cv2.FONT_HERSHEY_SIMPLEX, high / 22, 100, 3)
    return crop


def test_small_writing_is_found_beside_a_watermark_and_rules():
    crop = boxed("42", high=24, watermark=True)
    found = find_small_writing(crop)
    assert found is not None
    assert 20 <= found.bottom - found.top <= 34
    assert found.left >= 15
    assert found.right <= 100
    assert cut_writing(crop, found, 0.3, sides=True).shape[1] < 110
    assert cut_writing(crop, found, 0.3, sides=False).shape[1] == crop.shape[1]


@pytest.mark.parametrize("crop", [boxed("", high=24), boxed("", high=24, watermark=True), boxed("42", high=78)])
def test_empty_boxes_and_large_writing_are_cut_as_a_whole(crop):
    assert find_small_writing(crop) is None


def test_pages_that_wait_for_others_are_held_in_memory_and_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = HeldPages(in_memory=2)
    pages = [np.full((3, 4), number, np.uint8) for number in range(6)]
    for number, page in enumerate(pages):
        held.put(("pile.pdf", number), page)
    assert len(list(tmp_path.rglob("*.npy"))) == 4
    for number in (5, 0, 3):
        assert np.array_equal(held.pop(("pile.pdf", number)), pages[number])
    assert held.pop(("pile.pdf", 3)) is None
    assert len(list(tmp_path.rglob("*.npy"))) == 2
    del held
    assert list(tmp_path.iterdir()) == []
