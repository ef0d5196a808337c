"""From networks to bundles: TorchScript, parity, manifest."""
