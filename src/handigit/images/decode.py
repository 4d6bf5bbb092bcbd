"""Bytes, files, Pillow images and arrays -> pages: grey, upright, ink dark on light.

The format is detected from the first bytes, never from a file's name, and a picture that is too large is rejected by
its header. PDFs and multi-page TIFFs are decoded by `documents`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import SEEK_END, BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from handigit.errors import ImageError, ImageTooLarge, UnreadableImage
from handigit.images.documents import SUPPORTED, DocumentFormat, Frame, document_frames
from handigit.images.grey import DEEP_MODES, STRIP_PX, as_array, eight_bits, grey_of_array, without_alpha
from handigit.images.limits import DEFAULT_LIMITS, SMALL_BYTES, SMALL_PX
from handigit.images.limits import Limits as Limits
from handigit.images.sheet import normalise_polarity


@runtime_checkable
class Stream(Protocol):
    """An open binary file, or an object that behaves like one."""

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes; all remaining ones without a size."""
        ...


@runtime_checkable
class ArrayLike(Protocol):
    """A tensor, or a row of a table."""

    def __array__(self) -> np.ndarray:
        """The values as an array."""
        ...


Source = str | Path | bytes | bytearray | memoryview | Stream | Image.Image | np.ndarray | Sequence[Any] | ArrayLike
"""The types that a picture may be given as."""

# Called directly: `Image.open` would apply Pillow's process-wide bomb limit before ours.
_PLUGINS: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"GIF8": GifImagePlugin.GifImageFile,
}
_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1")
"""Brands of HEIF files, from byte 4 on: what iPhones save."""
_MAX_JPEG_PX_PER_BYTE = 1024
"""A JPEG has at least a bit for each block of 64 pixels; libjpeg fills in missing blocks without an error."""
_MAX_HERE_BYTES = 60_000_000
"""Memory up to which a picture is decoded in this process."""
_COLOUR_BYTES, _PROGRESSIVE_BYTES, _WEBP_BYTES = 4, 5, 16
"""Bytes per pixel that Pillow takes."""
_PDF_WITHIN = 1024
"""Maximum offset of a PDF's signature: mailers and printers put bytes before it."""
_EXIF_ORIENTATION = 0x0112
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda page: np.rot90(page, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda page: np.rot90(page, -1),
    7: lambda page: np.rot90(page, 2).T,
    8: np.rot90,
}
"""The inverse of each EXIF orientation."""


def open_pages(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[UInt8[np.ndarray, "height width"]]:
    """Yield the pages of a picture or document, grey with dark ink, one at a time.

    A Pillow image yields its current frame, an animation its first. Arrays, and objects that convert to one (lists,
    tensors, rows of a table), may be of any number type and shape that `grey_of_array` accepts. PDFs and multi-page
    TIFFs are decoded in a separate process, which ends with the iterator.

    Raises:
        UnreadableImage: empty, truncated, locked with a password, or not a picture in one of the supported formats.
        ImageTooLarge: more pixels, or more pages, than `limits` allow; detected before decoding.
        ImageError: an array of another shape.
    """
    yield from map(normalise_polarity, open_grey(source, limits=limits))  # keeps no reference to a page in use


def open_grey(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[UInt8[np.ndarray, "height width"]]:
    """As `open_pages`, but with ink and paper as they are."""
    if isinstance(source, Image.Image):
        yield _page_of_image(source, limits)
    elif isinstance(source, np.ndarray | list | tuple) or hasattr(source, "__array__"):
        yield grey_of_array(as_array(source))
    else:
        with _opened(cast("Any", source)) as (file, name):
            yield from _pages_of_file(file, name, limits)


def _pages_of_file(file: Any, name: str, limits: Limits) -> Iterator[UInt8[np.ndarray, "height width"]]:
    start = file.tell()
    head = file.read(_PDF_WITHIN)
    file.seek(start)
    plugin = _plugin_for(head)
    if plugin is None and b"%PDF-" in head:
        yield from _decode_apart(file, "pdf", name, limits)
        return
    if head.startswith(_HEIF_BRANDS, 4):
        if find_spec("pillow_heif") is None:
            raise UnreadableImage(f'{name}: is an HEIC picture; to read them: pip install "handigit[heic]"')
        yield from _decode_apart(file, "picture", name, limits, picture="HEIF")
        return
    picture = _recognise(file, plugin, head, name)
    if isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.is_animated:
        file.seek(start)
        yield from _decode_apart(file, "tiff", name, limits)
    elif _takes_much(picture) or (limits.isolate and not _is_small(picture, _size_from(file, start))):
        limits.check_size(picture.size, mode=_decoded_mode(picture), name=name)
        if (
            picture.format == "JPEG"
            and _size_from(file, start) * _MAX_JPEG_PX_PER_BYTE < picture.width * picture.height
        ):
            raise UnreadableImage(f"{name}: is truncated (its data is too short); get or save the picture again")
        file.seek(start)
        yield from _decode_apart(file, "picture", name, limits, picture=str(picture.format))
    else:
        pictures = [picture]
        del picture  # or it would keep its pixels while the page is read
        yield _page(pictures.pop(), name, limits)


def _decoded_mode(picture: Image.Image) -> str:
    """The mode in which a picture is decoded: of a JPEG only the luma."""
    return "L" if picture.format == "JPEG" and picture.mode == "RGB" else picture.mode


def _size_from(file: Any, start: int) -> int:
    """Bytes from `start` to the end; the position stays: a plugin that has read the header continues there."""
    position = file.tell()
    size = int(file.seek(0, SEEK_END)) - start
    file.seek(position)
    return size


def _is_small(picture: ImageFile, size: int) -> bool:
    """Whether decoding is quick, takes little memory and is silent; libtiff prints to standard error."""
    pixels = picture.width * picture.height
    return size <= SMALL_BYTES and pixels <= SMALL_PX and not isinstance(picture, TiffImagePlugin.TiffImageFile)


def _takes_much(picture: ImageFile) -> bool:
    """Whether decoding would take much more memory here than in the process made for it."""
    if picture.format == "WEBP":
        per_pixel = _WEBP_BYTES
    elif picture.info.get("progressive"):
        per_pixel = _PROGRESSIVE_BYTES
    else:
        per_pixel = 1 if _decoded_mode(picture) in ("1", "L") else _COLOUR_BYTES
    return picture.width * picture.height * per_pixel > _MAX_HERE_BYTES


def _decode_apart(
    file: Any,
    format_: DocumentFormat,
    name: str,
    limits: Limits,
    picture: str = "",
) -> Iterator[UInt8[np.ndarray, "height width"]]:
    """The pages that another process decodes."""
    frames = document_frames(file, format_=format_, name=name, limits=limits, picture=picture)
    yield from map(_page_of_frame, frames)  # keeps no reference to the frame while the page is used


def _page_of_frame(frame: Frame) -> UInt8[np.ndarray, "height width"]:
    if frame.mode == "L":
        grey = frame.pixels
    elif frame.mode == "LA":
        grey = without_alpha(frame.pixels[..., 0], frame.pixels[..., 1])
    else:
        grey = eight_bits(frame.pixels)
    rotate = _TURNS.get(frame.orientation)
    return np.ascontiguousarray(rotate(grey)) if rotate else grey


@dataclass(frozen=True, slots=True)
class Header:
    """Format ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "HEIF" or "PDF") and number of pixels by a file's header.

    `pixels` is 0 where the header lacks it: PDF, HEIF, or a damaged file. Only TIFF and PDF may have several pages.
    """

    format: str
    pixels: int


def peek(content: bytes) -> Header | None:
    """The header of a file, without decoding it; None for an unsupported format."""
    plugin = _plugin_for(content)
    if plugin is None:
        if content.startswith(_HEIF_BRANDS, 4):
            return Header("HEIF", 0)
        return Header("PDF", 0) if b"%PDF-" in content[:_PDF_WITHIN] else None
    try:
        picture = plugin(BytesIO(content), "")
    except Exception:  # Pillow's plugins raise nearly anything on broken files
        return Header(str(plugin.format), 0)
    return Header(str(plugin.format), picture.width * picture.height)


def _plugin_for(head: bytes) -> type[ImageFile] | None:
    return next((plugin for magic, plugin in _PLUGINS.items() if head.startswith(magic)), None)


@contextmanager
def _opened(source: str | Path | bytes | bytearray | memoryview | Stream) -> Iterator[tuple[Any, str]]:
    """A seekable stream with the picture, and its name for error messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield BytesIO(source), f"the picture given as {len(source)} bytes"
    elif isinstance(source, str | Path):
        with _open_file(Path(source)) as file:
            yield (file if file.seekable() else BytesIO(file.read())), str(source)
    elif isinstance(source, Stream):
        name = str(getattr(source, "name", "the picture given as a file object"))
        seekable = getattr(source, "seekable", None)
        yield (source if seekable and seekable() else BytesIO(source.read())), name
    else:
        raise ImageError(
            f"cannot read a picture from {type(source).__name__}; "
            "give a path, bytes, a file object, a Pillow image or a uint8 array"
        )


def _open_file(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as problem:
        raise UnreadableImage(f"{path}: cannot be opened: {problem.strerror}; check the path") from None


def _recognise(file: Any, plugin: type[ImageFile] | None, head: bytes, name: str) -> ImageFile:
    """The picture with its header parsed and nothing decoded."""
    if not head:
        raise UnreadableImage(f"{name}: is empty; give a PDF or a {SUPPORTED} picture")
    if plugin is None:
        raise UnreadableImage(
            f"{name}: is not a PDF or a {SUPPORTED} picture (it starts {head[:8]!r}); save it as one of these"
        )
    with _named_errors(name):
        return plugin(file, name)


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Convert all of Pillow's errors into ours: on broken files its plugins raise nearly anything."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as problem:
        raise ImageTooLarge(f"{name}: {problem}; scale it down") from None
    except Exception as problem:
        raise UnreadableImage(f"{name}: is truncated or damaged ({problem}); get or save the picture again") from None


def _page_of_image(picture: Image.Image, limits: Limits) -> UInt8[np.ndarray, "height width"]:
    """The current frame of a Pillow image, which is only loaded, never changed."""
    name = "the Pillow image"
    limits.check_size(picture.size, mode=picture.mode, name=name)
    with _named_errors(name):
        picture.load()
        frame = _frame_of(picture, orientation=1 if picture.format == "TIFF" else _orientation(picture))
    return _page_of_frame(frame)


def _page(picture: Image.Image, name: str, limits: Limits) -> UInt8[np.ndarray, "height width"]:
    """Decode the picture of a file."""
    limits.check_size(picture.size, mode=_decoded_mode(picture), name=name)
    with _named_errors(name):
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            # Allocated here: Pillow's plugin would check the size against its own limit, not ours.
            picture.im = Image.new(picture.mode, picture._tile_size).im
        elif isinstance(picture, JpegImagePlugin.JpegImageFile) and picture.mode == "RGB":
            picture.draft("L", picture.size)  # decodes the stored luma only: twice as fast, less memory
        picture.load()
        frame = _frame_of(picture, orientation=_orientation(picture))
    del picture
    return _page_of_frame(frame)


def _frame_of(picture: Image.Image, *, orientation: int) -> Frame:
    """A loaded picture's pixels as grey, with its alpha if it has any; a large one is copied strip by strip."""
    mode = picture.mode if picture.mode in DEEP_MODES else "LA" if picture.has_transparency_data else "L"
    (width, height), rows = picture.size, max(1, STRIP_PX // picture.width)
    if rows >= height:
        return Frame(mode, np.array(_converted(picture, mode)), orientation)
    first = np.asarray(_converted(picture.crop((0, 0, width, 1)), mode))
    pixels = np.empty((height, *first.shape[1:]), first.dtype)
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(_converted(strip, mode))
    return Frame(mode, pixels, orientation)


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in a mode of `Frame`; Pillow converts some modes to grey only by way of colour."""
    if mode == "LA" and picture.mode not in ("LA", "RGBA"):
        picture = picture.convert("RGBA")
    elif mode == "L" and picture.mode not in ("1", "L", "RGB"):
        picture = picture.convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation; 1 without any, and for a TIFF, which Pillow rotates itself."""
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF raises nearly anything, and the pixels are usable without it
        return 1
