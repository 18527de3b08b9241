"""Floor 4: training of models. Lightning's Fabric moves things to devices; what is trained, and how, is decided here."""
