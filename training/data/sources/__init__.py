"""Where images come from: one file for each layout, behind the seam of base.py."""
