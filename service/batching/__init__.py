"""Crops of requests that wait at the same moment, embedded in one batch."""
