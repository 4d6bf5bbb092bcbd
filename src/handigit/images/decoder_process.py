"""A process of its own that decodes one document: PDF or TIFF on standard input, its pages on standard output.

    python -I decoder_process.py '{"kind": "pdf", "dpi": 200, "max_pages": 1000, "memory_bytes": 2e9}' <FILE

Hostile files break decoders; here they break only this. So it imports nothing of ours and nothing that it does not
need, limits itself before it looks at the file, and is killed when its parent is done or tired of waiting. It knows no
limit on pixels: it tells a page's size before it decodes it, and the parent decides.

Says, one JSON object a line: `{"mode", "width", "height"}` before each page; `{"bytes"}` and then as many, its pixels;
`{"end": true}` after the last; or `{"problem", "detail"}` once, where "problem" is password, pages, memory or damaged.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any

OPEN_FILES = 64
"""PDFs without fonts of their own have some of the system's opened."""

PAGES_AN_OPENING = 16
"""A PDF is opened anew after so many pages: PDFium keeps all that it has read of an open one."""


class Refused(Exception):
    """A document that is not decoded, and why: `problem` is one of the words that the parent knows."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(detail)
        self.problem = problem


@dataclass(frozen=True)
class Frame:
    """A page that is still to be decoded: Pillow's mode, (width, height), and what gives the pixels."""

    mode: str
    size: tuple[int, int]
    pixels: Callable[[], bytes]


def main() -> None:
    """Decode what is on standard input as the first argument says."""
    order = json.loads(sys.argv[1])
    confine(int(order["memory_bytes"]))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    os.lseek(0, 0, os.SEEK_SET)
    try:
        # Not as number 0, which Pillow takes for none: it would read the whole file into memory for each page.
        file = os.fdopen(os.dup(0), "rb")
        send(FRAMES[order["kind"]](file, order), out, page_seconds=order["page_seconds"])
    except Refused as refusal:
        tell(out, problem=refusal.problem, detail=str(refusal))
    except MemoryError:
        tell(out, problem="memory", detail="")
    except Exception as problem:  # decoders raise nearly anything
        tell(out, problem="damaged", detail=str(problem))


def send(frames: Iterator[Frame], out: IO[bytes], *, page_seconds: float) -> None:
    """Decode page after page, each as soon as the parent has taken the one before."""
    allow_seconds(page_seconds)
    for frame in frames:
        tell(out, mode=frame.mode, width=frame.size[0], height=frame.size[1])
        pixels = frame.pixels()
        tell(out, bytes=len(pixels))
        out.write(pixels)
        out.flush()
        allow_seconds(page_seconds)
    tell(out, end=True)


def tell(out: IO[bytes], **what: object) -> None:
    """One line of JSON."""
    out.write(json.dumps(what).encode() + b"\n")
    out.flush()


def confine(memory_bytes: int) -> None:
    """Take from this process what decoding does not need; Windows knows no such limits."""
    with suppress(ImportError):
        import resource

        for kind, value in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # a hard limit below ours: then that one holds
                resource.setrlimit(kind, (value, value))


def allow_seconds(seconds: float) -> None:
    """So much processor time from now on, should nobody be left to end this process."""
    with suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime + seconds)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def pdf_frames(file: IO[bytes], order: dict[str, Any]) -> Iterator[Frame]:
    """The pages of a PDF, rendered in grey."""
    document = opened_pdf(file)
    count = len(document)
    refuse_too_many(count, order["max_pages"])
    if not count:
        raise Refused("damaged", "it has no pages")
    for number in range(count):
        if number and number % PAGES_AN_OPENING == 0:
            document.close()
            document = opened_pdf(file)
        page = document[number]
        scale = pixels_a_point(page, order["dpi"])
        size = math.ceil(page.get_width() * scale), math.ceil(page.get_height() * scale)
        yield Frame("L", size, partial(rendered, page, scale))
        page.close()


def opened_pdf(file: IO[bytes]) -> Any:
    """PDFium's view of the document."""
    import pypdfium2  # type: ignore[import-untyped]

    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as problem:
        locked = problem.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
        raise Refused("password" if locked else "damaged", str(problem)) from None


def pixels_a_point(page: Any, dpi: float) -> float:
    """The scale of rendering; a page that is one scanned picture is rendered no finer than it was scanned."""
    import pypdfium2

    scale = dpi / 72
    objects = list(islice(page.get_objects(max_depth=2), 2))
    alone = len(objects) == 1 and not pypdfium2.raw.FPDFPage_GetAnnotCount(page)
    if alone and isinstance(objects[0], pypdfium2.PdfImage):
        left, bottom, right, top = objects[0].get_bounds()
        scale = min(scale, max(objects[0].get_px_size()) / max(right - left, top - bottom))
    return scale


def rendered(page: Any, scale: float) -> bytes:
    """A page's grey pixels, row by row without padding."""
    bitmap = page.render(scale=scale, grayscale=True, limit_image_cache=True)
    rows = memoryview(bitmap.buffer).cast("B")
    width, stride = bitmap.width, bitmap.stride
    pixels = b"".join(rows[row * stride : row * stride + width] for row in range(bitmap.height))
    bitmap.close()
    return pixels


def tiff_frames(file: IO[bytes], order: dict[str, Any]) -> Iterator[Frame]:
    """The pages of a TIFF, turned as their orientation says."""
    from PIL import Image, TiffImagePlugin

    Image.MAX_IMAGE_PIXELS = None  # the parent judges sizes
    picture = TiffImagePlugin.TiffImageFile(file)
    count = 0
    with suppress(EOFError):
        for count in range(1, order["max_pages"] + 2):
            picture.seek(count)
    refuse_too_many(count, order["max_pages"])
    for number in range(count):
        picture.seek(number)
        yield Frame(plain_mode(picture), picture.size, partial(plain_pixels, picture))


def refuse_too_many(count: int, most: int) -> None:
    """Refuse a document with more pages than are wanted."""
    if count > most:
        raise Refused("pages", str(count))


def plain_mode(picture: Any) -> str:
    """The mode in which a picture is sent: pixels that mean something without a palette."""
    if picture.mode not in ("P", "PA"):
        return str(picture.mode)
    return "RGBA" if picture.has_transparency_data else "RGB"


def plain_pixels(picture: Any) -> bytes:
    """The pixels in that mode."""
    mode = plain_mode(picture)
    picture.load()
    return bytes((picture if picture.mode == mode else picture.convert(mode)).tobytes())


FRAMES = {"pdf": pdf_frames, "tiff": tiff_frames}

if __name__ == "__main__":
    main()
