"""Benchmarks: `python -m bench.FOLDER.NAME` writes figures to bench/results, bench.report.write makes the page."""
