"""Floor 4: pictures of results. Reads what a run wrote; knows nothing of how it was made."""
