"""Floor 2: networks that fuse Sentinel-1 with cloudy Sentinel-2, one file each behind one table."""

from geocr.core.registry import Registry

MODELS = Registry(
    "geocr.models",
    {
        "fusion_unet": "geocr.models.unet:FusionUNet",
    },
)
"""Every model by name. Listing imports nothing; each entry is a `FusionModel` whose constructor takes
JSON-able keyword arguments and a `normalizer`."""
