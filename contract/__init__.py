"""What training and serving must agree on: manifest, space, images, alignment, errors."""
