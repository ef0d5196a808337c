"""The root of the error tree."""


class OneGlanceError(Exception):
    """Root of everything that we raise for our callers."""
