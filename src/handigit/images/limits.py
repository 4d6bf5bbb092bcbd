"""Limits on the size of pictures and documents."""

from dataclasses import dataclass
from typing import Final

from handigit.errors import ImageTooLarge

_GREY_MODES: Final = frozenset({"1", "L"})
"""Pictures with transparency or 16 bits per pixel count as colour: they take as much memory."""
_DEEP_MODES: Final = frozenset({"I", "F"})
"""32 bits per pixel."""
MAX_SIDE_PX: Final = 30_000
"""A0 at 600 dpi. Work and memory per row or column would else exceed those for the pixels."""
MAX_ASPECT: Final = 100
_STRIP_PX: Final = 1_000_000
"""Pixels up to which the shape of a picture is of no concern."""
SMALL_BYTES: Final = 256 * 1024
SMALL_PX: Final = 2_000_000
"""A picture up to these sizes is decoded in milliseconds and a few megabytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on pictures and documents.

    Attributes:
        max_grey_mpx: Largest grey picture in millions of pixels; A3 at 600 dpi has 70.
        max_colour_mpx: Largest colour picture, for which Pillow takes four bytes per pixel; half of it for 32 bits.
        max_pages: Maximum number of pages of a PDF or TIFF.
        page_dpi: Resolution at which PDF pages are rendered; an A4 page has 3.9 Mpx at 200.
        page_seconds: Maximum time per page that is decoded in a process of its own.
        isolate: Decode every picture that is not small in a process of its own, as a server should.
    """

    max_grey_mpx: float = 72
    max_colour_mpx: float = 36
    max_pages: int = 1000
    page_dpi: float = 200
    page_seconds: float = 8
    isolate: bool = False

    def check_size(self, size: tuple[int, int], *, mode: str, name: str) -> None:
        """Check a picture's (width, height), given Pillow's mode.

        Raises:
            ImageTooLarge: more pixels than allowed, a side that is too long, or a strip that cannot be a page.
        """
        kind = "grey" if mode in _GREY_MODES else "colour"
        allowed = self.max_grey_mpx if kind == "grey" else self.max_colour_mpx / (2 if mode in _DEEP_MODES else 1)
        width, height = size
        if max(size) > MAX_SIDE_PX:
            raise ImageTooLarge(f"{name}: {width} x {height} has a side of more than {MAX_SIDE_PX:,} pixels; cut it up")
        if max(size) > MAX_ASPECT * min(size) and width * height > _STRIP_PX:
            raise ImageTooLarge(
                f"{name}: {width} x {height} is more than {MAX_ASPECT} times as long as wide; cut it up"
            )
        if width * height > allowed * 1e6:
            raise ImageTooLarge(
                f"{name}: {width} x {height} = {width * height / 1e6:.1f} Mpx is more than the {allowed:g} Mpx allowed "
                f"for {kind} pictures; scale it down, or raise the limit max_{kind}_mpx"
            )


DEFAULT_LIMITS: Final = Limits()
