"""Pictures: bytes to pages to glyphs. Every picture is drawn here."""

import contextlib
import gc
import io
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handigit.errors import ImageError, ImageTooLarge, UnreadableImage
from handigit.images import FoundDigit, Limits, Views, find_digit, open_pages, views_of
from handigit.images.flat_sheet import flatten_sheet
from handigit.records import Box
from handigit.synth import Scene, picture

FORMATS = ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"]
SEVEN = [(0.1, 0.05), (0.9, 0.05), (0.45, 0.98)]
TWO = [(0.1, 0.3), (0.3, 0.05), (0.7, 0.05), (0.9, 0.3), (0.1, 0.95), (0.95, 0.95)]


def drawn(strokes=TWO, *, size=(200, 160), box=(40, 30, 80, 130), pen=9, ink=30, paper=255):
    """A stroke on plain paper; `box` is its left, top, width and height in units of the page."""
    page = np.full(size, paper, np.uint8)
    left, top, width, height = box
    points = np.array([(left + x * width, top + y * height) for x, y in strokes]).astype(np.int32)
    cv2.polylines(page, [points], isClosed=False, color=ink, thickness=pen, lineType=cv2.LINE_AA)
    return page


def encoded(pixels, form="PNG", **options):
    stream = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(stream, form, **options)
    return stream.getvalue()


def page_of(source, **options):
    return next(open_pages(source, **options))


def glyph_of(source):
    found = find_digit(page_of(source))
    assert found is not None
    return found.glyph


def box_of_ink(page):
    left, top, width, height = cv2.boundingRect((page < 128).view(np.uint8))
    return Box(left, top, left + width, top + height)


def alike(one, other):
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


# ---- decode


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_the_same_page(form):
    page = drawn()
    got = page_of(encoded(page, form))
    assert got.dtype == np.uint8
    assert np.abs(got.astype(int) - page).mean() < 2


def test_path_bytes_stream_image_and_array_agree(tmp_path):
    page = drawn()
    data = encoded(page)
    path = tmp_path / "seven.wrong-suffix"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), io.BytesIO(data), Image.open(path), page):
        assert np.array_equal(page_of(source), page)


def test_unseekable_stream():
    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self._inner = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self._inner.readinto(buffer)

    assert page_of(io.BufferedReader(Pipe(encoded(drawn())))).shape == (200, 160)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_the_same_grey(mode):
    page = drawn(ink=0, pen=12)
    if mode in ("I;16", "I", "F"):
        deep = page.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
        picture = Image.fromarray(deep * 257 if mode != "F" else deep / 255)
    else:
        picture = Image.fromarray(page).convert("RGB").convert("RGBA" if mode == "PA" else "RGB").convert(mode)
    assert picture.mode == mode
    assert np.abs(page_of(picture).astype(int) - page).mean() < 4


def test_twelve_bits_in_sixteen_use_the_whole_range():
    page = drawn()
    got = page_of(Image.fromarray(page.astype(np.uint16) * 16))
    assert np.abs(got.astype(int) - page).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG"])
def test_exif_orientation_is_undone(orientation, form):
    page = drawn()
    undo = [None, None, 0, 3, 1, 5, 4, 6, 2]  # Pillow's transpose that a viewer would apply, see the EXIF standard
    stored = Image.fromarray(page)
    if orientation > 1:
        inverse = {0: 0, 1: 1, 3: 3, 5: 5, 6: 6, 2: 4, 4: 2}[undo[orientation]]
        stored = stored.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = page_of(encoded(stored, form, exif=exif))
    assert got.shape == page.shape
    assert np.abs(got.astype(int) - page).mean() < 2


@pytest.mark.parametrize("stroke", [0, 255])
def test_transparent_drawing_in_black_or_white(stroke):
    alpha = 255 - drawn(ink=0)
    colour = np.full(alpha.shape, stroke, np.uint8)
    picture = np.dstack([colour, colour, colour, alpha])
    for source in (picture, encoded(picture), encoded(picture, "WEBP", lossless=True)):
        assert alike(glyph_of(source), glyph_of(drawn(ink=0))) > 0.98


def test_tiff_yields_each_page():
    pages = [drawn(TWO), drawn(SEVEN), drawn(SEVEN, size=(90, 120), box=(30, 20, 40, 50))]
    rest = [Image.fromarray(page) for page in pages[1:]]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=rest)
    got = list(open_pages(data))
    assert [page.shape for page in got] == [page.shape for page in pages]
    assert all(np.array_equal(one, other) for one, other in zip(got, pages, strict=True))


def test_animation_yields_its_first_frame():
    frames = [Image.fromarray(drawn(TWO)), Image.fromarray(drawn(SEVEN))]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert len(list(open_pages(data))) == 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.complex64),
        np.full((4, 4), "7"),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(16, np.uint8),
    ],
)
def test_error_for_other_arrays_names_accepted_ones(pixels):
    with pytest.raises(ImageError, match=r"give numbers of shape \(H, W\), \(H, W, 3\) RGB or \(H, W, 4\) RGBA"):
        page_of(pixels)


GREY = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)


@pytest.mark.parametrize(
    "source",
    [
        GREY / 255,
        (GREY / 255).astype(np.float16),
        (GREY / 255 - 0.13) / 0.31,
        GREY.astype(np.int64),
        GREY.astype(np.uint16) * 257,
        GREY[..., None],
        GREY[None],
        GREY[None, ..., None],
        GREY.reshape(-1),
        GREY[None].repeat(3, 0),
        GREY.tolist(),
        torch.tensor(GREY / 255.0, requires_grad=True),
    ],
    ids=[
        "float",
        "half",
        "standardised",
        "int64",
        "16 bit",
        "hw1",
        "1hw",
        "1hw1",
        "row",
        "3hw",
        "list",
        "tensor",
    ],
)
def test_arrays_as_students_hold_them(source):
    ours, expected = page_of(source).astype(int), page_of(GREY).astype(int)
    assert np.corrcoef(ours.ravel(), expected.ravel())[0, 1] > 0.999


def test_row_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(GREY.reshape(1, -1))
    for row in (table.iloc[0], next(table.itertuples(index=False))):
        assert np.array_equal(page_of(row), page_of(GREY.reshape(-1)))


@pytest.mark.parametrize("levels", [1, 16, 255])
@pytest.mark.parametrize("inverted", [False, True])
def test_eight_by_eight_pixels_as_in_scikit_learn(levels, inverted):
    ones, zeros = np.ones(6), np.zeros(6)
    ring = np.pad(np.stack([ones, *[np.r_[1, zeros[:4], 1]] * 6, ones]), ((0, 0), (1, 1)))
    pixels = levels * (1 - ring if inverted else ring)
    found = views_of(page_of(pixels)).found
    assert (found.box.width - 7) ** 2 <= 1
    assert found.box.height == 8
    assert alike(found.glyph, glyph_of(np.pad(cv2.resize(ring * 255, (20, 20)), 40).astype(np.uint8))) > 0.9
    assert views_of(page_of(np.zeros((8, 8)))).found is None


def test_booleans_are_black_and_white():
    assert np.array_equal(page_of(drawn() > 128), np.where(drawn() > 128, 255, 0))


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_pillow_images_are_not_altered(tmp_path, form):
    path = tmp_path / "picture"
    Image.fromarray(drawn()).convert("RGB").save(path, form)
    picture = Image.open(path)
    picture.load()
    before = np.array(picture)
    assert np.array_equal(page_of(picture), page_of(path))
    assert np.array_equal(page_of(picture), page_of(path)), "the second time"
    assert picture.mode == "RGB"
    assert np.array_equal(before, np.array(picture))


def test_alpha_of_zero_everywhere_means_opaque():
    pixels = np.dstack([drawn()] * 3 + [np.zeros_like(drawn())])
    assert np.array_equal(page_of(pixels), page_of(drawn()))
    bmp = encoded(Image.fromarray(pixels), "BMP")
    assert int.from_bytes(bmp[28:30], "little") == 32
    assert np.array_equal(page_of(bmp), page_of(drawn()))


def test_large_jpeg_in_colour_is_decoded_as_grey():
    data = encoded(Image.new("RGB", (900, 700), "white"), "JPEG")
    assert page_of(data, limits=Limits(max_colour_mpx=0.5)).shape == (700, 900)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.8])
def test_error_names_a_truncated_file(tmp_path, form, share):
    data = encoded(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8), form)
    path = tmp_path / "scan"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadableImage, match="scan"):
        page_of(path)


@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_damaged_files_always_raise_image_errors(noise, form, place):
    data = bytearray(encoded(drawn(size=(40, 40), box=(10, 8, 18, 24)), form))
    data[place : place + len(noise)] = noise
    with contextlib.suppress(ImageError):
        for page in open_pages(bytes(data)):
            assert page.ndim == 2


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 hello", b"<svg xmlns=", b"\0" * 50])
def test_error_for_other_files_names_supported_formats(data):
    with pytest.raises(UnreadableImage, match="PNG, JPEG, TIFF, WebP, GIF or BMP"):
        page_of(data)


def heif(page, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(page).convert("RGB")).save(stream, quality=90, **options)
    return stream.getvalue()


def test_heic_is_decoded_apart_and_a_truncated_one_is_named():
    data = heif(drawn())
    assert alike(page_of(data), drawn()) > 0.99
    with pytest.raises(UnreadableImage, match="truncated or damaged") as refused:
        page_of(data[: len(data) // 2])
    assert "\n" not in str(refused.value)
    with pytest.raises(ImageTooLarge, match=r"0\.03 Mpx|0\.0 Mpx"):
        page_of(data, limits=Limits(max_colour_mpx=0.01))


def test_heic_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("handigit.images.decode.find_spec", lambda _name: None)
    with pytest.raises(UnreadableImage, match=r"handigit\[heic\]"):
        page_of(b"\0\0\0\x1cftypheic" + bytes(100))


def test_first_frame_of_an_animation_counts():
    first, second = Image.fromarray(drawn()), Image.fromarray(drawn(SEVEN))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    for limits in (Limits(), Limits(isolate=True)):
        (only,) = open_pages(data, limits=limits)
        assert alike(only, drawn()) > 0.99


def test_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UnreadableImage, match=r"nowhere\.png"):
        page_of(tmp_path / "nowhere.png")
    with pytest.raises(UnreadableImage, match="directory"):
        page_of(tmp_path)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_decompression_bomb_is_rejected_before_decoding(form):
    options = {"compression": "tiff_deflate"} if form == "TIFF" else {}
    data = encoded(Image.new("1", (12_000, 12_000)), form, **options)
    with pytest.raises(ImageTooLarge, match=r"12000 x 12000 = 144\.0 Mpx .* 72 Mpx .*max_grey_mpx"):
        page_of(data)


def test_large_webp_is_rejected_before_decoding():
    data = encoded(Image.new("RGB", (2000, 1500)), "WEBP", method=0)
    with pytest.raises(ImageTooLarge, match=r"2000 x 1500 = 3\.0 Mpx .* 2 Mpx .*max_colour_mpx"):
        page_of(data, limits=Limits(max_colour_mpx=2))


def test_limits_are_ours_and_pillows_stay_unchanged(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # as another user of Pillow in the process may do
    data = {form: encoded(drawn(), form) for form in FORMATS}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in ("PNG", "JPEG", "TIFF", "BMP"):
            assert page_of(data[form]).shape == (200, 160)
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(ImageTooLarge, match=r"0\.01 Mpx allowed for grey"):
        page_of(data["PNG"], limits=Limits(max_grey_mpx=0.01))
    with pytest.raises(ImageTooLarge, match=r"0\.02 Mpx allowed for colour"):
        page_of(Image.new("RGB", (200, 160)), limits=Limits(max_colour_mpx=0.02))


# ---- polarity


@pytest.mark.parametrize("strokes", [TWO, SEVEN])
@pytest.mark.parametrize("pen", [3, 9, 30])
def test_ink_becomes_dark(strokes, pen):
    page = drawn(strokes, pen=pen, ink=20, paper=230)
    assert np.array_equal(page_of(page), page)
    assert np.array_equal(page_of(255 - page), page)


def test_polarity_of_paper_on_a_dark_table():
    photo = np.full((300, 400), 50, np.uint8)
    photo[30:280, 40:370] = drawn(size=(250, 330), box=(100, 50, 80, 130), paper=220)
    assert np.array_equal(page_of(photo), photo)
    found = find_digit(photo)
    assert found is not None
    assert abs(found.box.left - 144) < 8
    assert abs(found.box.right - 221) < 8


# ---- glyph


@given(st.integers(-35, 35), st.integers(-25, 25), st.booleans())
@settings(max_examples=25, deadline=None)
def test_glyph_is_independent_of_position_and_polarity(right, down, inverted):
    still = drawn()
    moved = drawn(box=(40 + right, 30 + down, 80, 130))
    assert np.array_equal(glyph_of(255 - moved if inverted else moved), glyph_of(still))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_glyph_is_independent_of_margins_and_box_follows(left, top, right, bottom):
    page = drawn()
    padded = cv2.copyMakeBorder(page, top, bottom, left, right, cv2.BORDER_CONSTANT, value=255)
    found, before = find_digit(padded), find_digit(page)
    assert np.array_equal(found.glyph, before.glyph)
    assert (found.box.left - left, found.box.top - top) == (before.box.left, before.box.top)


@given(st.integers(16, 700), st.integers(16, 700), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_box_is_inside_the_page_and_glyph_in_0_to_1(height, width, seed):
    random = np.random.default_rng(seed)
    page = random.integers(150, 256, (height, width), np.uint8)
    points = (random.random((5, 2)) * (width, height)).astype(np.int32)
    cv2.polylines(page, [points], isClosed=False, color=0, thickness=max(2, height // 20))
    found = find_digit(page)
    if found is not None:
        assert 0 <= found.box.left < found.box.right <= width
        assert 0 <= found.box.top < found.box.bottom <= height
        assert found.glyph.min() >= 0
        assert found.glyph.max() <= 1


@pytest.mark.parametrize("scale", [0.25, 0.5, 2, 6, 20])
def test_glyph_is_independent_of_size(scale):
    page = drawn(pen=17)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    assert alike(glyph_of(cv2.resize(page, None, fx=scale, fy=scale, interpolation=how)), glyph_of(page)) > 0.94


def test_glyph_is_normalised_as_in_mnist():
    glyph = glyph_of(drawn())
    rows, columns = np.nonzero(glyph > 0.1)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)
    steps = np.arange(28)
    assert abs(glyph.sum(axis=1) @ steps / glyph.sum() - 14) <= 0.51
    assert abs(glyph.sum(axis=0) @ steps / glyph.sum() - 14) <= 0.51
    again = glyph_of((glyph * 255).round().astype(np.uint8))
    assert np.abs(again - glyph).mean() < 0.01


@pytest.mark.parametrize("pen", [1, 2, 4, 8])
def test_thin_pen_strokes_become_as_wide_and_dark_as_in_mnist(pen):
    glyph = glyph_of(drawn(SEVEN, pen=pen))
    across = glyph[18:23].sum(axis=1)  # the stem
    assert across.min() > 1.2
    assert across.max() < 3
    assert glyph[18:23].max(axis=1).min() > 0.6


def test_bitmap_whose_strokes_touch_all_edges():
    bitmap = np.zeros((16, 16), np.uint8)
    bitmap[:, 6:10] = 255
    bitmap[0:2], bitmap[14:16] = 255, 255
    for source in (bitmap, 255 - bitmap):
        glyph = glyph_of(source)
        assert glyph[14, 14] > 0.9
        assert glyph[14, 6:10].max() < 0.1


# ---- surroundings of a digit


def lit(page, strength):
    height, width = page.shape
    rows, columns = np.mgrid[0:height, 0:width]
    light = 1 - strength * (0.6 * rows / height + 0.4 * columns / width)
    return (page * light).clip(0, 255).astype(np.uint8)


def shadowed(page):
    shade = np.where(np.arange(page.shape[1]) > 90, 0.5, 1.0)
    return (page * cv2.GaussianBlur(shade[None].repeat(len(page), 0), (0, 0), 4)).astype(np.uint8)


def grainy(page):
    noise = np.random.default_rng(1).normal(0, 6, page.shape)
    return (page * 0.9 + noise).clip(0, 255).astype(np.uint8)


def ruled(page):
    page = page.copy()
    for row in range(20, len(page), 26):
        cv2.line(page, (0, row), (page.shape[1], row + 2), 120, 1, cv2.LINE_AA)
    return page


def framed(page):
    page = page.copy()
    cv2.rectangle(page, (22, 14), (138, 182), 40, 2)
    return page


def speckled(page):
    page = page.copy()
    for x, y in np.random.default_rng(2).integers(5, 155, (25, 2)):
        cv2.circle(page, (int(x), int(y)), 1, 60, -1)
    return page


@pytest.mark.parametrize("thick", [2, 4, 8])
def test_box_around_a_digit_cut_out_of_a_form(thick):
    page = drawn()
    cv2.rectangle(page, (22, 14), (138, 182), 30, thick)
    assert alike(glyph_of(page[8:188, 16:144]), glyph_of(drawn())) > 0.9


def on_table(page, shade, *, margin=0.3, degrees=0):
    """The page on a table of this shade, which is `margin` wide in sides of the page."""
    height, width = page.shape
    dx, dy = round(margin * width), round(margin * height)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += dx, dy
    size = (width + 2 * dx, height + 2 * dy)
    return cv2.warpAffine(page, matrix, size, flags=cv2.INTER_LINEAR, borderValue=shade)


@pytest.mark.parametrize("shade", [20, 90, 150])
@pytest.mark.parametrize("degrees", [0, 12])
def test_sheet_on_a_table(shade, degrees):
    glyph = glyph_of(page_of(on_table(drawn(), shade, degrees=degrees)))
    assert alike(glyph, glyph_of(drawn())) > (0.85 if degrees == 0 else 0.4)


@pytest.mark.parametrize("side", [64, 72, 100, 180, 280])
@pytest.mark.parametrize("inverted", [False, True])
def test_tight_crops_of_any_size(side, inverted):
    page = drawn()
    x, y, width, height = cv2.boundingRect((page < 128).astype(np.uint8))
    crop = cv2.resize(page[y : y + height, x : x + width], (round(side * width / height), side))
    assert alike(glyph_of(page_of(255 - crop if inverted else crop)), glyph_of(drawn())) > 0.85


@pytest.mark.parametrize("thick", [1, 3, 5])
@pytest.mark.parametrize("near", [1, 4])
@pytest.mark.parametrize("side", range(4))
def test_line_of_a_cell_beside_the_digit(thick, near, side):
    page = drawn()[14:176, 24:136]
    turned = np.rot90(page, side).copy()
    turned[:, near : near + thick] = 90
    assert alike(glyph_of(np.rot90(turned, -side)), glyph_of(drawn())) > 0.9


def test_upright_stroke_from_edge_to_edge_is_a_one():
    page = np.full((100, 40), 240, np.uint8)
    page[:, 18:22] = 30
    box = find_digit(page).box
    assert (box.width, box.height) == (4, 100)


def test_ticks_of_an_empty_comb_are_print():
    page = np.full((160, 160), 245, np.uint8)
    page[135:137] = 170
    page[108:136, [50, 51, 104, 105]] = 170
    assert find_digit(page) is None
    page[60:134, 80:84] = 60  # a stroke as thin, but of a pen
    assert find_digit(page).box == Box(80, 60, 84, 134)


@pytest.mark.parametrize("edge", [60, 100])
def test_lit_part_of_a_blank_sheet_is_no_digit(edge):
    light = np.where(np.arange(160) > edge, 0.7, 1.0)
    page = (np.full((160, 160), 230) * cv2.GaussianBlur(light[None].repeat(160, 0), (0, 0), 3)).astype(np.uint8)
    views = views_of(page)
    assert views.found is None
    assert views.inverted is None


ZERO = [(0.5, 0.0), (0.9, 0.2), (1.0, 0.6), (0.75, 0.95), (0.3, 1.0), (0.0, 0.65), (0.1, 0.2), (0.5, 0.0)]


@pytest.mark.parametrize("shade", [45, 110])
def test_thick_zero_on_a_table(shade):
    page = drawn(ZERO, size=(200, 200), box=(60, 60, 80, 70), pen=24)
    assert alike(glyph_of(page_of(on_table(page, shade))), glyph_of(page)) > 0.9


@pytest.mark.parametrize("pen", [18, 30, 44])
@pytest.mark.parametrize("degrees", [-35, 0, 20, 45])
def test_light_zero_on_a_dark_page_is_no_sheet(pen, degrees):
    dark = 255 - drawn(ZERO, size=(280, 280), box=(80, 60, 120, 160), pen=pen)
    turn = cv2.getRotationMatrix2D((140, 140), degrees, 1)
    turned = cv2.warpAffine(dark, turn, (280, 280), borderMode=cv2.BORDER_REPLICATE)
    assert flatten_sheet(turned).page is turned


def test_hole_of_a_thick_zero_is_no_sheet():
    page = drawn(ZERO, size=(100, 118), box=(11, 11, 96, 78), pen=22)
    page[30:34, 60:70] = 30  # a spur into the hole
    box = find_digit(page_of(page)).box
    assert (box.width, box.height) >= (110, 95)


def test_paper_in_a_printed_box_is_no_sheet():
    page = drawn(size=(118, 127), box=(35, 30, 60, 60), pen=20)
    cv2.rectangle(page, (3, 3), (123, 114), 90, 3)
    box = find_digit(page_of(page)).box
    assert 60 < box.width < 90


def test_strokes_of_a_tight_crop_belong_together():
    page = np.full((64, 40), 238, np.uint8)
    cv2.polylines(page, [np.array([(3, 5), (20, 3), (36, 4)])], False, 40, 7)
    cv2.polylines(page, [np.array([(8, 26), (34, 30), (16, 42), (36, 52), (3, 60)])], False, 40, 7)
    assert find_digit(page).box == Box(0, 0, 40, 64)


@pytest.mark.parametrize("scale", [0.3, 1, 2])
@pytest.mark.parametrize("side", range(4))
def test_digit_cut_off_at_a_side(scale, side):
    page = np.rot90(cv2.resize(drawn(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), side)
    x, _, width, _ = cv2.boundingRect((page < 128).astype(np.uint8))
    assert find_digit(np.ascontiguousarray(page[:, x + width // 10 :])) is not None


def test_piece_of_a_digit_that_is_cut_off_stays_with_it():
    three = [(0.0, 0.0), (1.2, 0.05), (0.5, 0.4), (1.2, 0.7), (1.0, 1.0), (0.5, 1.0)]
    page = drawn(three, size=(60, 44), box=(14, 8, 30, 44), pen=5)
    cv2.line(page, (16, 44), (13, 50), 30, 5)
    box = find_digit(page).box
    assert (box.left, box.right) == (10, 44)
    assert box.top < 10


@pytest.mark.parametrize("size", [(96, 80), (200, 160), (400, 320)])
@pytest.mark.parametrize("depth", [0.3, 0.55])
def test_edge_of_a_shadow_across_the_digit(size, depth):
    page = cv2.resize(drawn(), size[::-1], interpolation=cv2.INTER_AREA)
    light = np.where(np.arange(size[1]) > 0.55 * size[1], 1 - depth, 1.0)
    shadow = (page * cv2.GaussianBlur(light[None].repeat(size[0], 0), (0, 0), size[1] / 80)).astype(np.uint8)
    assert alike(glyph_of(page_of(shadow)), glyph_of(drawn())) > 0.8


EDGES_AND_CORNERS = [(3, 150), (3, 355), (150, 355), (333, 355), (333, 150), (333, 3), (150, 3), (3, 3)]


@pytest.mark.parametrize("place", EDGES_AND_CORNERS, ids=["n", "ne", "e", "se", "s", "sw", "w", "nw"])
@pytest.mark.parametrize("pen", [1, 2, 4, 8, 14])
@pytest.mark.parametrize("light", [False, True])
def test_digit_near_an_edge_keeps_its_strokes(place, pen, light):
    page = np.full((400, 400), 245, np.uint8)
    top, left = (offset + (pen // 2 if offset < 200 else -(pen // 2)) for offset in place)
    cv2.polylines(page, [np.array([(left, top), (left + 42, top), (left + 12, top + 64)])], False, 30, pen)
    box = find_digit(page_of(255 - page if light else page)).box
    assert (box.width, box.height) >= (40, 60)


def sign(*, dot):
    """A question mark's hook above its dot, or a colon; `dot`: the radius of its dots."""
    page = np.full((200, 160), 250, np.uint8)
    cv2.circle(page, (80, 160), dot, 20, -1)
    return page


@pytest.mark.parametrize("square", [1.0, 0.7])
@pytest.mark.parametrize("place", [(376, 340), (22, 340), (376, 40), (200, 200)])
@pytest.mark.parametrize("loops", [((0, 0, 18, 14), (0, 33, 19, 19)), ((0, 20, 22, 33),)], ids=["8", "0"])
def test_loops_of_a_thin_pen_are_no_frame(square, place, loops):
    page = np.full((400, 400), 238, np.uint8)
    turn = np.linspace(0, 2 * np.pi, 60)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    around = np.sign(around) * np.abs(around) ** square
    for x, y, *radii in loops:
        points = np.array(place) + (x, y) + around * radii
        cv2.polylines(page, [points.round().astype(np.int32)], False, 40, 2)
    box = find_digit(page).box
    assert (box.width, box.height) == (box_of_ink(page).width, box_of_ink(page).height)


@pytest.mark.parametrize(
    ("seed", "ruling"), [(8, "comb"), (46, "squared"), (72, "comb"), (138, "squared"), (184, "comb")]
)
def test_pieces_of_pale_rules_are_no_digit(seed, ruling):
    rng = np.random.default_rng(16_000_000 + seed)
    scene = Scene.draw(rng)
    scene = replace(scene, paper=replace(scene.paper, ruling=ruling, frame=False))
    assert find_digit(page_of(picture("", seed=16_000_000 + seed, scene=scene).pixels)) is None


def test_parts_above_each_other_are_one_character():
    question = sign(dot=7)
    cv2.polylines(question, [np.array([(50, 50), (80, 30), (108, 50), (80, 82), (80, 105)])], False, 20, 10)
    assert find_digit(question).box.bottom > 160
    colon = sign(dot=7)
    cv2.circle(colon, (78, 50), 8, 20, -1)
    assert (find_digit(colon).box.top, find_digit(colon).box.bottom) == (42, 168)


def test_dust_and_a_line_of_writing_below_stay_out():
    digit = sign(dot=1)
    cv2.polylines(digit, [np.array([(50, 40), (110, 40), (70, 120)])], False, 20, 9)
    assert find_digit(digit).box.bottom < 130
    for x in range(20, 150, 18):
        cv2.line(digit, (x, 150), (x + 8, 165), 20, 4)
    assert find_digit(digit).box.bottom < 130


SURROUNDINGS = [lambda page: lit(page, 0.6), shadowed, grainy, ruled, framed, speckled]
NAMES = ["gradient", "shadow", "grain", "ruling", "frame", "specks"]


@pytest.mark.parametrize("around", SURROUNDINGS, ids=NAMES)
@pytest.mark.parametrize("inverted", [False, True])
def test_surroundings_of_a_digit_are_ignored(around, inverted):
    plain, seen = drawn(), around(drawn())
    glyph = glyph_of(255 - seen if inverted else seen)
    assert alike(glyph, glyph_of(plain)) > 0.85


@pytest.mark.parametrize("around", SURROUNDINGS, ids=NAMES)
@pytest.mark.parametrize("size", [(200, 160), (480, 640)])
def test_sheet_without_ink_is_blank(around, size):
    assert find_digit(page_of(around(np.full(size, 235, np.uint8)))) is None


@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize("size", [(1, 1), (28, 28), (300, 5), (600, 800)])
def test_uniform_picture_is_blank(level, size):
    assert find_digit(page_of(np.full(size, level, np.uint8))) is None


def test_floating_bar_of_a_five_belongs_to_it():
    crop = np.full((48, 48), 255, np.uint8)
    cv2.polylines(crop, [np.array([(14, 28), (24, 26), (28, 34), (22, 42), (14, 42)])], False, 0, 3, cv2.LINE_AA)
    below = find_digit(crop)
    cv2.line(crop, (16, 12), (30, 10), 0, 3, cv2.LINE_AA)
    whole = find_digit(crop)
    assert below is not None
    assert whole is not None
    assert (whole.box.top, whole.box.bottom) == (pytest.approx(9, abs=1), below.box.bottom)


def test_forty_megapixel_photo_is_read_like_a_small_one():
    page = np.full((5000, 8000), 220, np.uint8)
    page[2000:2200, 3000:3160] = drawn(paper=220)
    found = find_digit(page)
    assert found is not None
    assert abs(found.box.left - 3044) < 20
    assert alike(found.glyph, glyph_of(drawn())) > 0.85


# ---- views


def framed_as_mnist(strokes=TWO):
    """A picture of a glyph's size: 28x28, dark ink, the digit 20 px tall in its middle."""
    return drawn(strokes, size=(28, 28), box=(8, 4, 11, 19), pen=2, ink=0)


def striped(page):
    """Inverted at both sides, as in MNIST-C."""
    sides = np.ones(page.shape, bool)
    sides[:, 7:21] = False
    return np.where(sides, 255 - page, page)


def test_only_a_picture_of_glyph_size_has_another_view():
    (frame,) = views_of(framed_as_mnist()).others()
    assert np.allclose(frame, 1 - framed_as_mnist() / 255, atol=1e-6)
    for size in [(28, 29), (27, 28), (56, 56), (16, 16), (200, 160)]:
        assert views_of(cv2.resize(framed_as_mnist(), size)).others() == ()


@given(st.integers(0, 200), st.integers(20, 255))
@settings(max_examples=25, deadline=None)
def test_frame_is_independent_of_brightness_and_contrast(darkest, contrast):
    page = framed_as_mnist().astype(np.float32) / 255
    dim = np.rint(darkest + page * min(contrast, 255 - darkest)).astype(np.uint8)
    (plain,), (dimmed,) = views_of(framed_as_mnist()).others(), views_of(dim).others()
    assert np.abs(plain - dimmed).max() <= 0.5 / min(contrast, 255 - darkest) + 1e-6


@pytest.mark.parametrize("level", [0, 128, 255])
def test_empty_frame_has_no_view(level):
    views = views_of(np.full((28, 28), level, np.uint8))
    assert (views.found, views.others(), views.oversized) == (None, (), False)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("strokes", [TWO, SEVEN])
def test_inverted_bands_make_polarity_doubtful(strokes, inverted):
    seen = striped(framed_as_mnist(strokes))
    frames = views_of(page_of(255 - seen if inverted else seen)).others()
    true = 1 - seen / 255
    assert len(frames) == 2
    assert min(np.abs(frame - true).max() for frame in frames) < 1e-6
    assert np.allclose(frames[0] + frames[1], 1)


@pytest.mark.parametrize("mark", [[(1, 20), (9, 16), (18, 20), (26, 16)], [(0, 3), (27, 22)]])
def test_stroke_across_a_frame_makes_its_digit_oversized(mark):
    clean, crossed = framed_as_mnist(), framed_as_mnist()
    cv2.polylines(crossed, [np.array(mark)], False, 0, 1, cv2.LINE_AA)
    assert not views_of(clean).oversized
    assert views_of(crossed).oversized


def test_boxes_on_a_page_that_is_read_reduced_are_in_its_own_pixels():
    page = drawn(size=(4400, 4000), box=(1000, 750, 1200, 2000), pen=200)
    found = views_of(page).found
    assert found is not None
    expected = (1000 - 20, 850 - 100 - 20, 2200 + 20, 2750 + 60)
    assert np.allclose(found.box.as_list(), expected, atol=120)


def test_a_large_sheet_is_reduced_and_maps_back_to_the_picture():
    picture = np.full((4400, 4000), 70, np.uint8)
    picture[400:4000, 500:3500] = 240
    picture[1000:1100, 1000:3000] = 20
    flat = flatten_sheet(picture)
    assert flat.page.size < 16_000_000
    height, width = flat.page.shape
    corners = flat.to_original(Box(0, 0, width, height), size=picture.shape)
    assert np.allclose(corners.as_list(), [500, 400, 3500, 4000], atol=100)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pictures_of_32_bits_may_have_half_the_pixels(mode):
    with pytest.raises(ImageTooLarge, match=r"0\.02 Mpx allowed for colour"):
        page_of(encoded(Image.new(mode, (200, 160)), "TIFF"), limits=Limits(max_colour_mpx=0.04))


def test_large_page_is_never_oversized():
    found = FoundDigit(np.zeros((28, 28), np.float32), Box(0, 0, 100, 150))
    assert not Views(found, None).oversized


def test_reading_a_picture_leaves_no_file_open(tmp_path: Path):
    path = tmp_path / "page.tiff"
    path.write_bytes(encoded(drawn(), "TIFF"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        page_of(path)


@pytest.mark.parametrize("lean", [-0.6, 0.6])
def test_leaning_digit_is_also_seen_upright(lean):
    page = np.full((200, 260), 255, np.uint8)
    cv2.line(page, (round(130 + lean * 60), 40), (round(130 - lean * 60), 160), 0, 12)
    (upright,) = views_of(page).others()
    columns = np.flatnonzero((upright > 0.5).any(axis=0))
    assert np.ptp(columns) <= 8
    assert views_of(cv2.line(np.full((200, 260), 255, np.uint8), (130, 40), (130, 160), 0, 12)).others() == ()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_large_picture_is_converted_like_a_small_one(mode):
    small = Image.fromarray(np.random.default_rng(5).integers(0, 256, (1024, 1400), np.uint8))
    small = Image.fromarray(np.asarray(small).astype(np.uint16) * 257) if mode == "I;16" else small.convert(mode)
    large = Image.new(mode, (1400, 2048))
    if small.getpalette():
        large.putpalette(small.getpalette())
    large.paste(small, (0, 0))
    large.paste(small, (0, 1024))
    (page,) = open_pages(encoded(large, "TIFF"))
    assert np.array_equal(page, np.vstack([next(open_pages(encoded(small, "TIFF")))] * 2))


def test_decoded_picture_is_released_while_its_page_is_read():
    size = (1511, 1499)
    pages = open_pages(encoded(Image.new("L", size, 200)))
    page = next(pages)
    kept = [found for found in gc.get_objects() if issubclass(type(found), Image.Image) and found.size == size]
    assert page.shape == size[::-1]
    assert not kept
