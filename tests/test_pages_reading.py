"""Whole pages: sheets on tables, several numbers where one is expected, the kind of a picture."""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pypdfium2 import PdfDocument

from handigit import Box, Number, Outcome, Reader, open_pages
from handigit.errors import ReadingCancelled
from handigit.images.cancellation import Cancellation
from handigit.images.flat_sheet import flatten_sheet
from handigit.images.sheet import find_sheet
from handigit.read import read_batch, read_document
from handigit.read.pages import PageRegions, is_page, prefers_digit, read_upright, reconcile

SAMPLES = Path(__file__).parents[1] / "samples"
SCORES = ["87", "92", "45", "100", "73", "68", "9"]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.asarray(Image.open(SAMPLES / "pages" / "scores-on-squared-paper.jpg").convert("L"))


def on_table(page: np.ndarray, *, margin: float, shade: int, degrees: float = 0, tilt: float = 0) -> np.ndarray:
    """The page on a table, rotated and in perspective; `tilt` moves two corners inward, as a fraction of the width."""
    height, width = page.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + np.array([[tilt, 0], [-tilt, 0], [0, 0], [0, 0]]) * width
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    moved = moved @ turn[:, :2].T + turn[:, 2] + np.array([margin * width, margin * height])
    size = round(width * (1 + 2 * margin)), round(height * (1 + 2 * margin))
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(page, matrix, size, borderValue=shade)


@pytest.mark.parametrize(("shade", "tilt"), [(30, 0), (110, 0), (30, 0.06)])
def test_page_on_a_table(reader, scores, shade, tilt) -> None:
    picture = on_table(scores, margin=0.25, shade=shade, tilt=tilt)
    numbers = reader.page(picture)
    assert [number.text for number in numbers if number.text] == SCORES
    first = numbers[0].box
    assert first.left > 0.25 * scores.shape[1]
    assert first.top > 0.2 * scores.shape[0]


def test_table_is_found_only_around_a_sheet_with_ink(scores) -> None:
    assert find_sheet(scores) is None
    assert find_sheet(on_table(scores, margin=0.3, shade=40)) is not None
    assert find_sheet(on_table(np.full((400, 300), 240, np.uint8), margin=0.3, shade=40)) is None


def test_boxes_of_a_flat_sheet_map_back(scores) -> None:
    picture = on_table(scores, margin=0.3, shade=40, degrees=5)
    flat = flatten_sheet(picture)
    height, width = flat.page.shape
    box = flat.to_original(Box(0, 0, width, height), size=picture.shape)
    assert box.width >= 0.9 * scores.shape[1]
    assert box.left >= 0.15 * scores.shape[1]


@pytest.mark.parametrize(("folder", "kind"), [("digits", "digit"), ("numbers", "number"), ("pages", "page")])
def test_kind_of_samples(reader, folder, kind) -> None:
    pictures = [path for path in sorted((SAMPLES / folder).iterdir()) if path.suffix != ".json"]
    results = {path.name: reader.read_on(next(open_pages(path))) for path in pictures}
    kinds = {name: found for name, (found, numbers) in results.items() if not is_one_digit(kind, found, numbers)}
    assert kinds == dict.fromkeys(kinds, kind)


def is_one_digit(kind: str, found: str, numbers: list[Number]) -> bool:
    """A number of one digit is the same answer as that digit."""
    return (kind, found) == ("digit", "number") and len(numbers[0].text) == 1


def test_read_finds_the_kind_by_itself(reader) -> None:
    assert [number.text for number in reader.read(SAMPLES / "digits" / "plain-3.png")] == ["3"]
    assert [number.text for number in reader.read(SAMPLES / "numbers" / "touching-digits.png")] == ["35802"]
    assert len(reader.read(SAMPLES / "pages" / "scores-on-squared-paper.jpg")) == len(SCORES)


@pytest.mark.parametrize("kind", ["digit", "number"])
def test_page_read_as_one_number_gets_a_note(reader, kind) -> None:
    (result,) = read_document(reader, SAMPLES / "pages" / "scores-on-squared-paper.jpg", kind)
    if result.numbers[0].outcome is not Outcome.READ:
        assert result.note == "several numbers here: read it as a page"
    (plain,) = read_document(reader, SAMPLES / "digits" / "plain-3.png", kind)
    assert plain.note == ""


@pytest.mark.parametrize("degrees", [-5, 8])
def test_squared_page_askew(reader, scores, degrees) -> None:
    height, width = scores.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += 90
    size = (width + 180, height + 180)
    askew = cv2.warpAffine(scores, matrix, size, borderValue=int(np.median(scores)))
    texts = [number.text for number in reader.page(askew) if number.text]
    assert len(set(SCORES) & set(texts)) >= 6  # one number may be split where its digits are a square apart


@pytest.mark.parametrize("quarters", [1, 2])
def test_page_that_does_not_show_its_rotation_is_read_the_most_legible_way(reader, scores, quarters) -> None:
    numbers = reader.page(np.rot90(scores, quarters).copy())
    assert [number.text for number in numbers if number.text] == SCORES


def reading(text: str, outcome: Outcome, confidence: float) -> Number:
    return Number(outcome, text, confidence, raw=text)


@pytest.mark.parametrize(
    ("digit", "number", "expected"),
    [
        (("3", Outcome.READ, 0.99), ("31", Outcome.READ, 0.99), False),  # a pair that the digit model reads as one
        (("7", Outcome.READ, 0.99), ("17", Outcome.DOUBT, 0.3), True),  # a crossed 7 that looks like two strokes
        (("7", Outcome.DOUBT, 0.6), ("7", Outcome.READ, 0.99), False),
        (("", Outcome.NOT_A_NUMBER, 0.9), ("", Outcome.NOT_A_NUMBER, 0.9), False),
    ],
)
def test_digit_or_number(digit, number, expected) -> None:
    assert prefers_digit(reading(*digit), reading(*number)) is expected


@pytest.mark.parametrize(
    ("texts", "alone", "expected"),
    [
        (["8", "5", "9", "", "", "", ""], "1", True),  # a sheet of marks, of which the digit model sees a rule
        (["8", "8", "", "", ""], "86", False),  # rims of thick strokes
        (["2", "7", "", "", "", ""], "2017", False),  # a number above a dotted rule
        (["12", "34"], "1234", True),
        (["12", "", ""], "", False),
    ],
)
def test_page_or_one_number(texts, alone, expected) -> None:
    page = np.full((1000, 800), 255, np.uint8)
    for row in range(len(texts)):
        cv2.putText(page, "48", (300, 120 + 120 * row), cv2.FONT_HERSHEY_SIMPLEX, 2, 0, 5)
    regions = PageRegions.of(page, rotation=0)
    numbers = [reading(text, Outcome.READ if text else Outcome.NOT_A_NUMBER, 0.99) for text in texts]
    nothing = reading("", Outcome.NOT_A_NUMBER, 0.9)
    number = reading(alone, Outcome.READ, 0.99) if alone else nothing
    assert is_page(regions, numbers, digit=nothing, number=number) is expected


def test_pieces_of_a_doubted_number_are_no_page() -> None:
    page = np.full((1000, 800), 255, np.uint8)
    for row in range(4):
        cv2.putText(page, "4", (300, 120 + 120 * row), cv2.FONT_HERSHEY_SIMPLEX, 2, 0, 5)
    regions = PageRegions.of(page, rotation=0)
    nothing, number = reading("", Outcome.NOT_A_NUMBER, 0.9), reading("5596", Outcome.DOUBT, 0.6)
    for count, expected in ((1, False), (2, True)):
        outcomes = [Outcome.READ] * count + [Outcome.DOUBT] * (4 - count)
        numbers = [reading("1", outcome, 0.9) for outcome in outcomes]
        assert is_page(regions, numbers, digit=nothing, number=number) is expected


def test_numbers_among_the_marks_of_a_column_are_doubts() -> None:
    page = np.full((1000, 700), 240, np.uint8)
    for row in range(7):
        cv2.line(page, (100, 60 + 100 * row), (400, 60 + 100 * row), 70, 4)
    for column in range(3):
        cv2.line(page, (100 + 150 * column, 60), (100 + 150 * column, 660), 70, 4)
    for row, column in np.ndindex(6, 2):
        cv2.putText(page, "7", (150 + 150 * column, 140 + 100 * row), cv2.FONT_HERSHEY_SIMPLEX, 2, 40, 5)
    regions = PageRegions.of(page, rotation=0)
    assert len(regions.regions) == 12
    numbers = [
        reading("", Outcome.NOT_A_NUMBER, 0.9) if place in (1, 5) else reading(str(place % 2), Outcome.READ, 0.99)
        for place in range(12)
    ]
    answers = regions.on_page([replace(number, box=Box(0, 0, 9, 9)) for number in numbers])
    assert {number.outcome for number in answers if number.text == "0"} == {Outcome.READ}
    assert {number.outcome for number in answers if number.text == "1"} == {Outcome.DOUBT}


def test_rows_of_thick_writing_in_a_small_picture_are_a_page(reader) -> None:
    page = np.full((260, 400), 238, np.uint8)
    for text, row in (("372", 110), ("6190", 240)):
        cv2.putText(page, text, (20, row), cv2.FONT_HERSHEY_SIMPLEX, 3.2, 40, 20)
    kind, numbers = reader.read_on(page)
    assert kind == "page"
    assert [len(number.text) for number in numbers] == [3, 4]


def test_a_page_turned_by_mistake_is_turned_back() -> None:
    page = np.full((1400, 1400), 255, np.uint8)
    for row in (300, 900):
        cv2.putText(page, "427", (400, row), cv2.FONT_HERSHEY_SIMPLEX, 3, 0, 8)

    def read(regions: PageRegions) -> list[Number]:
        is_level = regions.oriented.rotation == 0
        are_upright = [is_level or region.pixels.shape[0] > region.pixels.shape[1] for region in regions.regions]
        return [
            Number(Outcome.READ if upright else Outcome.NOT_A_NUMBER, "427" if upright else "", 0.99, box=region.box)
            for region, upright in zip(regions.regions, are_upright, strict=True)
        ]

    turned = PageRegions.of(page, rotation=90)
    turned = replace(turned, oriented=replace(turned.oriented, sure=True))
    nothing = [Number(Outcome.NOT_A_NUMBER, "", 0.9, box=region.box) for region in turned.regions]
    assert [number.text for number in read_upright(page, turned, nothing, read)] == ["427", "427"]


@pytest.mark.parametrize(("left", "expected"), [(10, True), (240, False)])
def test_one_digit_of_several_is_not_the_number(left, expected) -> None:
    digit = replace(reading("5", Outcome.READ, 0.99), box=Box(left, 0, 320, 100))
    number = replace(reading("75", Outcome.DOUBT, 0.1), box=Box(0, 0, 324, 100))
    assert prefers_digit(digit, number) is expected


def test_two_models_that_contradict_each_other_give_a_doubt() -> None:
    digit, number = reading("2", Outcome.READ, 0.99), reading("9", Outcome.READ, 0.98)
    doubt = reconcile(digit, number)
    assert (doubt.outcome, doubt.text, doubt.alternatives) == (Outcome.DOUBT, "2", (("9", 0.98),))
    assert reconcile(digit, reading("2", Outcome.READ, 0.9)) is digit
    assert reconcile(digit, reading("9", Outcome.DOUBT, 0.5)) is digit


def test_bare_page_has_no_numbers_and_no_note(reader) -> None:
    (result,) = read_document(reader, np.full((200, 300), 255, np.uint8), "page")
    assert (result.numbers, result.note) == ((), "")


@pytest.mark.parametrize("kind", ["digit", "number", "page", "auto"])
def test_reading_that_is_not_wanted_ends_early(reader, kind) -> None:
    page = SAMPLES / "pages" / "scores-on-squared-paper.jpg"
    with Cancellation(lambda: True).active(), pytest.raises(ReadingCancelled):
        list(read_document(reader, page, kind))
    if kind in ("digit", "number"):
        with Cancellation(lambda: True).active(), pytest.raises(ReadingCancelled):
            read_batch(reader, [page], kind)


def test_a_page_is_read_no_further_once_it_is_not_wanted(reader) -> None:
    page = next(open_pages(SAMPLES / "pages" / "scores-on-squared-paper.jpg"))
    numbers = len(reader.page_on(page))
    checks = iter(range(numbers))
    with Cancellation(lambda: next(checks, None) is None).active(), pytest.raises(ReadingCancelled):
        reader.page_on(page)
    assert next(checks, None) is None


def test_of_a_page_of_specks_only_a_sample_of_each_turn_is_read() -> None:
    page = np.full((1400, 1400), 255, np.uint8)
    for number, (row, column) in enumerate(np.ndindex(12, 10)):
        place = 40 + 130 * column + 7 * (number % 5), 80 + 108 * row + 5 * (number % 3)
        cv2.putText(page, "xv%#"[number % 4], place, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 3)
    counts = []

    def read(regions: PageRegions) -> list[Number]:
        counts.append(len(regions.regions))
        return [Number(Outcome.NOT_A_NUMBER, "", 0.9)] * len(regions.regions)

    regions = PageRegions.of(page, rotation=0)
    read_upright(page, replace(regions, oriented=replace(regions.oriented, sure=False)), read(regions), read)
    assert counts[0] > 48
    assert len(counts) == 4
    assert max(counts[1:]) <= 24


@pytest.mark.parametrize(("upside_down", "is_turned"), [("981", False), ("11111", False), ("98166", True)])
def test_a_page_is_turned_neither_for_one_short_number_nor_for_tally_strokes(upside_down, is_turned) -> None:
    page = np.full((1400, 1400), 255, np.uint8)
    for row in (300, 900):
        cv2.putText(page, "186", (400, row), cv2.FONT_HERSHEY_SIMPLEX, 3, 0, 8)

    def read(regions: PageRegions) -> list[Number]:
        numbers = [Number(Outcome.DOUBT, "1", 0.5, box=region.box) for region in regions.regions]
        return [Number(Outcome.READ, upside_down, 0.99, box=regions.regions[0].box), *numbers[1:]]

    regions = PageRegions.of(page, rotation=0)
    doubtful = replace(regions, oriented=replace(regions.oriented, sure=False))
    upright = [Number(Outcome.DOUBT, "186", 0.5, box=region.box) for region in regions.regions]
    numbers = read_upright(page, doubtful, upright, read)
    assert (upside_down in [number.text for number in numbers]) == is_turned


@pytest.mark.parametrize("name", ["scores-on-squared-paper.jpg", "form-with-cells.jpg"])
@pytest.mark.parametrize("kind", ["digit", "number"])
def test_page_read_as_one_number_is_never_blank(reader, name, kind) -> None:
    (result,) = read_document(reader, SAMPLES / "pages" / name, kind)
    assert result.note == "several numbers here: read it as a page"
    assert result.numbers[0].outcome is not Outcome.READ


@pytest.mark.parametrize("is_sideways", [False, True])
def test_no_number_is_lost_on_a_rotated_page_of_a_pdf(reader, is_sideways) -> None:
    form = Image.open(SAMPLES / "pages" / "form-with-cells.jpg").convert("L")
    file, turned = io.BytesIO(), io.BytesIO()
    (form if is_sideways else form.rotate(90, expand=True)).save(file, "PDF", resolution=150)
    document = PdfDocument(file.getvalue())
    document[0].set_rotation(90)
    document.save(turned)
    expected = [number.text for number in reader.page(SAMPLES / "pages" / "form-with-cells.jpg")]
    assert [number.text for number in reader.page(turned.getvalue())] == expected


def test_writing_that_cannot_be_read_is_an_answer_with_its_box(reader, scores) -> None:
    page = scores.copy()
    numbers = [number for number in reader.page(page) if number.box]
    height = round(float(np.median([number.box.height for number in numbers if number.box])))
    left, top = round(0.62 * page.shape[1]), round(0.5 * page.shape[0])
    ink = int(page.min())
    steps = np.arange(60)
    wave = np.column_stack([left + steps * height / 20, top + (0.5 + 0.5 * np.sin(steps)) * height])
    cv2.polylines(page, [wave.astype(np.int32)], False, ink, 3)
    answers = [number for number in reader.page(page) if number.box and number.box.left > left - height]
    scribble = [number for number in answers if number.box and abs(number.box.top - top) < height]
    assert scribble
    assert all(number.outcome in (Outcome.DOUBT, Outcome.NOT_A_NUMBER) for number in scribble)
