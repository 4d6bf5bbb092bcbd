"""Pictures -> pages -> glyphs and lines: the only definition of what a page, a glyph and a line are.

In order: `decode` (bytes to pages), `paper` (which shade is paper, how it is lit), `ruling` (ruling and frames taken
out), `ink` (the strokes of the digit), `glyph` (28x28, as MNIST), `views` (the other ways to see a page); `printed`
(what is printed around a number), `line` (32 pixels high); `upright` (how a page lies). It knows nothing of models and
answers.
"""

from handigit.images.decode import Limits as Limits
from handigit.images.decode import Source as Source
from handigit.images.decode import open_pages as open_pages
from handigit.images.glyph import FoundDigit as FoundDigit
from handigit.images.glyph import Views as Views
from handigit.images.glyph import find_digit as find_digit
from handigit.images.glyph import views_of as views_of
