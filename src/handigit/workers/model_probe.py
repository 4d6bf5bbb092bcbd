"""Try a model in a process of its own: whether it loads, ends in time, and stays within memory.

    python -m handigit.workers.model_probe MODEL

ONNX Runtime cannot be interrupted, and only running a model shows its computation. The process prints nothing if
the model is usable, else one line with the reason; one that takes too much memory or time is ended.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from handigit.errors import HandigitError, ModelError

_SECONDS: Final = 20.0
"""Processor time for loading and two batches; ours take 0.5 s."""
_WAIT_S: Final = 180.0
"""Wall-clock limit, for a busy machine: processor time is limited apart from it."""
_MEMORY_BYTES: Final = 2**30
"""Address space beyond that of the libraries; our largest model takes 0.2 GB."""
_WIDE_PX: Final = 2048
"""Width of the widest number that is tried, 48 px high."""


def probe_model(path: Path, *, wait_s: float = _WAIT_S) -> None:
    """Check in another process that a model can be used.

    Raises:
        ModelError: it cannot be loaded or run, or takes too much memory or time.
    """
    command = [sys.executable, "-m", "handigit.workers.model_probe", str(path)]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=wait_s, check=False, encoding="utf-8"
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path}: does not answer within {wait_s:g} s; export a smaller model") from None
    if ended.returncode:
        reason = ended.stdout.strip()
        raise ModelError(reason or f"{path}: takes too much memory or time, or crashes; export a smaller model")


def main(path: Path) -> int:
    """Load the models at `path` and run each on as much as one call may hold; the exit status."""
    import numpy as np  # here, because the parent has no need of them

    from handigit.read import Engine, Reader
    from handigit.read.digit_engine import BATCH

    _limit()
    try:
        reader = Reader(path, threads=1)
        for engine in reader.engines:
            if isinstance(engine, Engine):
                engine.probabilities(np.random.default_rng(0).random((BATCH, 28, 28), np.float32))
            else:
                reader.numbers_on([np.tile(np.arange(48, dtype=np.uint8) * 5, (48, _WIDE_PX // 48))])
    except HandigitError as problem:
        sys.stdout.write(f"{problem}\n")
        return 1
    return 0


def _limit() -> None:
    """Limit further memory and processor time; Windows has no such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        memory = pages * resource.getpagesize() + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with suppress(ImportError, OSError, ValueError):
        import resource

        seconds = round(resource.getrusage(resource.RUSAGE_SELF).ru_utime + _SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
