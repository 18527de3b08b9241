"""Floor 4: plan a scene, run it, write it."""
