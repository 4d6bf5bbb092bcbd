"""Decoding in a process of its own: the same pixels, no output, limits from the header, and an end at any time."""

import threading
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handigit.errors import ImageTooLarge, ReadingCancelled, UnreadableImage
from handigit.images import Limits, open_pages
from handigit.images import decode as decoding
from handigit.images.cancellation import Cancellation
from serving import encoded

ISOLATED = Limits(isolate=True)
SCENE = Image.effect_mandelbrot((90, 70), (-2, -1.2, 0.8, 1.2), 60)


@pytest.fixture
def none_is_small(monkeypatch) -> None:
    """Decode even the smallest picture apart."""
    monkeypatch.setattr(decoding, "SMALL_PX", 0)


def transparent() -> Image.Image:
    """A picture with an alpha channel."""
    picture = SCENE.convert("RGBA")
    picture.putalpha(SCENE.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    return picture


def rotated() -> bytes:
    """A photo that lies on its side by its EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(SCENE.convert("RGB"), "JPEG", exif=exif)


CASES: dict[str, Callable[[], bytes]] = {
    "grey PNG": lambda: encoded(SCENE),
    "colour PNG": lambda: encoded(Image.merge("RGB", [SCENE, SCENE.rotate(180), SCENE])),
    "palette PNG": lambda: encoded(SCENE.convert("P")),
    "transparent PNG": lambda: encoded(transparent()),
    "16-bit PNG": lambda: encoded(Image.fromarray(np.asarray(SCENE).astype(np.uint16) * 250)),
    "bilevel TIFF": lambda: encoded(SCENE.convert("1"), "TIFF"),
    "CMYK TIFF": lambda: encoded(SCENE.convert("CMYK"), "TIFF"),
    "float TIFF": lambda: encoded(SCENE.convert("F"), "TIFF"),
    "colour JPEG": lambda: encoded(SCENE.convert("RGB"), "JPEG"),
    "rotated JPEG": rotated,
    "WebP": lambda: encoded(SCENE.convert("RGB"), "WEBP"),
    "BMP": lambda: encoded(SCENE.convert("RGB"), "BMP"),
}


@pytest.mark.usefixtures("none_is_small")
@pytest.mark.parametrize("name", CASES)
def test_a_picture_decoded_apart_has_the_same_pixels(name) -> None:
    content = CASES[name]()
    (apart,), (here,) = open_pages(content, limits=ISOLATED), open_pages(content)
    assert np.array_equal(apart, here)


@pytest.mark.usefixtures("none_is_small")
def test_a_file_is_read_from_its_current_position() -> None:
    file = BytesIO(b"before" + CASES["grey PNG"]())
    file.seek(6)
    (page,) = open_pages(file, limits=ISOLATED)
    assert page.shape == (70, 90)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "side"), [("RGB", 4990), ("RGBA", 4080)])
def test_the_largest_webp_is_read(mode, side) -> None:
    """Pillow's and OpenCV's decoders together would take more memory than it may have."""
    picture = Image.new(mode, (side, side), "white")
    if mode == "RGBA":
        picture.putpixel((0, 0), (0, 0, 0, 0))
    (page,) = open_pages(encoded(picture, "WEBP", method=0), limits=ISOLATED)
    assert page.shape == (side, side)
    with pytest.raises(ImageTooLarge, match="more memory than allowed"):
        list(open_pages(encoded(picture.resize((side + 30, side + 30)), "WEBP", method=0), limits=ISOLATED))


def test_what_libtiff_prints_does_not_reach_standard_error(capfd) -> None:
    content = bytearray(encoded(SCENE, "TIFF", compression="raw"))
    (page,) = open_pages(bytes(content), limits=ISOLATED)
    assert page.shape == (70, 90)
    tag = content.index(b"\x03\x01\x03\x00\x01\x00\x00\x00")
    content[tag + 8] = 4  # fax compression, which needs one bit per pixel
    with pytest.raises(UnreadableImage):
        list(open_pages(bytes(content), limits=ISOLATED))
    assert capfd.readouterr().err == ""


def header_of(width: int, height: int) -> bytes:
    """A PNG that declares a size and has no pixels."""
    content = bytearray(encoded(SCENE))
    content[16:24] = width.to_bytes(4) + height.to_bytes(4)
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


@pytest.mark.parametrize("limits", [Limits(), ISOLATED], ids=["here", "apart"])
@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (90_000_000, 1, "a side of more than 30,000"),
        (2, 40_000_000, "a side of more than 30,000"),
        (30_000, 200, "100 times as long"),
        (9_000, 9_000, "Mpx"),
    ],
)
def test_extreme_sizes_are_refused_by_the_header(limits, width, height, message) -> None:
    with pytest.raises(ImageTooLarge, match=message):
        list(open_pages(header_of(width, height), limits=limits))


def test_a_jpeg_without_data_is_refused_by_its_header() -> None:
    content = bytearray(encoded(SCENE.convert("RGB"), "JPEG"))
    size = content.index(b"\xff\xc0") + 5
    content[size : size + 4] = (5_000).to_bytes(2) * 2
    with pytest.raises(UnreadableImage, match="truncated"):
        list(open_pages(bytes(content), limits=ISOLATED))


def endless_pdf() -> bytes:
    """A PDF whose page draws two forms that draw each of two forms, 30 levels deep."""
    depth = 30
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>>>",
        b"<</Length 6>>stream\n/F Do \nendstream",
    ]
    for level in range(depth):
        stream = b"/F Do /F Do " if level + 1 < depth else b"0 0 1 1 re f"
        resources = b"/Resources<</XObject<</F %d 0 R>>>>" % (6 + level) if level + 1 < depth else b""
        head = b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]%b/Length %d>>" % (resources, len(stream))
        objects.append(head + b"stream\n" + stream + b"\nendstream")
    body = b"".join(b"%d 0 obj%b endobj\n" % (number, content) for number, content in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer<</Root 1 0 R>>"


def test_an_endless_page_is_named_with_its_time() -> None:
    with pytest.raises(UnreadableImage, match=r"page 1: took more than 0\.5 s"):
        list(open_pages(endless_pdf(), limits=Limits(page_seconds=0.5)))


def test_another_thread_can_end_a_decoding(tmp_path) -> None:
    (tmp_path / "endless.pdf").write_bytes(endless_pdf())
    cancellation, errors = Cancellation(), []

    def decode(path: Path) -> None:
        try:
            with cancellation.active():
                list(open_pages(path, limits=Limits(page_seconds=300)))
        except ReadingCancelled as error:
            errors.append(error)

    thread = threading.Thread(target=decode, args=(tmp_path / "endless.pdf",), daemon=True)
    thread.start()
    cancellation.cancel()
    thread.join(60)
    assert len(errors) == 1
