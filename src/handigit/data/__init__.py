"""Data sets: MNIST, IDX files, tables, NumPy archives and folders of pictures, as glyphs with labels.

`handigit.data.show` draws a set in the terminal; it is imported on use, so that loading a set stays light.
"""

from handigit.data.dataset import Dataset as Dataset
from handigit.data.dataset import Split as Split
from handigit.data.dataset import concatenate as concatenate
from handigit.data.dataset import duplicates as duplicates
from handigit.data.dataset import overlap as overlap
from handigit.data.dataset import split as split
from handigit.data.download import Download as Download
from handigit.data.download import Progress as Progress
from handigit.data.download import RetryPolicy as RetryPolicy
from handigit.data.mnist import fetch_mnist as fetch_mnist
from handigit.data.npz import save_npz as save_npz
from handigit.data.sources import known_sets as known_sets
from handigit.data.sources import load as load
from handigit.data.table import write_submission as write_submission
