"""Importing many photos at a time: a zip, enrolled in the background, each photo exactly once."""
