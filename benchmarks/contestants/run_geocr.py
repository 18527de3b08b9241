"""geocr: two rasters in, a finished COG with overviews and its provenance out."""

from conv3 import OVERLAP_PX, TILE_PX
from job import Job


def run(*, overlap_px: int, halo_px: int) -> None:
    """One run with tiles of `TILE_PX` that overlap, or have a margin, by so much."""
    job = Job.from_arguments()
    from networks import Conv3

    from geocr.config import PredictConfig
    from geocr.grid.spec import TileSpec
    from geocr.inference.run import predict_scene

    job.stage("import")
    network = Conv3(precision=job.precision, tile=TileSpec(size_px=TILE_PX, overlap_px=overlap_px, halo_px=halo_px))
    config = PredictConfig(mode="full", cloud_mask=str(job.mask), mask_buffer_px=0, batch=job.batch or None)
    result = predict_scene(str(job.s1), str(job.s2), job.out, config=config, reconstructor=network)
    job.stage("run")
    job.report("geocr", tiles=result.summary["tiles"])


if __name__ == "__main__":
    run(overlap_px=OVERLAP_PX, halo_px=0)
