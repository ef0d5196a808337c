"""The page at `/`: files of this package, served as they are, and what a browser may do there."""
