"""Data sets that yield `FusionSample`, one file each behind one table."""

from geocr.core.registry import Registry

DATASETS = Registry(
    "geocr.datasets",
    {
        "scenes": "geocr.data.datasets.scenes:Scenes",
        "synthetic": "geocr.data.datasets.synthetic:Synthetic",
    },
)
"""Every data set by name. Listing imports nothing; each entry is a `FusionDataset` with a `card`."""
