"""MONAI `sliding_window_inference`: takes and gives an array in memory."""

from job import Job


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    import torch
    from conv3 import OVERLAP_PX, TILE_PX, Conv3Model
    from monai.inferers import sliding_window_inference
    from stack import read_stack, write_like

    job.stage("import")
    scene = read_stack(job.stack)
    job.stage("read")
    with torch.inference_mode():
        result = sliding_window_inference(
            scene,
            roi_size=(TILE_PX, TILE_PX),
            sw_batch_size=job.batch,
            predictor=Conv3Model(job.precision),
            overlap=OVERLAP_PX / TILE_PX,
            mode="gaussian",
        )
    job.stage("infer")
    write_like(job.out, result, job.stack)
    job.stage("write")
    job.report("monai")


if __name__ == "__main__":
    main()
