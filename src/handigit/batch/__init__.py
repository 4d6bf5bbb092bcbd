"""Batches of any size: inputs from files, archives and object stores, rows in Parquet and JSON Lines, exactly once.

In the order of the data: `inputs`, `worker` (reads them), `pool` and `on_ray` (drivers of workers), `parts` (writes
rows), `review` (doubts and forms into a store), `run` (a whole batch), `watch` (a folder, as files arrive).

Nothing is imported here, so that worker processes start without Parquet and the store.
"""
