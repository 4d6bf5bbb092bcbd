"""Synthetic handwriting: digits and numbers as pen strokes, non-digits, and the paper and cameras around them.

In the order of the data: `shapes` (tables), `strokes` (notation to paths), `writer` (style and pen), `ink` and `draw`
(paths to pixels), `nondigits`, `sets` (glyphs by the thousand); `number_texts`, `real_digits`, `write_number`,
`form_paper` and `crops` (lines for number models); `photo_paper`, `camera` and `photo` (whole photographs).
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
