"""Segmentation of pages drawn by the synthesiser: numbers found, merged, cut in two."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from handigit.images.orientation import straighten
from handigit.records import Box
from handigit.segment.page_rules import find_page_rules
from handigit.segment.regions import Region, are_several, find_regions, may_be_several
from handigit.synth.camera import Camera, photograph
from handigit.synth.ink import coverage
from handigit.synth.photo import write_text
from handigit.synth.photo_paper import Paper, apply_ink, draw_sheet
from handigit.synth.writer import Pen, Writer

SIZE = (1000, 800)
PLAIN = Paper()
Written = dict[tuple[int, int], str]


def written(
    texts: Written, *, paper: Paper = PLAIN, seed: int = 0, height_px: float = 36, under: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, Box]]:
    """A page with each text at its (left, top), in the hand of one writer, and the boxes of the texts' ink."""
    rng = np.random.default_rng(seed)
    writer, pen = Writer.draw(rng), Pen(kind="ballpoint", width=0.08, pressure=0.2, darkness=0.85, grain=0.1)
    page = draw_sheet(paper, SIZE, digit=Box(100, 100, 130, 136), rng=rng)
    if under is not None:
        page = np.minimum(page, under[..., None])
    boxes = {}
    for (left, top), text in texts.items():
        ink = write_text(text, writer, pen, rng)
        (near, high), _ = ink.extent()
        ink = ink.transformed(height_px, (left - near * height_px, top - high * height_px))
        page = apply_ink(page, coverage(ink, *SIZE), pen=pen, colour=(24, 34, 110), rng=rng)
        (x0, y0), (x1, y1) = ink.extent()
        boxes[text] = Box(int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1)))
    return page, boxes


def grey(page: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY))


def holders(regions: list[Region], box: Box, slack: int = 4) -> list[Region]:
    """The regions around all of a box."""
    return [
        region
        for region in regions
        if region.box.left <= box.left + slack
        and region.box.top <= box.top + slack
        and region.box.right >= box.right - slack
        and region.box.bottom >= box.bottom - slack
    ]


def assert_apart(regions: list[Region], boxes: dict[str, Box]) -> list[Region]:
    """Assert that each text has one region of its own; return these in the order of the texts."""
    found = []
    for text, box in boxes.items():
        mine = holders(regions, box)
        assert len(mine) == 1, f"{text}: {[region.box for region in mine]}"
        assert mine[0].box.width * mine[0].box.height < 1.8 * (box.width + 8) * (box.height + 8), text
        found.append(mine[0])
    assert len({id(region) for region in found}) == len(found)
    return found


SCORES = ("17", "208", "36", "94", "1250", "7", "663", "81")
MORE_SCORES = ("55", "430", "29", "98", "2024", "3")
COLUMN: Written = {(120, 80 + 90 * row): text for row, text in enumerate(SCORES)}
TWO_COLUMNS: Written = {**COLUMN, **{(450, 80 + 90 * row): text for row, text in enumerate(MORE_SCORES)}}


@pytest.mark.parametrize("ruling", ["plain", "ruled", "dotted"])
@pytest.mark.parametrize("seed", [0, 1])
def test_column_of_scores_on_any_paper(ruling, seed):
    page, boxes = written(COLUMN, paper=Paper(ruling=ruling, spacing=0.8), seed=seed)
    regions = find_regions(grey(page))
    assert_apart(regions, boxes)
    assert len(regions) <= len(COLUMN) + 4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_column_on_squares_smaller_than_its_digits(seed):
    page, boxes = written(COLUMN, paper=Paper(ruling="squared", spacing=0.8), seed=seed)
    regions = find_regions(grey(page))
    whole = [text for text, box in boxes.items() if len(holders(regions, box, slack=6)) == 1]
    assert len(whole) >= 5
    assert len(regions) <= len(COLUMN) + 6


def test_two_columns_are_read_row_by_row():
    page, boxes = written(TWO_COLUMNS)
    found = assert_apart(find_regions(grey(page)), boxes)
    order = [text for text, _ in sorted(zip(boxes, found, strict=True), key=lambda pair: pair[1].origin[::-1])]
    regions = find_regions(grey(page))
    read = [text for region in regions for text, box in boxes.items() if holders([region], box)]
    assert set(read) == set(order)
    assert read[:4] == ["17", "55", "208", "430"]


def test_photograph_of_numbers():
    page, boxes = written(COLUMN, paper=Paper(ruling="ruled"))
    camera = Camera(uneven=0.4, shadow=0.3, blur_px=0.8, noise=5, contrast=0.7, jpeg=60)
    regions = find_regions(grey(photograph(page, camera, np.random.default_rng(3))))
    assert_apart(regions, boxes)


def test_print_is_one_region_per_line_and_handwriting_beside_it_separate():
    under = Image.new("L", SIZE[::-1], 255)
    pen, font = ImageDraw.Draw(under), ImageFont.load_default(18)
    for line in range(20):
        pen.text((60, 60 + 40 * line), "Name of the candidate and number of votes", font=font, fill=30)
    numbers: Written = {(520, 60 + 80 * n): text for n, text in enumerate(("417", "52", "1306", "88"))}
    page, boxes = written(numbers, under=np.asarray(under), height_px=30)
    regions = find_regions(grey(page))
    assert_apart(regions, boxes)
    assert len(regions) <= 20 + len(numbers) + 3


def form(cells: int, rows: int, *, cell_px: int = 44) -> np.ndarray:
    """Rows of fields at x = 500, each with this number of cells in one frame, the dividers thin and pale."""
    under = np.full(SIZE, 255, np.uint8)
    for row in range(rows):
        top = 100 + 120 * row
        for cell in range(1, cells):
            x = 500 + cell_px * cell
            cv2.line(under, (x, top), (x, top + 52), 150, 1)
        cv2.rectangle(under, (500, top), (500 + cells * cell_px, top + 52), 60, 2)
    return under


@pytest.mark.parametrize("cells", [2, 3, 5])
def test_cells_of_a_field_are_joined(cells):
    digits: Written = {}
    for row, number in enumerate(("41793", "26958", "83142")):
        for cell, digit in enumerate(number[:cells]):
            digits[506 + 44 * cell + 8, 112 + 120 * row] = digit
    page, _ = written(digits, under=form(cells, 3), height_px=28)
    regions = [region for region in find_regions(grey(page)) if region.cells]
    assert len(regions) == 3
    for row, region in enumerate(regions):
        assert region.cells >= 2
        assert 100 + 120 * row - 2 <= region.box.top
        assert region.box.bottom <= 154 + 120 * row
        assert region.box.left < 530
        assert region.box.right > 500 + 44 * (cells - 1)


def test_crop_of_a_field_includes_all_of_its_cells() -> None:
    """A thin 1 beside the frame looks like a part of it and is left to the reader of the crop."""
    under = np.full(SIZE, 255, np.uint8)
    cv2.rectangle(under, (500, 100), (640, 152), 60, 2)
    cv2.line(under, (507, 110), (507, 142), 90, 2)  # thinner and paler than the frame, a few pixels beside it
    page, _ = written({(560, 112): "4", (604, 112): "8"}, under=under, height_px=28)
    (region,) = [region for region in find_regions(grey(page)) if region.cells]
    field = region.on_page(Box(0, 0, region.pixels.shape[1], region.pixels.shape[0]))
    assert field.left <= 506
    assert field.right >= 634
    crop = cv2.resize(region.pixels, (field.width, field.height))
    assert crop[20:40, 507 - field.left].max() < 160


def test_frame_is_painted_over_and_digits_stay():
    digits: Written = {(514 + 44 * cell, 112): digit for cell, digit in enumerate("417")}
    page, _ = written(digits, under=form(3, 1), height_px=28)
    (region,) = find_regions(grey(page))
    bare, _ = written(digits, height_px=28)
    alone = grey(bare)[region.box.top : region.box.bottom, region.box.left : region.box.right]
    small = cv2.resize(region.pixels, None, fx=1 / region.scale, fy=1 / region.scale, interpolation=cv2.INTER_AREA)
    assert abs((small < 150).sum() / (alone < 150).sum() - 1) < 0.2


def test_boxes_in_a_region_map_back_to_the_page():
    page, boxes = written({(300, 400): "628"})
    (region,) = find_regions(grey(page))
    left, top, width, height = cv2.boundingRect((region.pixels < 140).view(np.uint8))
    back = region.on_page(Box(left, top, left + width, top + height))
    assert np.allclose(back.as_list(), boxes["628"].as_list(), atol=4)


@pytest.mark.parametrize("level", [0, 90, 255])
def test_uniform_page_has_no_regions(level):
    assert find_regions(np.full((700, 500), level, np.uint8)) == []


def test_empty_ruled_sheet_has_few_regions():
    paper = Paper(ruling="squared", texture=4.0)
    page = draw_sheet(paper, SIZE, digit=Box(100, 100, 130, 136), rng=np.random.default_rng(0))
    assert len(find_regions(grey(page))) <= 3


@pytest.mark.parametrize("size", [(28, 28), (60, 200), (5, 3000), (1, 1)])
def test_any_size_of_page(size):
    page = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    for region in find_regions(page):
        assert 0 <= region.box.left < region.box.right <= size[1]
        assert 0 <= region.box.top < region.box.bottom <= size[0]


def test_lone_one_is_not_a_rule_but_a_frame_is():
    darkness = np.zeros((600, 600), np.float32)
    cv2.line(darkness, (300, 200), (302, 260), 1.0, 4)  # a 1
    cv2.ellipse(darkness, (400, 230), (16, 30), 0, 0, 360, 1.0, 4)  # a 0
    cv2.rectangle(darkness, (100, 400), (180, 440), 1.0, 2)
    ruling = find_page_rules((darkness > 0.3).view(np.uint8), (255 * darkness).astype(np.uint8))
    assert not ruling.both[:300].any()
    assert ruling.cell(Box(120, 410, 140, 430)) == Box(103, 403, 178, 438)
    assert ruling.cell(Box(290, 200, 310, 260)) is None


def test_pale_squares_finer_than_the_digits_leave_strokes_whole():
    page = np.full((1754, 1240), 238, np.uint8)
    page[10::30], page[:, 5::30] = 170, 170
    for x, y in ((305, 300), (305, 600), (305, 912)):
        cv2.line(page, (x + 4, y), (x + 4, y + 40), 30, 5)  # a 1 close along an upright rule
        cv2.polylines(page, [np.array([(x + 25, y), (x + 50, y), (x + 35, y + 40)])], False, 30, 5)
        cv2.ellipse(page, (x + 80, y + 20), (13, 20), 0, 0, 360, 30, 4)
    regions = find_regions(page)
    assert [region.box.height > 36 and 85 < region.box.width < 110 for region in regions] == [True] * 3


def test_dark_pieces_of_a_pale_rule_are_no_writing():
    page = np.full((1200, 1000), 240, np.uint8)
    for y in range(100, 1101, 100):
        page[y : y + 3, 100:900] = 200
    for x in (100, 400, 900):
        page[100:1100, x : x + 3] = 200
        for y in range(130, 1100, 200):
            page[y : y + 40, x : x + 3] = 60
    cv2.putText(page, "7", (600, 180), cv2.FONT_HERSHEY_SIMPLEX, 2, 40, 4)
    (region,) = find_regions(page)
    assert region.box.left > 590


def test_columns_whose_rows_do_not_line_up():
    offset: Written = {(450, 80 + 45 + 90 * row): text for row, text in enumerate(MORE_SCORES)}
    page, boxes = written({**COLUMN, **offset})
    assert_apart(find_regions(grey(page)), boxes)


def lattice(columns: int, rows: int, *, width: int, height: int) -> np.ndarray:
    """An empty table at (60, 80)."""
    under = np.full(SIZE, 255, np.uint8)
    for column in range(columns + 1):
        cv2.line(under, (60 + width * column, 80), (60 + width * column, 80 + height * rows), 110, 2)
    for row in range(rows + 1):
        cv2.line(under, (60, 80 + height * row), (60 + width * columns, 80 + height * row), 110, 2)
    return under


@pytest.mark.parametrize("left", [4, 30])
def test_numbers_that_touch_the_cells_beside_and_below(left):
    texts = (("17", "208", "36"), ("94", "125", "7"), ("663", "81", "45"), ("30", "29", "518"))
    cells: Written = {
        (60 + 180 * column + left, 84 + 57 * row): text
        for row, line in enumerate(texts)
        for column, text in enumerate(line)
    }
    page, boxes = written(cells, under=lattice(3, 4, width=180, height=57), height_px=44)
    found = {text: holders(find_regions(grey(page)), box, slack=8) for text, box in boxes.items()}
    assert {text: len(regions) for text, regions in found.items()} == dict.fromkeys(boxes, 1)
    assert all(regions[0].box.width < boxes[text].width + 24 for text, regions in found.items())


@pytest.mark.parametrize("spacing", [0.45, 0.6])
def test_cells_finer_than_the_digits(spacing):
    page, boxes = written(COLUMN, paper=Paper(ruling="squared", spacing=spacing))
    regions = find_regions(grey(page))
    whole = [text for text, box in boxes.items() if len(holders(regions, box, slack=6)) == 1]
    assert len(whole) >= 7


def test_ticks_and_crosses_beside_marks_are_regions_of_their_own():
    page, boxes = written(COLUMN)
    page = page.copy()
    for row, box in enumerate(boxes.values()):
        x, y = box.right + 60, box.top
        if row % 2:
            cv2.polylines(page, [np.array([(x, y + 18), (x + 10, y + 32), (x + 34, y - 6)])], False, (160, 30, 30), 3)
        else:
            cv2.line(page, (x, y), (x + 30, y + 32), (160, 30, 30), 3)
            cv2.line(page, (x + 30, y), (x, y + 32), (160, 30, 30), 3)
    regions = find_regions(grey(page))
    assert_apart(regions, boxes)
    assert len(regions) == 2 * len(boxes)


def test_decimal_point_belongs_to_its_mark():
    whole: Written = {(120, 80 + 90 * row): text for row, text in enumerate(("17", "9", "12", "6"))}
    page, boxes = written(whole)
    tenths, _ = written({(box.right + 16, box.top): str(5 - row) for row, box in enumerate(boxes.values())}, seed=1)
    page = np.minimum(page, tenths)
    for box in boxes.values():
        cv2.circle(page, (box.right + 8, box.bottom - 2), 3, (24, 34, 110), -1)
    regions = find_regions(grey(page))
    assert len(regions) == len(boxes)
    for region, box in zip(regions, boxes.values(), strict=True):
        assert region.box.left <= box.left + 4
        assert region.box.right >= box.right + 24


@pytest.mark.parametrize("degrees", [8, 15])
def test_strokes_in_a_small_frame_are_no_rules(degrees):
    page = np.full((1754, 1240), 238, np.uint8)
    for column, row in np.ndindex(3, 4):
        x, y = 150 + 330 * column, 400 + 300 * row
        cv2.rectangle(page, (x - 12, y - 12), (x + 112, y + 52), 90, 2)
        cv2.line(page, (x + 4, y), (x + 4, y + 40), 40, 5)  # 1
        cv2.polylines(page, [np.array([(x + 30, y), (x + 60, y), (x + 45, y + 40)])], False, 40, 5)  # 7
        cv2.polylines(
            page, [np.array([(x + 94, y + 40), (x + 94, y), (x + 72, y + 26), (x + 104, y + 26)])], False, 40, 5
        )
    matrix = cv2.getRotationMatrix2D((620, 877), degrees, 1)
    askew = cv2.warpAffine(page, matrix, (1240, 1754), flags=cv2.INTER_AREA, borderValue=238)
    level = straighten(askew)
    assert abs(level.skew - degrees) < 0.3
    regions = find_regions(level.page)
    assert len(regions) == 12
    assert min(region.box.width for region in regions) > 90
    assert all((region.pixels < 110).mean() > 0.07 for region in regions)


def test_a_tall_frame_among_many_regions_leaves_several_numbers():
    row = [Box(40 * number, 10, 40 * number + 20, 40) for number in range(12)]
    below = [box.moved(0, 60) for box in row]
    assert are_several([*row, *below, Box(600, 0, 700, 400)], tall=0.9)
    assert not are_several([*row[:3], Box(130, 0, 160, 90)])


def table_of_marks() -> np.ndarray:
    """Eight rows of cells 1.5 times as wide as high: a 7, one to three level strokes, a tick."""
    page = np.full((1000, 700), 240, np.uint8)
    for row in range(9):
        cv2.line(page, (100, 60 + 100 * row), (100 + 3 * 150, 60 + 100 * row), 70, 4)
    for column in range(4):
        cv2.line(page, (100 + 150 * column, 60), (100 + 150 * column, 860), 70, 4)
    for row in range(8):
        y = 60 + 100 * row
        cv2.polylines(page, [np.array([(155, y + 25), (190, y + 25), (175, y + 78)])], False, 40, 5)
        for stroke in range(1 + row % 3):
            cv2.line(page, (295, y + 35 + 15 * stroke), (355, y + 33 + 15 * stroke), 40, 4)
        cv2.polylines(page, [np.array([(455, y + 60), (470, y + 75), (505, y + 25)])], False, 40, 5)
    return page


def test_cells_of_a_table_are_fields_of_their_own_also_those_with_dashes():
    regions = find_regions(table_of_marks())
    assert len(regions) == 24
    assert {region.cells for region in regions} == {1}
    assert max(region.box.width for region in regions) < 75


def test_a_column_of_strokes_is_no_rule():
    page = table_of_marks()
    page[:, 100:250] = 240
    for row in range(9):
        cv2.line(page, (100, 60 + 100 * row), (250, 60 + 100 * row), 70, 4)
    for row in range(8):
        cv2.line(page, (175, 72 + 100 * row), (175, 148 + 100 * row), 40, 5)
    ones = [region for region in find_regions(page) if region.box.right < 250]
    assert len(ones) == 8


def test_circle_around_a_number_is_no_region():
    page, boxes = written({(300, 300): "417", (300, 600): "52"})
    page = page.copy()
    cv2.ellipse(page, (345, 318), (95, 60), 0, 0, 360, (24, 34, 110), 3)
    regions = find_regions(grey(page))
    assert_apart(regions, boxes)
    assert len(regions) == 2


def glanced(*places: tuple[int, int], frame: bool = False) -> bool:
    """Whether a small picture with 48 at these (left, bottom) may hold several numbers."""
    page = np.full((330, 620), 240, np.uint8)
    for place in places:
        cv2.putText(page, "48", place, cv2.FONT_HERSHEY_SIMPLEX, 1.5, 30, 3)
    if frame:
        cv2.rectangle(page, (10, 10), (609, 319), 90, 2)
        cv2.line(page, (450, 10), (450, 319), 90, 2)
    return may_be_several(page)


def test_a_glance_misses_no_page() -> None:
    assert not glanced((250, 200))
    assert glanced((250, 100), (250, 200))
    assert glanced((20, 200), (400, 200))
    assert glanced((480, 100), (480, 200), frame=True)
    assert glanced((480, 100), (30, 100), frame=True)
    assert not may_be_several(np.full((330, 620), 240, np.uint8))
