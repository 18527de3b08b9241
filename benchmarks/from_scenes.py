"""Train on scenes of one city under painted clouds, measure on those of another: the real command line from end to end.

    python benchmarks/from_scenes.py WORK [--data FOLDER] [--set PATH=VALUE]

Trains the recipe `scenes` on the Los Angeles tiles (T11*) of `s1s2_rgb_1024`, puts synthetic clouds over the San Antonio tiles (T14*), whose clear
image is then the truth, and measures the model beside baselines there. Prints each command before it runs. Nothing of San Antonio is seen in training;
nothing was tuned. Steps are limited, not time, so that the same seed gives the same figures. Figures: docs/results.md.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COVERS = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65)
"""Share under cloud of the tiles in the order of their names; shadows come on top."""
SIDE_PX = 1024
"""Of a tile: each is measured whole, so that the fit on a scene has a scene."""
PICTURE = ("--s2-bands", "B04,B03,B02", "--s2-scale", f"{1 / 255:.12g}", "--s2-offset", "0")
"""8-bit pictures with white at 1."""
READING = {"s2_bands": '["B04","B03","B02"]', "s1_units": "display"}
SETTINGS = (
    "data.cloud_mask=null",  # the tiles are clear
    "data.crop_px=128",
    "data.block_px=512",
    "data.batch=4",
    "data.patches=400",
    "data.max_val=24",
    "data.clouds.cover=[0.2,0.8]",
    "data.clouds.size_m=[200,1500]",
    "model.args.widths=[12,24,36,48]",
    "optimizer.lr=0.001",
    "run.epochs=8",
    "run.max_steps=600",  # a quarter of an hour of a processor
    "run.device=cpu",
    "run.tensorboard=false",
)


def geocr(*arguments: str | Path) -> None:
    """Run a command in a process of its own; stop when it fails."""
    words = [str(argument) for argument in arguments]
    print("$ geocr", shlex.join(words), flush=True)
    subprocess.run([sys.executable, "-m", "geocr", *words], check=True)


def put_clouds(source: Path, folder: Path) -> None:
    """The test scenes in the layout of the data set `scenes`: s1, s2 under clouds, s2_clear and masks."""
    for name in ("s1", "s2", "s2_clear", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    clear = sorted((source / "s2_rgb").glob("T14*.tif"))
    if len(clear) != len(COVERS):
        raise SystemExit(f"{source / 's2_rgb'} must hold {len(COVERS)} tiles T14*.tif, and holds {len(clear)}")
    for number, (path, cover) in enumerate(zip(clear, COVERS, strict=True)):
        shutil.copyfile(path, folder / "s2_clear" / path.name)
        outputs = ["-o", folder / "s2" / path.name, "--mask-out", folder / "masks" / path.name]
        geocr("synthesize-clouds", path, *outputs, *PICTURE, "--cover", f"{cover}", "--seed", f"{number + 1}", "--overwrite", "--quiet")
    for path in sorted((source / "s1_vh").glob("T14*.tif")):
        shutil.copyfile(path, folder / "s1" / path.name)


def main() -> None:
    """Train, put clouds, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for scenes, run and results")
    parser.add_argument("--data", type=Path, default=DATA / "s1s2_rgb_1024", help="folder with s1_vh and s2_rgb")
    parser.add_argument("--set", dest="more", action="append", default=[], help="further settings of geocr train")
    parser.add_argument("--trained", action="store_true", help="take the model of the run that is in WORK already")
    arguments = parser.parse_args()
    work, data = arguments.work, arguments.data
    run, scenes = work / "run", work / "san_antonio"
    settings = [*SETTINGS, *(f"data.options.{name}={value}" for name, value in READING.items()), *arguments.more]
    patterns = ("--s1", data / "s1_vh" / "T11*.tif", "--s2", data / "s2_rgb" / "T11*.tif")
    if not arguments.trained:
        geocr("train", *patterns, *(word for one in settings for word in ("--set", one)), "-o", run, "--overwrite", "--quiet")
    put_clouds(data, scenes)
    reading = [*(f"{name}={value}" for name, value in READING.items()), f"patch_px={SIDE_PX}", "max_days=null"]
    baselines = [word for name in ("input", "mean_fill", "interpolation", "scenefit") for word in ("--baseline", name)]
    checkpoint = shutil.copyfile(run / "best.safetensors", work / "fusion_unet.safetensors")
    geocr(
        "evaluate", checkpoint, "--data", f"scenes={scenes}", "--split", "all", *(word for one in reading for word in ("--set", one)),
        *baselines, "--reference", "fusion_unet", "-o", work / "evaluation", "--device", "cpu", "--overwrite",
    )  # fmt: skip


if __name__ == "__main__":
    main()
