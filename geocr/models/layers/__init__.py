"""Layers that several networks share; none knows a model."""
