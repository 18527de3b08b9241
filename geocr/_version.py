"""The version of geocr, read by the build and written into every output's tags."""

__version__ = "0.1.0.dev0"
