"""Data sets that yield `FusionSample`, one file each behind one table."""

from geocr.core.registry import Registry

DATASETS = Registry(
    "geocr.datasets",
    {
        "scenes": "geocr.data.datasets.scenes:Scenes",
        "allclear": "geocr.data.datasets.allclear:AllClear",
        "cloud38": "geocr.data.datasets.cloud38:Cloud38",
        "rice": "geocr.data.datasets.rice:Rice",
        "sen12": "geocr.data.datasets.sen12:Sen12",
        "sen12mscr": "geocr.data.datasets.sen12mscr:Sen12mscr",
        "sen12mscr_flat": "geocr.data.datasets.sen12mscr_flat:Sen12mscrFlat",
        "sen12mscr_ts": "geocr.data.datasets.sen12mscr_ts:Sen12mscrTs",
        "synthetic": "geocr.data.datasets.synthetic:Synthetic",
        "tgrs_sq": "geocr.data.datasets.tgrs_sq:TgrsSq",
        "triplets": "geocr.data.datasets.triplets:Triplets",
    },
)
"""Every data set by name. Listing imports nothing; each entry is a `FusionDataset` with a `card`."""
