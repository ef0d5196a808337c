"""What a write does, inside its transaction; one file a kind."""
