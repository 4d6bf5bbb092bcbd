"""What Python's garbage collector looks at in a process that serves. It knows nothing of what the process does."""

import gc

_COLLECT_EVERY = 5_000
"""New objects, more than went, after which the young ones are looked at; Python's own 700 are less than one batch."""


def freeze_gc() -> None:
    """Leave what has been loaded out of every later garbage collection, and collect more rarely.

    The heap of a loaded server is hundreds of thousands of objects that never go: to look at them again and again costs
    a third of its throughput and, each time, 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 10, 10)
