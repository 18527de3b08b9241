"""Floor 3: data sets, samplers and transforms that feed every model; the floor of torchgeo and lightning."""
