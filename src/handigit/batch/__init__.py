"""Batches of any size: inputs from files, archives and object stores, rows in Parquet and JSON Lines, exactly once.

In the order of the data: `inputs`, `worker` (reads them), `pool` and `on_ray` (drivers of workers), `parts` (writes
rows), `review` (doubts into a store), `run` (a whole batch), `watch` (a folder, as files come in).
"""

from handigit.batch.parts import BatchError as BatchError
from handigit.batch.run import BatchOptions as BatchOptions
from handigit.batch.run import Progress as Progress
from handigit.batch.run import Summary as Summary
from handigit.batch.run import run_batch as run_batch
from handigit.batch.worker import ReadOptions as ReadOptions
