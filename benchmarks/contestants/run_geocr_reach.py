"""geocr as it lays out a network whose reach it knows: tiles of the same size with a margin as wide as that reach, and nothing computed twice to be blended."""

from conv3 import RADIUS_PX
from run_geocr import run

if __name__ == "__main__":
    run(overlap_px=0, halo_px=RADIUS_PX)
