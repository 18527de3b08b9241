"""Floor 2: rasters in, rasters out. Windows are read lazily; nothing here holds a scene."""
