"""Pictures -> pages -> glyphs and strips, each defined only here.

In order: `decode` (bytes to pages), `polarity` (which shade is ink), `strip` (48 pixels high, for number models),
`background` (brightness of the paper), `rules` (printed rules and frames removed), `ink` (the strokes of the digit),
`glyph` (28x28, as in MNIST), `orientation` (how a page is rotated).
"""

from handigit.images.decode import Header as Header
from handigit.images.decode import Limits as Limits
from handigit.images.decode import Source as Source
from handigit.images.decode import open_pages as open_pages
from handigit.images.decode import peek as peek
from handigit.images.glyph import FoundDigit as FoundDigit
from handigit.images.glyph import Views as Views
from handigit.images.glyph import find_digit as find_digit
from handigit.images.glyph import views_of as views_of
