"""The whole request beside what users would pick instead: on the same photos, in one run."""
