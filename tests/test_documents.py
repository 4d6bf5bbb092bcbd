"""Documents: PDF and TIFF with many pages, whole, broken and hostile."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin, TiffTags

from handigit.errors import ImageError, ImageTooLarge, UnreadableImage
from handigit.images import Limits, decoder_process, open_pages

A4_POINTS = (595, 842)


def page_with(mark: int, size: tuple[int, int] = (300, 200)) -> np.ndarray:
    """A white page of (height, width) with a square of 40 px at a position that depends on the page."""
    page = np.full(size, 255, np.uint8)
    left = 10 + 40 * mark
    page[50:90, left : left + 40] = 0
    return page


def saved(pages: list[np.ndarray | Image.Image], form: str, **options: object) -> bytes:
    first, *rest = (page if isinstance(page, Image.Image) else Image.fromarray(page) for page in pages)
    file = io.BytesIO()
    first.save(file, form, save_all=True, append_images=rest, **options)
    return file.getvalue()


def pdf(content: bytes, *, size: tuple[float, float] = (200, 100), page: str = "", trailer: str = "") -> bytes:
    """A PDF of one page with these drawing operations, as small as PDFium still repairs it."""
    packed = zlib.compress(content, 1)
    return b"".join(
        (
            b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
            f"3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R{page}".encode(),
            f"/MediaBox[0 0 {size[0]} {size[1]}]>>endobj\n".encode(),
            f"4 0 obj<</Length {len(packed)}/Filter/FlateDecode>>stream\n".encode(),
            packed,
            f"\nendstream endobj\ntrailer<</Root 1 0 R{trailer}>>\n%%EOF".encode(),
        )
    )


SQUARE = b"20 30 40 50 re f"


def children() -> set[int]:
    """The running child processes of this one."""
    listing = Path(f"/proc/{os.getpid()}/task")
    found: set[int] = set()
    for task in listing.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread may end while we look
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


# ---- intact documents


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_document_yields_each_page_in_order(form):
    pages = [page_with(mark) for mark in range(4)]
    read = list(open_pages(saved(pages, form)))
    assert [page.shape for page in read] == [page.shape for page in pages]
    for page, original in zip(read, pages, strict=True):
        assert np.abs(page.astype(int) - original).mean() < 4  # Pillow writes PDFs as JPEG


def test_page_is_rendered_at_the_given_resolution():
    page = next(open_pages(pdf(SQUARE), limits=Limits(page_dpi=144)))
    assert page.shape == (200, 400)
    ink = cv2.boundingRect((page < 128).view(np.uint8))
    assert np.allclose(ink, (40, 40, 80, 100), atol=1)


def test_a4_has_four_megapixels_by_default():
    page = next(open_pages(pdf(SQUARE, size=A4_POINTS)))
    assert page.shape == (2339, 1653)


def test_rotated_page_is_rendered_upright():
    upright = next(open_pages(pdf(SQUARE)))
    turned = next(open_pages(pdf(SQUARE, page="/Rotate 90")))
    assert np.abs(np.rot90(upright, -1).astype(int) - turned).mean() < 1


def test_scan_is_rendered_at_most_at_its_own_resolution():
    scan = page_with(1, (300, 200))
    assert next(open_pages(saved([scan], "PDF", resolution=50))).shape == scan.shape
    assert next(open_pages(saved([scan], "PDF", resolution=400))).shape == (150, 100)


def test_polarity_is_normalised_page_by_page():
    pages = list(open_pages(saved([page_with(0), 255 - page_with(1)], "TIFF")))
    assert [int(page[0, 0]) for page in pages] == [255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "F", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_the_same_grey(mode):
    grey = Image.fromarray(page_with(2))
    if mode == "I;16":
        other = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        other = grey.convert("RGB").convert(mode) if mode in ("P", "CMYK") else grey.convert(mode)
    for page in open_pages(saved([other, other], "TIFF")):
        assert np.array_equal(page, np.asarray(grey))


def test_tiff_orientation_is_undone_on_every_page():
    page = page_with(0)
    stored = [Image.fromarray(np.ascontiguousarray(np.rot90(page))) for _ in range(2)]
    read = list(open_pages(saved(stored, "TIFF", tiffinfo={0x0112: 6})))
    assert all(np.array_equal(one, page) for one in read)


def test_path_bytes_and_stream_agree(tmp_path):
    data = saved([page_with(0), page_with(1)], "PDF")
    path = tmp_path / "scan of a page"
    path.write_bytes(data)
    behind = io.BytesIO(b"before" + data)
    behind.seek(6)
    sources = [path, str(path), data, bytearray(data), io.BytesIO(data), behind]
    answers = [list(open_pages(source)) for source in sources]
    with path.open("rb") as file:
        answers.append(list(open_pages(file)))
    for answer in answers:
        assert all(np.array_equal(one, other) for one, other in zip(answer, answers[0], strict=True))


def test_pdf_after_leading_bytes():
    assert next(open_pages(b"\r\n<<from the scanner>>\r\n" + pdf(SQUARE))).shape == (278, 556)


# ---- the decoder process


def test_decoder_process_ends_with_the_iterator():
    before = children()
    pages = open_pages(saved([page_with(mark) for mark in range(4)], "TIFF"))
    next(pages)
    assert len(children() - before) == 1
    pages.close()
    assert children() == before


def test_decoder_process_imports_nothing_of_ours():
    program = f"import runpy, sys; runpy.run_path({decoder_process.__file__!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"handigit", "numpy", "cv2", "PIL", "pypdfium2"} & set(loaded.split())


def test_decoder_process_prints_nothing(capfd):
    with pytest.raises(UnreadableImage):
        list(open_pages(b"%PDF-1.7 nothing more"))
    damaged = bytearray(saved([page_with(0), page_with(1)], "TIFF", compression="tiff_lzw"))
    damaged[20:200] = b"\xa5" * 180
    with contextlib.suppress(ImageError):
        list(open_pages(bytes(damaged)))
    assert capfd.readouterr() == ("", "")


# ---- damaged and hostile documents


def test_error_for_a_locked_pdf(tmp_path):
    key = "55" * 32
    path = tmp_path / "salary.pdf"
    path.write_bytes(pdf(SQUARE, trailer=f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{key}>/U<{key}>>>"))
    with pytest.raises(UnreadableImage, match=r"salary\.pdf: is locked with a password; save it without one"):
        list(open_pages(path))


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_error_names_a_truncated_document(tmp_path, form, share):
    noise = np.random.default_rng(0).integers(0, 256, (2, 90, 90), np.uint8)
    data = saved(list(noise), form)
    path = tmp_path / "scan"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadableImage, match="scan"):
        list(open_pages(path))


@pytest.mark.slow
@given(st.binary(min_size=1, max_size=60), st.sampled_from(["TIFF", "PDF"]), st.integers(10, 3000))
@settings(max_examples=40)
def test_damaged_files_always_raise_image_errors(noise, form, place):
    data = bytearray(saved([page_with(0, (60, 100)), page_with(1, (60, 100))], form))
    data[place : place + len(noise)] = noise
    with contextlib.suppress(ImageError):
        assert all(page.ndim == 2 for page in open_pages(bytes(data)))


def laughing(levels: int) -> bytes:
    """A PDF of two kB that draws a line 10^levels times: each form draws the next one ten times."""
    forms = []
    for level in range(levels):
        content = b"/X Do " * 10 if level < levels - 1 else b"0 0 m 9 9 l S"
        head = f"{5 + level} 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length {len(content)}"
        forms.append(f"{head}/Resources<</XObject<</X {6 + level} 0 R>>>>>>stream\n".encode() + content)
    return pdf(b"/X Do " * 10, page="/Resources<</XObject<</X 5 0 R>>>>").replace(
        b"trailer", b"\nendstream endobj\n".join([*forms, b"trailer"])
    )


def test_page_that_takes_too_long_kills_the_decoder():
    assert next(open_pages(laughing(2))).min() < 128
    before = children()
    with pytest.raises(UnreadableImage, match=r"page 1: took more than 0\.5 s to decode.*page_seconds"):
        list(open_pages(laughing(12), limits=Limits(page_seconds=0.5)))
    assert children() == before


def test_crashed_decoder_is_an_image_error():
    pages = open_pages(saved([np.full((2000, 2000), 255, np.uint8)] * 3, "TIFF"))  # more than a pipe holds
    before = children()
    next(pages)
    (child,) = children() - before
    os.kill(child, signal.SIGSEGV)
    with pytest.raises(UnreadableImage, match=r"page 2: crashed its decoder \(status -11\)"):
        next(pages)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's memory this way")
def test_decoder_process_limits_its_memory_and_time(tmp_path):
    limits = f"limits = __import__('runpy').run_path({decoder_process.__file__!r}); limits['confine'](2**28)"
    for work, last_words in (
        ("bytes(2**29)", "MemoryError"),
        ("limits['allow_seconds'](0)\nwhile True: pass", ""),
        (f"__import__('pathlib').Path({str(tmp_path / 'left')!r}).write_text('here')", "File too large"),
    ):
        end = subprocess.run(
            [sys.executable, "-I", "-c", f"{limits}\n{work}"], capture_output=True, text=True, timeout=300
        )
        assert end.returncode != 0
        assert last_words in end.stderr


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_too_many_pages_are_rejected_before_the_first(form):
    data = saved([page_with(0)] * 4, form)
    with pytest.raises(ImageTooLarge, match="more than the 3 pages allowed; split it, or raise the limit max_pages"):
        next(open_pages(data, limits=Limits(max_pages=3)))
    assert len(list(open_pages(data, limits=Limits(max_pages=4)))) == 4


def test_giant_page_is_rejected_before_rendering():
    with pytest.raises(ImageTooLarge, match="page 1: 40000 x 40000 has a side of more than 30,000"):
        list(open_pages(pdf(SQUARE, size=(14_400, 14_400))))


def test_large_tiff_page_is_rejected_after_earlier_pages_are_read():
    data = saved([page_with(0), np.full((900, 900), 255, np.uint8)], "TIFF")
    pages = open_pages(data, limits=Limits(max_grey_mpx=0.5))
    assert next(pages).shape == (300, 200)
    with pytest.raises(ImageTooLarge, match=r"page 2: 900 x 900 = 0\.8 Mpx is more than the 0\.5 Mpx"):
        next(pages)


def test_circular_tiff_directories_end():
    data = bytearray(saved([page_with(0), page_with(1)], "TIFF"))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    chain = first + 2 + 12 * entries
    second = int.from_bytes(data[chain : chain + 4], "little")
    entries = int.from_bytes(data[second : second + 2], "little")
    data[second + 2 + 12 * entries : second + 6 + 12 * entries] = first.to_bytes(4, "little")
    with contextlib.suppress(ImageError):
        assert len(list(open_pages(bytes(data)))) == 2


# ---- thumbnails, form fields, resolution


def test_reduced_copies_in_a_tiff_are_not_pages():
    large, small = Image.fromarray(page_with(0)), Image.fromarray(page_with(0)[::4, ::4].copy())
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file) as writer:
        for picture, subfile in ((large, 0), (small, 1), (large, 0)):
            picture.save(writer, "TIFF", tiffinfo={254: subfile})
            writer.newFrame()
    assert [page.shape for page in open_pages(file.getvalue())] == [page_with(0).shape] * 2


FORM = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR<</Font<</F 6 0 R>>>>/DA(/F 24 Tf 0 g)>>>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots[4 0 R]>> endobj
4 0 obj <</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(4711)/Rect[20 30 180 70]/P 3 0 R/F 4/DA(/F 24 Tf 0 g)/AP<</N 5 0 R>>>>
endobj
5 0 obj <</Type/XObject/Subtype/Form/BBox[0 0 160 40]/Resources<</Font<</F 6 0 R>>>>/Length 53>> stream
/Tx BMC q BT /F 24 Tf 0 g 4 10 Td (4711) Tj ET Q EMC
endstream endobj
6 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
trailer <</Root 1 0 R>>
"""


def test_form_fields_of_a_pdf_are_rendered():
    (page,) = open_pages(FORM)
    assert (page < 128).any()


def test_page_covered_by_a_scan_is_rendered_at_its_resolution():
    file = io.BytesIO()
    Image.new("L", (300, 200), 255).save(file, "PDF", resolution=72)  # a point per pixel
    (page,) = open_pages(file.getvalue())
    assert page.shape == (200, 300)


def test_subsampled_copies_in_a_tiffs_subdirectories_are_not_pages():
    """A pyramid: the first directory's tag 330 (SubIFDs) points to its reduced copy."""
    options = TiffImagePlugin.ImageFileDirectory_v2()
    options[330], options.tagtype[330] = 0, TiffTags.LONG
    file = io.BytesIO()
    small = Image.fromarray(page_with(0)[::4, ::4].copy())
    Image.fromarray(page_with(0)).save(file, "TIFF", tiffinfo=options, save_all=True, append_images=[small])
    data = bytearray(file.getvalue())
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    chain = first + 2 + 12 * entries
    (pointer,) = (at + 8 for at in range(first + 2, chain, 12) if data[at : at + 2] == (330).to_bytes(2, "little"))
    data[pointer : pointer + 4] = data[chain : chain + 4]
    data[chain : chain + 4] = bytes(4)
    assert [page.shape for page in open_pages(bytes(data))] == [page_with(0).shape]


def test_page_measured_in_pixels_with_a_text_layer_is_rendered_at_its_scans_resolution():
    scan = zlib.compress(page_with(0, (400, 600)).tobytes())
    content = b"q 6000 0 0 4000 0 0 cm /I Do Q BT /F 24 Tf 3 Tr 100 100 Td (248) Tj ET"
    parts = (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 6000 4000]/Contents 4 0 R",
        b"/Resources<</XObject<</I 5 0 R>>/Font<</F 6 0 R>>>>>>endobj\n",
        b"4 0 obj<</Length %d>>stream\n%s\nendstream endobj\n" % (len(content), content),
        b"5 0 obj<</Type/XObject/Subtype/Image/Width 600/Height 400/ColorSpace/DeviceGray/BitsPerComponent 8",
        b"/Filter/FlateDecode/Length %d>>stream\n%s\nendstream endobj\n" % (len(scan), scan),
        b"6 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    )
    (page,) = open_pages(b"".join(parts))
    assert page.shape == (400, 600)


def test_picture_of_a_phones_48_megapixels_is_read_by_default():
    file = io.BytesIO()
    picture = Image.new("RGB", (8064, 6048), (240, 236, 230))
    picture.paste((20, 20, 60), (1000, 1000, 1400, 1800))
    picture.save(file, "JPEG", quality=50)
    (page,) = open_pages(file.getvalue())
    height, width = page.shape
    assert width / height == pytest.approx(8064 / 6048, rel=0.01)
    assert page[round(1400 / 6048 * height), round(1200 / 8064 * width)] < 60
    assert width >= 4000
