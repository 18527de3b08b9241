"""opensr-utils `super_resolve` with factor 1: raster to raster through patches and sums on disk."""

from job import Job


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    import opensr_utils
    from conv3 import OVERLAP_PX, TILE_PX, Conv3Model

    job.stage("import")
    opensr_utils.super_resolve(
        str(job.stack),
        Conv3Model(job.precision),
        str(job.out),
        window_size=(TILE_PX, TILE_PX),
        factor=1,
        overlap=OVERLAP_PX,
        device="cpu",
        batch_size=job.batch,
        num_workers=job.workers,
    )
    job.stage("run")
    job.report("opensr-utils")


if __name__ == "__main__":
    main()
