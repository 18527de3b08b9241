"""The network alone over as many tiles as the scene has: no file, no blending; what no tool can go below."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import rasterio
import torch
from conv3 import CHANNELS, OVERLAP_PX, TILE_PX, Conv3Model
from job import Job
from torch import Tensor, nn


def tile_starts(length: int) -> list[int]:
    """First pixels of the tiles along an axis; the last is shifted inward."""
    last = max(0, length - TILE_PX)
    return sorted({*range(0, last, TILE_PX - OVERLAP_PX), last})


def main() -> None:
    """One run."""
    job = Job.from_arguments()
    job.stage("import")
    with rasterio.open(job.stack) as source:
        rows, cols = source.height, source.width
    net = Conv3Model(job.precision).net
    generator = torch.Generator().manual_seed(0)
    held = torch.rand((CHANNELS, 2 * TILE_PX, cols), generator=generator).to(next(net.parameters()).dtype)
    origins = [(row % TILE_PX, col) for row in tile_starts(rows) for col in tile_starts(cols)]
    batch = job.batch or 1
    job.stage("make input")
    groups = [origins[first : first + batch] for first in range(0, len(origins), batch)]
    if job.workers:  # tiles side by side, a thread each
        with ThreadPoolExecutor(job.workers, initializer=partial(torch.set_num_threads, 1)) as pool:
            list(pool.map(lambda group: forward(net, held, group), groups))
    else:
        for group in groups:
            forward(net, held, group)
    job.stage("forward")
    job.report("torch", tiles=len(origins), threads=torch.get_num_threads())


def forward(net: nn.Module, held: Tensor, origins: list[tuple[int, int]]) -> None:
    """The network over a few tiles."""
    with torch.inference_mode():
        tiles = [held[:, row : row + TILE_PX, col : col + TILE_PX] for row, col in origins]
        net(torch.stack(tiles).contiguous(memory_format=torch.channels_last))


if __name__ == "__main__":
    main()
