"""Requests sent by as little work as can be: sockets and prepared bytes, on one thread.

The callers share their cores with the service, so what they take is not the service's.
"""
