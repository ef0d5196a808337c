"""The commands of `oneglance` besides serve."""
