"""Documents (PDF, TIFF with many pages) -> their pages as Pillow images, one at a time, decoded by a child process.

It knows how to start the child, what to allow it, how long to wait, and what its end means. What goes on inside the
child is in `decoder_process.py`; what is made of the pages is told elsewhere.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import count
from pathlib import Path
from threading import Event, Timer
from typing import Any, Final, Literal

from PIL import Image

from handigit.errors import ImageTooLarge, UnreadableImage
from handigit.images.limits import Limits

Kind = Literal["pdf", "tiff"]
ALLOWED: Final = "PNG, JPEG, TIFF, WebP or BMP"
"""The pictures that can be given instead of a document."""

_CHILD: Final = Path(__file__).with_name("decoder_process.py")
_CHILD_BYTES: Final = 512 * 2**20
"""Address space for Python, the decoders and the fonts; resident is about a tenth of it."""
_PIXEL_BYTES: Final = 12
"""Address space for each pixel of the largest page: a scan in colour, its rendering, and copies on the way."""
_LONGEST_LINE: Final = 4096
_INSTEAD: Final = f"save it anew, or give its pages as {ALLOWED} pictures"


def document_frames(file: Any, *, kind: Kind, name: str, limits: Limits) -> Iterator[Image.Image]:
    """The pages of the document in a seekable binary file, which is read from where it stands.

    The child decodes one page ahead at most. It ends when the iterator is closed, and is killed when a page takes too
    long; its limits on memory and processor time do not hold on Windows.

    Raises:
        UnreadableImage: damaged, locked with a password, or what breaks the decoder or takes it too long.
        ImageTooLarge: more pages than `limits` allow, or a page with more pixels; that page was not taken.
    """
    with _standard_input(file) as stdin, _child(stdin, kind, limits) as child:
        for number in count(1):
            with _deadline(child, limits.page_seconds) as late:
                frame = _next_frame(child, late, name=name, number=number, limits=limits)
            if frame is None:
                return
            yield frame


@contextmanager
def _standard_input(file: Any) -> Iterator[Any]:
    """A file of the operating system with the document from its start: the file itself, or a temporary copy."""
    if isinstance(file, BufferedReader) and file.tell() == 0:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy


@contextmanager
def _child(stdin: Any, kind: Kind, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """The decoding process, at work; killed at the end, whatever state it is in."""
    largest = max(limits.max_grey_mpx, limits.max_colour_mpx) * 1e6
    order = {
        "kind": kind,
        "dpi": limits.page_dpi,
        "max_pages": limits.max_pages,
        "page_seconds": limits.page_seconds,
        "memory_bytes": _CHILD_BYTES + _PIXEL_BYTES * largest,
    }
    # By its path and not as a module, because that would import the whole package: a quarter of a second.
    command = [sys.executable, "-I", "-B", str(_CHILD), json.dumps(order)]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def _deadline(child: subprocess.Popen[bytes], seconds: float) -> Iterator[Event]:
    """Kill the child if the work inside takes longer; the event says that it did."""
    late = Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _next_frame(
    child: subprocess.Popen[bytes], late: Event, *, name: str, number: int, limits: Limits
) -> Image.Image | None:
    """What the child says next: a page, or None after the last."""
    assert child.stdout is not None
    page = f"{name}, page {number}"
    try:
        header = _told(child.stdout)
        if "end" in header:
            return None
        size = int(header["width"]), int(header["height"])
        limits.check_size(size, mode=str(header["mode"]), name=page)
        length = int(_told(child.stdout)["bytes"])
        pixels = child.stdout.read(min(length, 4 * size[0] * size[1]))
        return Image.frombuffer(str(header["mode"]), size, pixels)
    except _Problem as problem:
        raise problem.as_error(name, page, limits) from None
    except (ValueError, KeyError):  # cut short, or no answer at all: the child is dead or out of its mind
        if late.is_set():
            raise _too_slow(page, limits) from None
        raise UnreadableImage(
            f"{page}: ended the process that decoded it (status {_status(child)}); it is damaged, made to do harm, or "
            f"needs too much memory: {_INSTEAD}"
        ) from None


class _Problem(Exception):
    """What the child refuses, in its words."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word

    def as_error(self, name: str, page: str, limits: Limits) -> UnreadableImage | ImageTooLarge:
        """The same for the user."""
        if self.word == "password":
            return UnreadableImage(f"{name}: is locked with a password; save it without one, and give that")
        if self.word == "pages":
            return ImageTooLarge(
                f"{name}: has more than the {limits.max_pages} pages allowed; split it, or raise HANDIGIT_MAX_PAGES"
            )
        if self.word == "memory":
            return ImageTooLarge(f"{page}: needs more memory than a page may take; scale it down")
        return UnreadableImage(f"{page}: is truncated or damaged ({self}); {_INSTEAD}")


def _told(stdout: Any) -> dict[str, Any]:
    """The child's next line.

    Raises:
        ValueError: no whole line of JSON.
        _Problem: the child refuses the document.
    """
    said = json.loads(stdout.readline(_LONGEST_LINE))
    if not isinstance(said, dict):
        raise ValueError(f"the child said {said!r}, which is no object")
    if "problem" in said:
        raise _Problem(str(said["problem"]), str(said.get("detail", "")))
    return said


def _too_slow(page: str, limits: Limits) -> UnreadableImage:
    return UnreadableImage(
        f"{page}: took more than {limits.page_seconds:g} s to decode; it may be made to hang: {_INSTEAD}, or raise "
        "HANDIGIT_PAGE_SECONDS"
    )


def _status(child: subprocess.Popen[bytes]) -> int:
    child.kill()
    return child.wait()
