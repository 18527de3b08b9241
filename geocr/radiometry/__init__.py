"""Floor 1: what the numbers of a pixel mean. Pure numpy."""
