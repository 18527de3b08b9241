"""geocr: two rasters in, a finished COG with overviews and its provenance out."""

from job import Job


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    from networks import Conv3

    from geocr.config import PredictConfig
    from geocr.inference.run import predict_scene

    job.stage("import")
    config = PredictConfig(mode="full", cloud_mask=str(job.mask), mask_buffer_px=0, batch=job.batch or None)
    result = predict_scene(str(job.s1), str(job.s2), job.out, config=config, reconstructor=Conv3(precision=job.precision))
    job.stage("run")
    job.report("geocr", tiles=result.summary["tiles"])


if __name__ == "__main__":
    main()
