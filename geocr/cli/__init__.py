"""Floor 5: the command line. Parses, delegates, renders; heavy imports stay inside the commands."""
