"""Handwriting that nobody wrote: digits as pen strokes, what is no digit, and the paper and camera around them.

In the order of the work: `strokes` (notation to paths), `allographs`, `letters`, `alphabets` and `signs` (the shapes),
`writer` (style and pen), `ink` and `draw` (ink to pixels), `altered`, `groups`, `invented` and `nondigits` (what is no
digit), `scan` and `sets` (glyphs by the thousand), `paper`, `camera` and `picture` (whole photographs). It reads no
real handwriting and knows nothing of models.
"""

from handigit.synth.camera import Camera
from handigit.synth.photo import Picture, Scene, picture
from handigit.synth.photo_paper import Paper
from handigit.synth.sets import Synthetic, contact_sheet, digits, nondigits
from handigit.synth.writer import Pen, Writer

__all__ = [
    "Camera",
    "Paper",
    "Pen",
    "Picture",
    "Scene",
    "Synthetic",
    "Writer",
    "contact_sheet",
    "digits",
    "nondigits",
    "picture",
]
