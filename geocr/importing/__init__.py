"""Floor 3: weights that others published, converted to checkpoints of geocr: one file per method, each with a table of names."""

from geocr.core.registry import Registry

METHODS = Registry(
    "geocr.importing",
    {
        "uncrtaints": "geocr.importing.uncrtaints:UNCRTAINTS",
        "utae": "geocr.importing.uncrtaints:UTAE",
        "unet": "geocr.importing.uncrtaints:UNET",
        "sscr": "geocr.importing.sscr:SSCR",
        "glfcr": "geocr.importing.glfcr:GLFCR",
        "dsen2cr": "geocr.importing.dsen2cr:DSEN2CR",
        "acacrnet": "geocr.importing.acacrnet:ACACRNET",
        "sar2optical": "geocr.importing.sar2optical:SAR2OPTICAL",
        "attention_gan": "geocr.importing.attention_gan:ATTENTION_GAN",
    },
)
"""Every method whose published weights can be imported, by name; each entry is an `ImportMethod`."""
