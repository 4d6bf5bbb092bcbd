"""Pictures in, digits and numbers out, with ONNX Runtime and without PyTorch.

In order: `engine` (runs model files), `digits` (combines views of a digit), `ctc` (frames to texts), `hypotheses`
(ranks the texts of a line), `numbers` (texts to numbers), `reader` (the public class), `document` (every page of a
file), `output` (prints results).

Read later: `annotate`.
"""

from handigit.images import Limits as Limits
from handigit.read.display import annotate as annotate
from handigit.read.document import PageReading as PageReading
from handigit.read.document import read_batch as read_batch
from handigit.read.document import read_document as read_document
from handigit.read.engine import Engine as Engine
from handigit.read.reader import Reader as Reader
