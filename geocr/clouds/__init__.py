"""Floor 2: find clouds in a scene, and paint synthetic ones over a clear image."""
