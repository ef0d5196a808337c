"""Networks that turn crops into embeddings."""
