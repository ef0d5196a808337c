"""Thresholds with a stated error rate: what was measured, and what follows from it."""
