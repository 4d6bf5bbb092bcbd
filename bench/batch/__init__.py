"""Batches: rate and processor time per driver, the driver's memory, and kills at random moments."""
