"""Choosing the pairs of a batch that teach most."""
