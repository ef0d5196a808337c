"""How good a face in a photo is to be enrolled: measures, policies, and why none was found."""
