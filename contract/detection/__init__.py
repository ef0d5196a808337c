"""Finding faces: the seam (base.py) and the detectors behind it."""
