"""Floor 2: how far a reconstruction is from the truth, one measure a file behind one table."""

from geocr.core.registry import Registry

METRICS = Registry(
    "geocr.metrics",
    {
        "mae": "geocr.metrics.mae:MeanAbsoluteError",
        "rmse": "geocr.metrics.rmse:RootMeanSquaredError",
        "psnr": "geocr.metrics.psnr:PeakSignalNoiseRatio",
        "ssim": "geocr.metrics.ssim:StructuralSimilarity",
        "sam": "geocr.metrics.sam:SpectralAngle",
        "calibration": "geocr.metrics.calibration:Calibration",
        "fid": "geocr.metrics.fid:FrechetInceptionDistance",
    },
)
"""Every measure by name; each entry is a `torchmetrics.Metric` whose `update` takes a `MetricInput`."""
