"""Pictures in, digits and numbers out, with ONNX Runtime and without PyTorch.

In order: `number_engine` (runs a number model), `crops` (both models on a crop), `ctc` (frames to texts), `hypotheses`
(ranks the texts of both), `numbers` (texts to numbers), `reader` (the public class), `document` (every page of a file).

Read later: `digits` and `digit_engine` (single digits), `pages` (regions of a page), `patterns`, `output`, `display`.
"""

from handigit.images import Limits as Limits
from handigit.read.digit_engine import Engine as Engine
from handigit.read.display import annotate as annotate
from handigit.read.document import PageReading as PageReading
from handigit.read.document import read_batch as read_batch
from handigit.read.document import read_document as read_document
from handigit.read.reader import Reader as Reader
