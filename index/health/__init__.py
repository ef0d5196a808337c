"""The gallery's health: what is probably wrong in it, judged by itself alone."""
