"""`geocr synthesize-clouds`: clouds over a clear scene, with their mask."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._options import Overwrite, S2Bands, S2Offset, S2Scale
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json

if TYPE_CHECKING:
    from geocr.clouds.painters import Painter
    from geocr.io.scene import Scene

METHODS = ("synthetic", "transplant", "real-patches", "mdfcr")
_DEFAULT_SUN = (38.0, 155.0)


def command(
    clear: Annotated[str, typer.Argument(metavar="CLEAR", help="Clear Sentinel-2 raster; for mdfcr the folder of TGRS-SQ.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Cloudy raster to write; for mdfcr a folder.")],
    mask_out: Annotated[Path | None, typer.Option(help="Mask to write: 1 cloud, 2 shadow. (default: OUT_mask.tif)")] = None,
    method: Annotated[
        str, typer.Option(help="synthetic, transplant (clouds of --donor), real-patches (of 38-Cloud), or mdfcr (as published, 8 bits).")
    ] = "synthetic",
    cover: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share under cloud; real-patches: of cells with a patch. (default: 0.3; 1)")
    ] = None,
    thick_share: Annotated[float, typer.Option(min=0, max=1, help="synthetic: share of the cover that is thick.")] = 0.6,
    cirrus_share: Annotated[float, typer.Option(min=0, max=1, help="synthetic: share of the thin rest that is cirrus.")] = 0.5,
    size_m: Annotated[
        float | None,
        typer.Option(help="synthetic: metres over which thick clouds alternate with gaps. (default: 1800, less for small scenes)"),
    ] = None,
    sun_zenith: Annotated[
        float | None, typer.Option(help="synthetic: degrees from straight above. (default: from the file, else 38)")
    ] = None,
    sun_azimuth: Annotated[
        float | None, typer.Option(help="synthetic: degrees clockwise from north. (default: from the file, else 155)")
    ] = None,
    donor: Annotated[str | None, typer.Option(help="transplant: cloudy Sentinel-2 raster whose clouds are taken.")] = None,
    donor_mask: Annotated[
        str, typer.Option(help="transplant: auto, s2cloudless, rule, or a raster FILE in which all but 0 is cloud.")
    ] = "auto",
    donor_clear: Annotated[str | None, typer.Option(help="transplant: clear raster on the donor's grid, to measure opacity by.")] = None,
    opacity: Annotated[
        str, typer.Option(help="transplant: measured (thin cloud lets through), or solid (the donor's pixels).")
    ] = "measured",
    patches: Annotated[Path | None, typer.Option(help="real-patches, mdfcr: folder of 38-Cloud.")] = None,
    pairing: Annotated[Path | None, typer.Option(help="mdfcr: src2mask_name_corr.csv as published.")] = None,
    s2_bands: S2Bands = None,
    s2_scale: S2Scale = None,
    s2_offset: S2Offset = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another sky; transplant: 0 keeps the donor in place.")] = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Put clouds over a clear scene and keep their mask, grid and georeference. Outside the mask no pixel changes.

    [bold]Examples[/bold]

      geocr synthesize-clouds clear.tif -o cloudy.tif --cover 0.4 --seed 7

      geocr synthesize-clouds clear.tif -o cloudy.tif --method transplant --donor cloudy_2023.tif --donor-clear clear_2023.tif

      geocr synthesize-clouds clear.tif -o cloudy.tif --method real-patches --patches 38-Cloud

      geocr synthesize-clouds TGRS-SQ -o test_real --method mdfcr --patches 38-Cloud --pairing src2mask_name_corr.csv
    """
    options = {key: value for key, value in locals().items() if key not in ("quiet", "as_json", "verbose")}
    from geocr.core.errors import InputError
    from geocr.core.spelling import likely

    if method not in METHODS:
        raise InputError(f"--method must be one of {', '.join(METHODS)}, got {method!r}{likely(method, METHODS)}")
    _refuse_foreign(options)
    with Display(quiet=quiet or as_json) as display:
        report = _write_set(options, display) if method == "mdfcr" else _write_scene(options, display)
    if as_json:
        print_json(report)
    elif not quiet:
        print_facts(
            "clouds written",
            [(key.replace("_", " "), f"{value:.1%}" if key.endswith("share") else str(value)) for key, value in report.items()],
        )


_NEEDS = {"donor": ("transplant",), "donor_clear": ("transplant",), "patches": ("real-patches", "mdfcr"), "pairing": ("mdfcr",)}
"""Options that name inputs, and the methods that read them."""


def _refuse_foreign(options: dict[str, Any]) -> None:
    """An input that the method would not read is most likely a forgotten --method."""
    from geocr.core.errors import InputError

    for name, methods in _NEEDS.items():
        if options[name] is not None and options["method"] not in methods:
            option = name.replace("_", "-")
            raise InputError(
                f"--{option} belongs to --method {' or '.join(methods)}; got --method {options['method']}; give that method, or leave --{option} away"
            )


def _write_set(options: dict[str, Any], display: Display) -> dict[str, Any]:
    from geocr.clouds.mdfcr import read_pairing
    from geocr.clouds.mdfcr_set import write_mdfcr_set
    from geocr.clouds.patches import CloudPatches

    patches, pairing = _required(options, "patches"), _required(options, "pairing")
    pairs = read_pairing(pairing)
    display.stage("pictures", len(pairs.pictures))
    count = write_mdfcr_set(
        Path(options["clear"]), CloudPatches(patches), pairs, options["out"], overwrite=options["overwrite"], advance=display.advance
    )
    return {"folder": str(options["out"]), "pictures": count}


def _write_scene(options: dict[str, Any], display: Display) -> dict[str, Any]:
    from geocr.clouds.write import require_free, windows_of, write_cloudy_scene

    require_free(options["clear"], options["out"], options["mask_out"], overwrite=options["overwrite"])
    scene = _open(options["clear"], options)
    for note in scene.notes:
        display.note(note)
    painter = _painter(scene, options, display)
    display.stage("clouds", len(windows_of(scene.grid.shape)))
    summary = write_cloudy_scene(
        scene, painter, options["out"], mask=options["mask_out"], overwrite=options["overwrite"], advance=display.advance
    )
    return {
        "scene": str(summary.scene),
        "mask": str(summary.mask),
        "cloud_share": summary.cloud_share,
        "shadow_share": summary.shadow_share,
    }


def _painter(scene: "Scene", options: dict[str, Any], display: Display) -> "Painter":
    from geocr.clouds.painters import PatchPainter, SyntheticPainter, TransplantPainter
    from geocr.clouds.patches import CloudPatches
    from geocr.clouds.selection import make_cloud_mask
    from geocr.clouds.sun import SunAngle, sun_from_arguments, sun_from_tags
    from geocr.clouds.synthesize import CloudSpec

    seed, cover = options["seed"], options["cover"]
    if options["method"] == "real-patches":
        return PatchPainter(scene, CloudPatches(_required(options, "patches")), share=1.0 if cover is None else cover, seed=seed)
    if options["method"] == "transplant":
        donor = _open(_required(options, "donor"), options)
        mask = make_cloud_mask(donor, options["donor_mask"])
        for note in mask.notes:
            display.note(note)
        ground = None if options["donor_clear"] is None else _open(options["donor_clear"], options)
        return TransplantPainter(scene, donor, mask, donor_clear=ground, opacity=options["opacity"], seed=seed)
    sun = sun_from_arguments(options["sun_zenith"], options["sun_azimuth"]) or sun_from_tags(scene.optical.handle.tags())
    small = min(1.0, min(scene.grid.shape) * scene.grid.pixel_size_m / 5000)
    spec = CloudSpec(
        cover=0.3 if cover is None else cover,
        thick_share=options["thick_share"],
        cirrus_share=options["cirrus_share"],
        size_m=options["size_m"] or min(1800.0, 0.25 * min(scene.grid.shape) * scene.grid.pixel_size_m),
        base_m=800 * small,
        depth_m=600 * small,
    )
    return SyntheticPainter(scene, spec=spec, sun=sun or SunAngle(zenith_deg=_DEFAULT_SUN[0], azimuth_deg=_DEFAULT_SUN[1]), seed=seed)


def _open(path: str, options: dict[str, Any]) -> "Scene":
    from geocr.core.bands import parse_s2_bands
    from geocr.io.open import open_scene

    bands = None if options["s2_bands"] is None else parse_s2_bands([name.strip() for name in options["s2_bands"].split(",")])
    return open_scene(path, s2_bands=bands, s2_scale=options["s2_scale"], s2_offset=options["s2_offset"])


def _required(options: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - paths and strings
    from geocr.core.errors import InputError

    if options[name] is None:
        raise InputError(f"--method {options['method']} needs --{name.replace('_', '-')}; give it")
    return options[name]
