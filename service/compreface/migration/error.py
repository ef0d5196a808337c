"""What stops a move."""

from contract.errors import OneGlanceError


class MigrationError(OneGlanceError):
    """CompreFace's photos cannot be read from there; in words that say what to do."""
