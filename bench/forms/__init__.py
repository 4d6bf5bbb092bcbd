"""Benchmarks of forms."""
