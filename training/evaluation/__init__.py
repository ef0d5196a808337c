"""Protocols, each named: LFW verification, open-set search."""
