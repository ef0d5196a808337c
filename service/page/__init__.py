"""The page at `/`: files of this package, served as they are, and the rules a browser keeps there."""
