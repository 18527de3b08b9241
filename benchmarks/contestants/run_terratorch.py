"""terratorch `tiled_inference`: takes and gives an array in memory."""

from job import Job


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    import torch
    from conv3 import OVERLAP_PX, TILE_PX, Conv3Model
    from stack import read_stack, write_like
    from terratorch.tasks.tiled_inference import tiled_inference

    job.stage("import")
    scene = read_stack(job.stack)
    job.stage("read")
    with torch.inference_mode():
        # without padding, which would copy the whole scene; 8 px are cut from each tile's edge, which is the tool's default
        result = tiled_inference(
            Conv3Model(job.precision), scene, crop=TILE_PX, stride=TILE_PX - OVERLAP_PX, delta=8, batch_size=job.batch, padding=False
        )
    job.stage("infer")
    write_like(job.out, result, job.stack)
    job.stage("write")
    job.report("terratorch")


if __name__ == "__main__":
    main()
