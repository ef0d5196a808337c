"""The losses of the method, each a small file."""
