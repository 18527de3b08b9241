"""Units of the networks that descend from UnCRtainTS."""

from geocr.radiometry.normalize import DISPLAY_RANGE, Normalizer, SarNetworkUnits

SAR_CLIP_DB = (-25.0, 0.0)
"""Both polarisations alike; VH below -25 dB is flattened by it (Ebel et al., 2023; other methods clip VH at -32.5)."""


def scaled_normalizer(sar_bands: tuple[str, ...], sar_units: SarNetworkUnits, scale_by: float) -> Normalizer:
    """Backscatter from -25 to 0 dB and reflectance from 0 to 1, both as 0 to `scale_by`."""
    clip = SAR_CLIP_DB if sar_units == "db" else DISPLAY_RANGE
    return Normalizer(sar_clip=(clip,) * len(sar_bands), sar_range=(0.0, scale_by), optical_scale=scale_by)
