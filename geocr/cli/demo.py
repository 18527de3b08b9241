"""`geocr demo`: make a cloudy scene with known truth, remove its clouds, measure, draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json

if TYPE_CHECKING:
    from geocr.inference.prepare import Progress
    from geocr.inference.run import PredictResult
    from geocr.simulate.files import ScenePaths


def command(
    folder: Annotated[Path, typer.Option("-o", "--out", help="Folder for the scene and the results.")] = Path("demo"),
    size: Annotated[int, typer.Option(min=128, help="Rows and columns of the scene.")] = 1024,
    cloud_cover: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the scene under cloud.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Another seed is another place.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier demo.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make a synthetic Sentinel-1/2 pair with known truth, remove its clouds, and measure the result.

    No network, no weights. Writes the pair, the cloud-free COG, its provenance and a picture into a folder.

    [bold]Examples[/bold]

      geocr demo

      geocr demo --size 512 --cloud-cover 0.5 --seed 7 -o /tmp/demo --overwrite
    """
    with Display(quiet=quiet or as_json) as display:
        report = run_demo(folder, size=size, cloud_cover=cloud_cover, seed=seed, overwrite=overwrite, progress=display)
    if as_json:
        print_json(report)
    elif not quiet:
        _print(report)


def run_demo(folder: Path, *, size: int, cloud_cover: float, seed: int, overwrite: bool, progress: "Progress") -> dict[str, Any]:
    """Simulate, predict, measure, draw; returns a JSON-able report."""
    from geocr.inference.outputs import OutputPaths, default_output, require_writable
    from geocr.inference.run import predict_scene
    from geocr.report.quicklook import write_quicklook
    from geocr.simulate.scene import simulate_scene, write_scene

    folder.mkdir(parents=True, exist_ok=True)
    paths = OutputPaths.beside(default_output(str(folder / "scene_s2.tif")))
    require_writable(paths, wanted=[paths.scene, paths.provenance, paths.quicklook], inputs=[], overwrite=overwrite)
    progress.stage("simulating a scene", 1)
    files = write_scene(simulate_scene(shape=(size, size), seed=seed, cloud_cover=cloud_cover), folder)
    progress.advance()
    result = predict_scene(str(files.s1), str(files.s2), paths.scene, overwrite=overwrite, progress=progress)
    progress.stage("measuring", 1)
    quality = _quality(files, result)
    progress.advance()
    picture = write_quicklook(str(files.s2), str(result.scene), str(result.provenance), paths.quicklook)
    return {
        **result.summary,
        "quality": quality,
        "files": {
            "s1": str(files.s1),
            "s2": str(files.s2),
            "scene": str(result.scene),
            "provenance": str(result.provenance),
            "quicklook": str(picture),
            "item": str(result.item),
        },
    }


def _quality(files: "ScenePaths", result: "PredictResult") -> dict[str, dict[str, float]]:
    """Errors over the reconstructed pixels, of the result and of GDAL's interpolation of the same holes."""
    import numpy as np
    import rasterio
    from rasterio.fill import fillnodata

    from geocr.metrics.pixels import mae_of, psnr_db, sam_deg

    with rasterio.open(files.truth) as truth, rasterio.open(result.scene) as scene, rasterio.open(result.provenance) as classes:
        hidden = classes.read(1) >= 2
        scale, offset = truth.scales[0], truth.offsets[0]
        expected = truth.read() * np.float32(scale) + np.float32(offset)
        got = scene.read() * np.float32(scale) + np.float32(offset)
    filled = np.stack(
        [fillnodata(np.where(hidden, np.float32(0), band), mask=~hidden, max_search_distance=max(hidden.shape)) for band in got]
    )
    return {
        name: {
            "psnr_db": psnr_db(array[:, hidden], expected[:, hidden]),
            "sam_deg": sam_deg(array[:, hidden], expected[:, hidden]),
            "mae": mae_of(array[:, hidden], expected[:, hidden]),
        }
        for name, array in (("geocr", got), ("interpolation", filled))
    }


def _print(report: dict[str, Any]) -> None:
    from geocr.cli.predict_scene import print_summary

    print_summary(report)
    rows = [
        (
            name,
            f"PSNR {values['psnr_db']:.1f} dB, spectral angle {values['sam_deg']:.1f} degrees, mean error {values['mae']:.4f} reflectance",
        )
        for name, values in report["quality"].items()
    ]
    print_facts("quality over the reconstructed pixels, against the truth", rows)
    typer.echo(f"look at {report['files']['quicklook']}, or open {report['files']['scene']} in QGIS")
