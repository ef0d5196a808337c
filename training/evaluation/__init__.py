"""Protocols, each named: paper, held-out, zero-shot, LFW; their figures and their page."""
