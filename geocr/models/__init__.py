"""Floor 2: networks that fuse Sentinel-1 with cloudy Sentinel-2, one file each behind one table."""

from geocr.core.registry import Registry

MODELS = Registry(
    "geocr.models",
    {
        "fusion_unet": "geocr.models.unet:FusionUNet",
        "uncrtaints": "geocr.models.uncrtaints:UnCRtainTS",
        "utae": "geocr.models.utae:UTAE",
        "unet": "geocr.models.unet_mono:MonoUNet",
        "sscr": "geocr.models.sscr:SSCR",
        "least_cloudy": "geocr.models.least_cloudy:LeastCloudy",
        "mosaic": "geocr.models.mosaic:Mosaic",
        "dsen2cr": "geocr.models.dsen2cr:DSen2CR",
        "glfcr": "geocr.models.glfcr:GLFCR",
        "acacrnet": "geocr.models.acacrnet:ACACRNet",
        "pix2pix": "geocr.models.pix2pix:Pix2Pix",
        "sar_opt_cgan": "geocr.models.sar_opt_cgan:SarOptCGAN",
        "simulation_fusion_gan": "geocr.models.simulation_fusion_gan:SimulationFusionGAN",
        "attention_gan": "geocr.models.attention_gan:AttentionGAN",
        "mdfcr": "geocr.models.mdfcr:MDFCR",
    },
)
"""Every model by name. Listing imports nothing; each entry is a `FusionModel` whose constructor takes
JSON-able keyword arguments and a `normalizer`."""
