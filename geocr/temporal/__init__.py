"""Filling clouds with what other dates saw: matched in radiometry on common clear ground, nearest in time first."""

from geocr.temporal.fill import DateFill, fill_tile
from geocr.temporal.match import fit_dates

__all__ = ["DateFill", "fill_tile", "fit_dates"]
