"""Images on disk: packs, splits, batches and augmentation."""
