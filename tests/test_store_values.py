"""Numbers as they are written: what people type, how answers are compared, and every export of them."""

import csv
import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import text as sql

from handigit.records import Number, Outcome, parse_value
from handigit.store import Filter, Provenance, Store, Truth
from handigit.store.database import Database
from handigit.store.schema import upgrade
from handigit.store.spreadsheet import export_xlsx
from handigit.store.training_export import export_corrections
from handigit.store.truth import canonical
from store_cases import PROVENANCE, doubt, number, page

pytest_plugins = ("store_server",)

DECIDABLE = {"3.50": "3.50", "0.75": "0.75", "99,90": "99.90", "-12": "-12", "36.6": "36.6", "1,250.00": "1250.00"}
UNDECIDABLE = ("2026-05-12", "12/05/2026", "120/80", "1.000", "07.05.", "5.-")


@pytest.mark.parametrize(("raw", "value"), DECIDABLE.items())
def test_a_decidable_value_is_stored_beside_the_text(store: Store, raw: str, value: str) -> None:
    (added,) = store.add([number(raw)], PROVENANCE)
    reading = store.reading(added)
    assert (reading.raw, reading.value, reading.number.raw) == (raw, Decimal(value), raw)
    assert reading.text == "".join(filter(str.isdigit, raw))


@pytest.mark.parametrize("raw", UNDECIDABLE)
def test_an_undecidable_value_is_not_guessed(store: Store, raw: str) -> None:
    (added,) = store.add([number(raw)], PROVENANCE)
    assert (store.reading(added).raw, store.reading(added).value) == (raw, None)


def test_a_date_survives(store: Store) -> None:
    day = parse_value("12/05/2026", dates="DDMMYYYY")
    (added,) = store.add([Number(Outcome.READ, "12052026", 0.9, raw="12/05/2026", value=day)], PROVENANCE)
    assert store.reading(added).value == date(2026, 5, 12)


@pytest.mark.parametrize("typed", [*DECIDABLE, *UNDECIDABLE, "0715", "$12.50"])
def test_a_correction_keeps_the_number_as_typed(store: Store, typed: str) -> None:
    (added,) = store.add([doubt("15")], PROVENANCE)
    correction = store.decide(added, Truth(typed), by="ann", key="k")
    assert correction.truth.text == typed
    assert store.reading(added).raw == typed
    assert store.reading(added).as_dict()["truth"]["text"] == typed


@pytest.mark.parametrize(
    ("read", "typed", "is_corrected"),
    [
        ("12.50", "12,5", False),
        ("12.50", "$12.50", False),
        ("12.50", "1250", True),
        ("12", "12.00", False),
        ("0715", "715", True),  # a postal code keeps its zeros
        ("12/05/2026", "12/05/2026", False),
        ("1.000", "1000", True),
        ("-12", "12", True),
    ],
)
def test_answers_are_compared_by_value(store: Store, read: str, typed: str, is_corrected: bool) -> None:
    (added,) = store.add([doubt(read)], PROVENANCE)
    store.decide(added, Truth(typed), by="ann", key="k")
    assert store.reading(added).corrected is is_corrected
    assert bool(store.insights.misread((PROVENANCE.model_digest,), most=9)) is is_corrected


def test_people_who_write_the_same_value_agree(store: Store) -> None:
    (added,) = store.add([doubt("15")], PROVENANCE)
    store.decide(added, Truth("12.50"), by="ann", key="1")
    store.decide(added, Truth("12,5"), by="bob", key="1")
    assert not store.reading(added).disputed
    assert store.waiting().thirds == 0


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_the_canonical_form_is_the_value(value: Decimal) -> None:
    written = f"{value:f}"
    assert Decimal(canonical(written, parse_value(written))) == value
    assert canonical(f"{written}00", parse_value(f"{written}00")) == canonical(written, parse_value(written))


def test_training_text_is_as_written(store: Store, tmp_path: Path) -> None:
    (added,) = store.add([doubt("1250")], PROVENANCE, page=page())
    store.decide(added, Truth("12.50"), by="ann", key="k")
    export_corrections(store, tmp_path / "learn")
    labels = (tmp_path / "learn" / "numbers" / "labels.csv").read_text(encoding="utf-8")
    assert labels.splitlines() == ["file,text", f"{added}.png,12.50"]
    assert len(list((tmp_path / "learn" / "digits").glob("*/*.png"))) == 4


def fill(store: Store) -> None:
    """A page with four numbers, one corrected, and a second page with a hostile name."""
    (_, second, *_) = store.add(
        [number("097"), doubt("3.60"), number("1.000"), Number(Outcome.BLANK, "", 0.9)],
        Provenance("Größe.png", "m", "d"),
        page=page(),
    )
    store.decide(second, Truth("3.50"), by="ann", key="k")
    store.add([number("-12")], Provenance("=cmd|'/c calc'!A1", "m", "d"))


def test_the_lean_csv_is_for_clerks(store: Store) -> None:
    fill(store)
    content = "".join(store.export(format="csv", bom=True))
    assert content.startswith("\ufeff")
    table = list(csv.DictReader(io.StringIO(content[1:], newline="")))
    assert list(table[0]) == ["source", "page", "place", "value", "outcome", "confidence", "corrected_by"]
    columns = [(row["page"], row["place"], row["value"], row["outcome"], row["corrected_by"]) for row in table]
    assert columns == [
        ("1", "1", "097", "read", ""),
        ("1", "2", "3.50", "read", "ann"),
        ("1", "3", "1.000", "read", ""),
        ("1", "4", "", "blank", ""),
        ("1", "1", "-12", "read", ""),
    ]
    assert table[4]["source"].startswith("'=cmd")
    doubts = list(csv.DictReader(io.StringIO("".join(store.export(Filter(outcome=Outcome.DOUBT), format="csv")))))
    assert [(row["place"], row["value"]) for row in doubts] == [("2", "3.50")]


@pytest.mark.parametrize("crops", [False, True])
def test_a_workbook_has_typed_cells_and_no_formula(store: Store, tmp_path: Path, crops: bool) -> None:
    fill(store)
    store.add([number("12345678901234567890")], PROVENANCE)
    day = parse_value("12/05/2026", dates="DDMMYYYY")
    store.add([Number(Outcome.READ, "12052026", 0.9, raw="12/05/2026", value=day)], PROVENANCE)
    path = tmp_path / "readings.xlsx"
    export_xlsx(store, path, crops=crops)
    sheet = load_workbook(path).active
    assert sheet is not None
    values = [sheet.cell(row, 4).value for row in range(2, 9)]
    assert values[:5] == ["097", 3.5, "1.000", None, -12]
    assert values[5] == "12345678901234567890"
    assert values[6].date() == date(2026, 5, 12)  # type: ignore[union-attr]
    assert sheet.cell(6, 1).value == "=cmd|'/c calc'!A1"
    assert sheet.cell(6, 1).data_type == "s"
    with zipfile.ZipFile(path) as archive:
        assert "<f>" not in archive.read("xl/worksheets/sheet1.xml").decode()
        assert sum(name.startswith("xl/media/") for name in archive.namelist()) == (4 if crops else 0)


def test_older_rows_get_values_and_places(url: str, tmp_path: Path) -> None:
    database = Database(url)
    upgrade(database, to="0003")
    row = (
        "INSERT INTO readings (kind, source, page, outcome, text, raw, confidence, digits, alternatives, model, "
        "model_digest, request_id, at) VALUES ('number', 's', 0, 'read', :text, :raw, 0.6, '[]', '[]', 'm', 'd', '', 5)"
    )
    raws = [*DECIDABLE, *UNDECIDABLE, "0715", "-0.0", "0.125", "1234.567"]
    with database.writing() as connection:
        for raw in raws:
            connection.execute(sql(row), {"raw": raw, "text": "".join(filter(str.isdigit, raw))})
        decide = (
            "INSERT INTO corrections (reading, outcome, text, by, key, at) VALUES (:id, 'read', :text, 'a', :key, 6)"
        )
        for reading, text in ((1, "350"), (2, "085")):
            connection.execute(sql(decide), {"id": reading, "text": text, "key": str(reading)})
    database.close()
    with Store.open(url, files=tmp_path / "p") as store:
        readings = list(store.in_order())
        assert [reading.number.raw for reading in readings] == raws
        for reading in readings:
            assert reading.number.value == parse_value(reading.number.raw)
        assert [reading.place for reading in readings] == list(range(1, len(raws) + 1))
        assert (readings[0].raw, readings[0].corrected) == ("3.50", False)  # its digits were confirmed
        assert (readings[1].raw, readings[1].corrected) == ("085", True)
        with store.database.reading() as connection:
            stored = dict(connection.execute(sql("SELECT raw, canonical FROM readings")).tuples().all())
        assert stored == {raw: canonical(raw, parse_value(raw)) for raw in raws}
