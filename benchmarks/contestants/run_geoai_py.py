"""geoai `predict_geotiff`: raster to raster, the result held in memory."""

from job import Job


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    import numpy as np
    from conv3 import BANDS, OVERLAP_PX, TILE_PX, Conv3Model
    from geoai.inference import predict_geotiff
    from torch import Tensor

    class Rounded(Conv3Model):
        """Answers DN plus a half, which the tool's cut to integers turns into rounded DN: no second pass over the scene."""

        def forward(self, x: Tensor) -> Tensor:
            """`(B, 15, H, W)` to `(B, 13, H, W)`."""
            return super().forward(x).mul_(10_000).add_(0.5)

    def to_reflectance(tile: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = np.divide(tile, np.float32(10_000), dtype=np.float32)
        return scaled

    job.stage("import")
    predict_geotiff(
        Rounded(job.precision),
        str(job.stack),
        str(job.out),
        tile_size=TILE_PX,
        overlap=OVERLAP_PX,
        batch_size=job.batch,
        num_classes=BANDS,
        output_dtype="uint16",
        output_nodata=0,
        preprocess_fn=to_reflectance,
        device="cpu",
        compress="none",
        verbose=False,
    )
    job.stage("run")
    job.report("geoai-py")


if __name__ == "__main__":
    main()
