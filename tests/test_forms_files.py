"""Forms to and from files: printing, export, proposals, the command line."""

import csv
import json
from datetime import date
from decimal import Decimal
from zipfile import ZipFile

import cv2
import numpy as np
import pyarrow.parquet
import pypdfium2
import pytest

from handigit import Box
from handigit.cli import run
from handigit.forms import (
    Check,
    CheckState,
    ExportError,
    Field,
    FieldOutcome,
    FormError,
    Record,
    RecordOutcome,
    RosterError,
    Template,
    export,
    gallery,
    print_form,
    propose,
)
from handigit.forms.drawn import save_samples
from handigit.forms.markers import read_page_code
from handigit.forms.page_state import PageState
from handigit.forms.record import Page
from handigit.forms.specs import Kind


def picture_of(data, page=0):
    return np.asarray(pypdfium2.PdfDocument(data)[page].render(scale=2).to_pil().convert("L"))


def scribbles():
    page = np.full((600, 500), 250, np.uint8)
    points = np.random.default_rng(0).integers(20, 480, (60, 2)).astype(np.int32)
    cv2.polylines(page, [points], False, 30, 3)
    return page


@pytest.mark.parametrize("name", sorted(gallery()))
def test_gallery_templates_print_on_one_page_with_their_code(name):
    data = print_form(name)
    assert len(data) < 12_000
    assert len(pypdfium2.PdfDocument(data)) == 1
    assert str(read_page_code(picture_of(data))) == f"{name}, version 1, page 1, copy 1"


def test_a_roster_prints_a_copy_per_entry(tmp_path):
    (tmp_path / "class.csv").write_text("id,name\nA7,Ada Lovelace\nB2,Bo\n")
    data = print_form("score-sheet", tmp_path / "out.pdf", roster=tmp_path / "class.csv")
    assert (tmp_path / "out.pdf").read_bytes() == data
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 2
    assert "Ada Lovelace" in document[0].get_textpage().get_text_bounded()
    assert read_page_code(picture_of(data, 1)).copy == "B2"


@pytest.mark.parametrize(
    ("rows", "message"),
    [([], "no entries"), ([{"name": "x"}], "needs a column id"), ([{"id": "1"}, {"id": "1"}], "also on line 2"),
     ([{"id": "a:b"}], "without colons")],
)  # fmt: skip
def test_rosters_that_are_refused(rows, message):
    with pytest.raises(RosterError, match=message):
        print_form("score-sheet", roster=rows)


def test_a_template_in_pixels_cannot_be_printed():
    form = Template.parse('format = "handigit-form/1"\nname = "p"\npage = [{ size = [5, 5], units = "px" }]\n')
    with pytest.raises(FormError, match="in pixels"):
        print_form(form)


def field(name, kind, text, value, outcome=FieldOutcome.READ, **more):
    return Field(name, kind, outcome, text, text, value, 0.97, box=Box(1, 2, 30, 40), **more)


@pytest.fixture
def records():
    fields = [
        field("account", Kind.NUMBER, "0012345678", Decimal(12345678)),
        field("amount", Kind.DECIMAL, "1250", Decimal("12.50"), FieldOutcome.DOUBT, note="must be equal"),
        field("day", Kind.DATE, "30032026", date(2026, 3, 30)),
        field("code", Kind.CODE, "=1+1", "=1+1", copied={"name": "@SUM(A1)"}),
        field("signed", Kind.PRESENT, "yes", True),
    ]
    check = Check("must be equal", CheckState.FAILS, ("amount",), "12.50 - 12.60 = -0.10")
    page = Page("scan.png", 0, PageState.PLACED, form_page=1)
    lost = Page("lost.png", 2, PageState.UNPLACED, "agreement 0.10 with the form")
    return [
        Record(
            RecordOutcome.DOUBT,
            "cheque",
            2,
            "A7",
            {field.name: field for field in fields},
            (check,),
            (page,),
            "scan.png",
        ),
        Record(RecordOutcome.UNPLACED, pages=(lost,), source="lost.png"),
    ]


def test_csv_has_text_dates_and_no_formula(records, tmp_path):
    assert export(records, tmp_path / "r.csv") == 2
    data = (tmp_path / "r.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(data.decode("utf-8-sig").splitlines())
    assert (first["account"], first["amount"], first["day"], first["signed"]) == (
        "0012345678",
        "12.50",
        "2026-03-30",
        "yes",
    )
    assert (first["code"], first["code.name"]) == ("'=1+1", "'@SUM(A1)")
    assert "12.50 - 12.60 = -0.10" in first["problems"]
    assert (second["outcome"], second["pages"]) == ("unplaced", "lost.png 3")


def test_xlsx_has_three_sheets_typed_cells_and_no_formula(records, tmp_path):
    export(records, tmp_path / "r.xlsx")
    with ZipFile(tmp_path / "r.xlsx") as book:
        parts = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    sheets = [parts[f"xl/worksheets/sheet{number}.xml"] for number in (1, 2, 3)]
    assert not any("<f>" in sheet for sheet in sheets)
    assert [name in parts["xl/workbook.xml"] for name in ("Records", "Fields", "Problems")] == [True] * 3
    assert "<v>46111</v>" in sheets[0]  # 30 March 2026 as a date
    assert "<v>12.5</v>" in sheets[0]
    assert "<t>0012345678</t>" in sheets[0]
    assert "FFE699" in parts["xl/styles.xml"]


def test_json_lines_and_parquet(records, tmp_path):
    export(records, tmp_path / "r.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["doubt", "unplaced"]
    export(records, tmp_path / "r.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet").to_pydict()
    assert table["amount"] == ["12.50", ""]
    assert table["amount.outcome"] == ["doubt", ""]


def test_an_unknown_format_is_refused(records, tmp_path):
    with pytest.raises(ExportError, match="no format 'ods'"):
        export(records, tmp_path / "r.ods")


def test_the_fields_of_a_printed_form_are_proposed_with_their_names(tmp_path):
    print_form("score-sheet", tmp_path / "blank.pdf")
    found = Template.parse(propose(tmp_path / "blank.pdf"), folder=tmp_path)
    true = Template.load("score-sheet")
    assert len(found.fields) == len(true.fields)
    assert found.by_name["question_3"].cells == 2
    assert (found.by_name["date_dd_mm_yyyy"].kind, found.by_name["absent"].kind) == (Kind.DATE, Kind.MARK)
    for mine, theirs in zip(sorted(field.box.as_list() for field in found.fields),
                            sorted(field.box.as_list() for field in true.fields), strict=True):  # fmt: skip
        assert mine[0] == pytest.approx(theirs[0], abs=1)


def test_lines_to_write_on_and_boxes_are_proposed_from_a_picture(tmp_path):
    page = np.full((1100, 800), 255, np.uint8)
    cv2.rectangle(page, (100, 100), (400, 140), 0, 2)
    cv2.rectangle(page, (100, 300), (116, 316), 0, 2)
    page[500, 100:500:6] = page[501, 100:500:6] = 0
    cv2.imwrite(str(tmp_path / "b.png"), page)
    found = Template.parse(propose(tmp_path / "b.png"), folder=tmp_path)
    assert [field.kind for field in found.fields] == [Kind.NUMBER, Kind.MARK, Kind.NUMBER]
    assert found.fields[2].box.bottom == pytest.approx(501, abs=3)


def test_form_fields_of_a_pdf_are_proposed_with_their_names(tmp_path):
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "f.pdf"), pagesize=(400, 300))
    canvas.acroForm.textfield(name="Claim Number", x=50, y=200, width=120, height=20)
    canvas.acroForm.checkbox(name="urgent", x=50, y=100, size=12)
    canvas.showPage()
    canvas.save()
    found = Template.parse(propose(tmp_path / "f.pdf"), folder=tmp_path)
    assert {field.name: field.kind for field in found.fields} == {"claim_number": Kind.NUMBER, "urgent": Kind.MARK}


def test_the_command_line_prints_draws_checks_and_reads(tmp_path, capsys):
    assert run(["form", "print", "tally-sheet", "-o", str(tmp_path / "t.pdf")]) == 0
    assert run(["form", "check", "tally-sheet", "--picture", str(tmp_path / "fields.png")]) == 0
    assert run(["form", "new", str(tmp_path / "t.pdf")]) == 0
    assert (tmp_path / "t.toml").is_file()
    assert (tmp_path / "fields.png").is_file()
    save_samples("tally-sheet", tmp_path / "scans", count=1)
    arguments = ["form", str(tmp_path / "scans"), "-t", "tally-sheet", "--annotate", str(tmp_path / "seen")]
    capsys.readouterr()
    assert run([*arguments, "--format", "jsonl"]) == 0
    found = json.loads(capsys.readouterr().out)
    values = json.loads((tmp_path / "scans" / "values.jsonl").read_text())["values"]
    assert found["fields"]["cast"]["text"] == values["cast"]
    assert run([*arguments, "-o", str(tmp_path / "out.xlsx"), "--crops"]) == 0
    assert (tmp_path / "out.xlsx").stat().st_size > 5000
    assert list((tmp_path / "seen").glob("*.png"))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_is_read_checked_again_and_stored_once(tmp_path, capsys, monkeypatch, kind):
    from handigit.store import Store

    monkeypatch.setenv("HANDIGIT_STATE", str(tmp_path / "state"))
    save_samples("parcel-label", tmp_path / "scans", count=2, dpi=120)
    (tmp_path / "scans" / "broken.png").write_bytes(b"nothing")
    pile = pack(tmp_path / "scans", tmp_path / f"pile.{kind}")
    store, lines = f"sqlite:///{tmp_path / 'test.db'}", tmp_path / "records.jsonl"
    for _ in range(2):
        assert run(["form", str(pile), "-t", "parcel-label", "-o", str(lines), "--into", store, "--batch", "b"]) == 1
    assert "pile." in capsys.readouterr().err
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert sorted(record["outcome"] for record in found)[-1] == "unplaced"
    assert all(record["source"].startswith(f"{pile}!") for record in found)
    with Store.open(store, files=tmp_path / "state" / "pictures") as opened:
        (batch,) = opened.forms.batches()
        assert (batch.name, batch.records, batch.templates) == ("b", 3, ("parcel-label",))
    checked = tmp_path / "checked.csv"
    assert run(["form", "recheck", str(lines), "-t", "parcel-label", "-o", str(checked)]) == 1
    assert len(list(csv.reader(checked.open(encoding="utf-8-sig")))) == 4


def pack(folder, target):
    """The pictures of a folder as an archive."""
    import tarfile

    files = [path for path in sorted(folder.iterdir()) if path.suffix != ".jsonl"]
    if target.suffix == ".zip":
        with ZipFile(target, "w") as archive:
            for path in files:
                archive.write(path, path.name)
    else:
        with tarfile.open(target, "w:gz" if target.suffix == ".gz" else "w") as archive:
            for path in files:
                archive.add(path, path.name)
    return target


def test_a_broken_archive_is_a_page_that_could_not_be_opened(tmp_path, capsys):
    (tmp_path / "pile.zip").write_bytes(b"PK not a zip")
    assert run(["form", str(tmp_path / "pile.zip"), "-t", "cheque"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert run(["form", "recheck", str(tmp_path / "x.jsonl"), "-t", "cheque"]) == 1
    assert "line 1" in capsys.readouterr().err


def test_the_command_line_says_what_is_missing_or_unplaced(tmp_path, capsys):
    assert run(["form", "x.png"]) == 2
    cv2.imwrite(str(tmp_path / "noise.png"), scribbles())
    assert run(["form", str(tmp_path / "noise.png"), "-t", "cheque"]) == 1
    assert "unplaced" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text('format = "handigit-form/1"\nnam = "x"\n')
    assert run(["form", "check", str(tmp_path / "bad.toml")]) == 1
    assert "line 2: unknown key 'nam'" in capsys.readouterr().err
