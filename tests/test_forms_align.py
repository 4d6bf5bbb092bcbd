"""Pages placed on their templates, or refused: markers, print, rules; every state that a page can have."""

import cv2
import numpy as np
import pytest

from handigit.forms.align import Aligner, Placement, Refusal
from handigit.forms.blank import load_blanks, render_print
from handigit.forms.drawn import View, fill, see
from handigit.forms.markers import find_markers, parse_page_code, place_by_markers
from handigit.forms.page_ink import resizing, to_pixels, transform
from handigit.forms.page_state import PageState
from handigit.forms.square import square_up
from handigit.forms.template import Template

TALLY = Template.load("tally-sheet")


def scribbles():
    page = np.full((600, 500), 250, np.uint8)
    points = np.random.default_rng(0).integers(20, 480, (60, 2)).astype(np.int32)
    cv2.polylines(page, [points], False, 30, 3)
    return page


CHEQUE = Template.load("cheque")


@pytest.fixture(scope="module")
def aligner():
    return Aligner([TALLY, CHEQUE])


@pytest.fixture(scope="module")
def filled():
    return fill(TALLY, np.random.default_rng(3), dpi=150)


def distance(found, scan):
    """The largest distance of a field's corner from where it truly is, in field heights."""
    worst = 0.0
    for spec in scan.template.fields_on(scan.page):
        true = scan.places(np.array(spec.box.corners))
        high = np.linalg.norm(true[3] - true[0])
        if spec.kind.is_written:
            worst = max(worst, float(np.linalg.norm(found.corners(spec) - true, axis=1).max() / high))
    return worst


VIEWS = {
    "scan": View(dpi=150, rotation=0.7, noise=3),
    "75 dpi": View(dpi=75, noise=2),
    "upside down": View(dpi=120, upside_down=True, rotation=-1),
    "photo": View(dpi=130, rotation=6, perspective=0.05, light=0.4, blur=0.8, noise=4, table=True),
    "ring and fold": View(dpi=130, ring=True, fold=0.4, light=0.2),
}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_printed_form_is_placed_to_a_twentieth_of_a_field(aligner, filled, name):
    scan = see(filled, VIEWS[name], np.random.default_rng(1))
    found = aligner.place(scan.pixels)
    assert isinstance(found, Placement)
    assert (found.template.name, found.method) == ("tally-sheet", "markers")
    assert distance(found, scan) < 0.05


def test_a_page_without_a_corner_marker_is_still_placed(aligner, filled):
    scan = see(filled, View(dpi=130), np.random.default_rng(1))
    scan.pixels[-160:, -160:] = 255
    found = aligner.place(scan.pixels)
    assert isinstance(found, Placement)
    assert distance(found, scan) < 0.1


def test_a_page_without_markers_is_placed_by_its_print(aligner, filled):
    scan = see(filled, View(dpi=130, rotation=1.5), np.random.default_rng(1))
    page = scan.pixels.copy()
    for corners in find_markers(page).values():
        left, top = corners.min(axis=0).astype(int) - 3
        right, bottom = corners.max(axis=0).astype(int) + 4
        page[top:bottom, left:right] = 255
    found = aligner.place(page)
    assert isinstance(found, Placement)
    assert found.method == "print"
    assert distance(found, scan) < 0.15


@pytest.mark.parametrize(
    ("page", "state"),
    [
        (np.full((1200, 850), 250, np.uint8), PageState.BLANK),
        (scribbles(), PageState.UNPLACED),
    ],
)
def test_pages_that_are_no_form(aligner, page, state):
    found = aligner.place(page)
    assert isinstance(found, Refusal)
    assert found.state is state


def test_a_form_whose_template_was_not_given_is_another_form():
    found = Aligner([CHEQUE]).place(render_print(TALLY, 1, longest_px=1500))
    assert (found.state, found.code.name) == (PageState.OTHER_FORM, "tally-sheet")


def test_a_page_of_an_older_version_is_refused_and_both_are_named():
    newer = Template.parse(OLD.replace("version = 1", "version = 2"))
    found = Aligner([newer]).place(render_print(Template.parse(OLD), 1, longest_px=1200))
    assert found.state is PageState.OTHER_FORM
    assert "version 1" in found.reason
    assert "version 2" in found.reason


OLD = """\
format = "handigit-form/1"
name = "old"
version = 1
page = [{ size = [210, 148], markers = true, code = [24, 10, 42, 28] }]
field = [{ name = "a", kind = "number", box = [60, 60, 88, 69], cells = 4, label = "Amount" }]
"""


def grid(rows, *, top=60, step=50, left=80, widths=(60, 120, 120), size=(1100, 500)):
    page = np.full(size, 255, np.uint8)
    edges = np.cumsum([left, *widths])
    for row in range(rows + 1):
        cv2.line(page, (left, top + row * step), (int(edges[-1]), top + row * step), 0, 2)
    for x in edges.tolist():
        cv2.line(page, (x, top), (x, top + rows * step), 0, 2)
    return page


@pytest.fixture
def grid_form(tmp_path):
    """A ruled table without any text."""
    cv2.imwrite(str(tmp_path / "grid.png"), grid(15))
    text = (
        'format = "handigit-form/1"\nname = "grid"\npage = [{ size = [500, 1100], units = "px", blank = "grid.png" }]\n'
    )
    rows = [60 + 50 * row for row in range(16)]
    text += f'[[table]]\nname = "t"\nrows = {rows}\ncolumns = [80, 140, 260, 380]\n'
    return Template.parse(text, folder=tmp_path)


def test_a_ruled_table_is_placed_by_its_rules(grid_form):
    turn = cv2.getRotationMatrix2D((250, 550), 2, 0.9)
    page = cv2.warpAffine(grid(15), turn, (500, 1100), borderValue=255)
    found = Aligner([grid_form]).place(page)
    assert isinstance(found, Placement)
    corner = transform(np.vstack([turn, [0, 0, 1]]), np.array([[140.0, 110.0]]))[0]
    assert np.linalg.norm(found.corners(grid_form.by_name["t.2.2"])[0] - corner) < 5


def test_equal_rows_are_never_matched_one_row_off(grid_form):
    """The page ends within the table: which rows are seen cannot be said."""
    found = Aligner([grid_form]).place(grid(15)[85:585])
    assert isinstance(found, Refusal)


def test_a_similar_table_is_refused(grid_form):
    found = Aligner([grid_form]).place(grid(15, widths=(120, 60, 60, 60)))
    assert isinstance(found, Refusal)


def test_pixels_are_counted_from_their_middles():
    page = np.zeros((40, 60), np.uint8)
    page[8:12, 20:28] = 255  # from 20 to 28 and from 8 to 12, in units of one pixel
    for factor in (0.5, 2.0):
        small = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        rows, columns = np.nonzero(small)
        middle = transform(resizing(factor), transform(to_pixels(1.0), np.array([[24.0, 10.0]])))
        assert middle[0] == pytest.approx([columns.mean(), rows.mean()])


def test_markers_in_noise_are_found(filled):
    rng = np.random.default_rng(8)
    page = see(filled, View(dpi=75), rng).pixels
    noisy = np.clip(page + rng.normal(0, 55, page.shape), 0, 255).astype(np.uint8)
    assert sorted(find_markers(noisy)) == [0, 1, 2, 3]


CURLED = View(dpi=110, bend=0.006, perspective=0.02, noise=4, blur=0.8, table=True)


@pytest.mark.parametrize("name", ["parcel-label", "cheque", "meter-log"])
def test_the_curl_of_a_sheet_is_measured(name):
    form = Template.load(name)
    rng = np.random.default_rng(4)
    scan = see(fill(form, rng, dpi=150), CURLED, rng)
    found = Aligner([form]).place(scan.pixels)
    assert isinstance(found, Placement)
    assert distance(found, scan) < 0.05


def test_too_few_markers_do_not_place():
    markers = find_markers(render_print(CHEQUE, 1, longest_px=1200))
    assert sorted(markers) == [0, 1, 2, 3]
    assert place_by_markers({0: markers[0], 1: markers[1]}, CHEQUE.pages[0].size) is None
    assert place_by_markers(markers | {1: markers[1] + 40}, CHEQUE.pages[0].size) is None


@pytest.mark.parametrize("text", ["", "HG1:a:1:1", "HG2:a:1:1:1", "HG1:a:x:1:1", "http://example.org"])
def test_codes_of_others_are_not_ours(text):
    assert parse_page_code(text) is None


def test_a_page_is_squared_by_its_rules():
    page = grid(15)
    corners = np.array([[0, 0], [500, 0], [500, 1100], [0, 1100]], np.float32)
    bent = cv2.getPerspectiveTransform(
        corners, corners + np.array([[20, 10], [-30, 40], [-5, -20], [15, -5]], np.float32)
    )
    seen = cv2.warpPerspective(255 - page, bent, (500, 1100))
    square = square_up((seen > 100).astype(np.uint8))
    rows = transform(square @ bent, np.array([[80.0, 60], [380, 60], [80, 810], [380, 810]]))
    assert abs(rows[0, 1] - rows[1, 1]) < 4
    assert abs(rows[2, 1] - rows[3, 1]) < 4
    assert abs(rows[0, 0] - rows[2, 0]) < 4


def test_blanks_of_printed_forms_need_no_file():
    (blank,) = load_blanks(CHEQUE)
    assert blank.mask.mean() > 0.005
    assert blank.has_markers
