"""The commands of oneglance-train, a file each: `add` declares it, `_run` does its work."""
