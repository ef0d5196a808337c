"""Embeddings turned by a secret rotation before they are stored: docs/protection.md."""
