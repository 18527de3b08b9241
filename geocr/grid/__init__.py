"""Floor 1: the geometry of tiles and of blending. Ints in, ints out; no rasters, no torch."""
