"""Reading in separate processes, so that the server stays responsive and a crash of a decoder ends only one of them.

`pool` is the server's side, `worker` the process, `protocol` their messages.
"""

from handigit.workers.pool import Workers as Workers
from handigit.workers.process import WorkerUnavailable as WorkerUnavailable
