"""Floor 2: how far a reconstruction is from the truth."""
