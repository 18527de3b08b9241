"""Floor 0: errors, shared types, the band lexicon and the plug-in registry."""
