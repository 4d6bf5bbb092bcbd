"""The reading half: pictures in, answers out, with ONNX Runtime and without PyTorch.

In order: `engine` (runs a model file), `belief` (one page seen in several ways), `confidence` (scores to outcomes),
`reader` (the public face), `annotate` (draws what was found and what the model saw).
"""

from handigit.images import Limits as Limits
from handigit.read.annotate import annotate as annotate
from handigit.read.engine import Engine as Engine
from handigit.read.reader import Reader as Reader
