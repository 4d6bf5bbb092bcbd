"""CSV that no spreadsheet runs as a formula and that leaves numbers unchanged."""

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from handigit.records import Outcome
from handigit.spreadsheet import safe_cell
from handigit.store import Filter, Provenance, Store, Truth
from handigit.store.export import HEADINGS
from store_cases import NO_SAMPLES, number

FORMULA = re.compile(r"[\s\0]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
PLAIN = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")
HOSTILE = st.text(st.sampled_from("=+-@\t\r\n;,\"'| \0\uff1d0aA1(!"), max_size=12)
pytest_plugins = ("store_server",)


def cells_split_at(separator: str, cell: str) -> list[str]:
    """The cells that a spreadsheet with another separator sees in a line that contains `cell`."""
    line = io.StringIO()
    csv.writer(line).writerow(["x", cell, "y"])
    rows = csv.reader(io.StringIO(line.getvalue().replace("\0", ""), newline=""), delimiter=separator)
    return [part for row in rows for part in row]


@given(st.one_of(st.text(), HOSTILE))
def test_no_cell_is_a_formula_however_the_line_is_split(cell: str) -> None:
    cleaned = safe_cell(cell.replace("\0", ""))
    for separator in ",;\t":
        for part in cells_split_at(separator, cleaned):
            assert not FORMULA.match(part) or PLAIN.fullmatch(part.strip('"')), (separator, part)


@given(st.from_regex(PLAIN, fullmatch=True))
def test_numbers_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


@given(st.text(st.characters(exclude_characters="=+-@\uff1d\uff0b\uff0d\uff20")))
def test_text_without_formula_signs_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(HOSTILE)
def test_only_apostrophes_are_added(text: str) -> None:
    assert safe_cell(text).replace("'", "") == text.replace("'", "")


def test_the_full_table_has_every_reading_once_with_its_zeros(store: Store) -> None:
    hostile = '=cmd|"/c calc"!A1;\t@x\n+1.png'
    (first,) = store.add([number("007")], Provenance(hostile, "m", "d"))
    (second,) = store.add([number("-12,5")], Provenance("b.png", "m", "d"))
    store.decide(first, Truth("0070"), by="ann", key="k")
    table = list(csv.DictReader(io.StringIO("".join(store.export(format="full")), newline="")))
    assert [row["id"] for row in table] == [str(second), str(first)]
    assert tuple(table[0]) == HEADINGS
    assert (table[1]["text"], table[1]["corrected_text"], table[0]["raw"]) == ("007", "0070", "-12,5")
    assert table[1]["source"].startswith("'=cmd|")
    assert (table[1]["left"], table[1]["right"], table[1]["outcome"]) == ("0", "30", Outcome.READ)
    assert len(list(store.export(Filter(corrected=True), format="full"))) == 2
    assert store.policy == NO_SAMPLES
