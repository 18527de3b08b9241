"""`geocr info`: what a checkpoint says about itself."""

from pathlib import Path
from typing import Annotated, Any

import typer

from geocr.cli._render import AsJson, Verbose, print_facts, print_json, size_of


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint of geocr.")],
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show a checkpoint: its model and arguments, bands and units, tiles, training, figures of its evaluation, licence.

    Nothing in the file is executed. Whether it can be loaded is said as well.

    [bold]Examples[/bold]

      geocr info model.safetensors

      geocr info model.safetensors --json | jq .spec.normalizer
    """
    from geocr.checkpoint import describe_checkpoint

    facts = describe_checkpoint(checkpoint)
    if as_json:
        print_json(facts)
        return
    spec = facts["spec"]
    print_facts(
        checkpoint.name,
        [
            ("model", facts["model"]),
            ("arguments", ", ".join(f"{name}={value}" for name, value in facts["kwargs"].items()) or "the defaults"),
            ("parameters", "unknown" if facts["parameters"] is None else f"{facts['parameters']:,}"),
            ("Sentinel-1", _sar(spec)),
            ("optical", _optical(spec)),
            ("takes", _takes(spec)),
            ("gives", "mean and standard deviation" if spec["has_std"] else "mean"),
            ("sees", "its whole tile" if spec["receptive_radius_px"] is None else f"{spec['receptive_radius_px']} px far"),
            (
                "tile",
                f"{spec['tile_px']} px, of which a halo of {facts['halo_px']} px; overlap {spec['overlap_px']} px; sides {_sides(spec)}",
            ),
            ("origin", _origin(facts["config"])),
            ("metrics", ", ".join(f"{name} {value:g}" for name, value in facts["metrics"].items()) or "none stored"),
            ("licence", facts["licence"] or "not stated"),
            ("written by", f"geocr {facts['geocr_version']}"),
            ("file", f"{size_of(facts['bytes'])}, {facts['tensors']} tensors, sha256 {facts['sha256']}"),
            ("loads", "yes" if facts["problem"] is None else f"no: {facts['problem']}"),
        ],
    )


def _sar(spec: dict[str, Any]) -> str:
    if not spec["sar_bands"]:
        return "none"
    units, normalizer = {"db": "dB", "display": "of 8-bit pictures"}[spec["sar_units"]], spec["normalizer"]
    ranges = ", ".join(f"{band} {low:g}..{high:g}" for band, (low, high) in zip(spec["sar_bands"], normalizer["sar_clip"], strict=True))
    low, high = normalizer["sar_range"]
    radiometry = "" if spec["sar_radiometry"] == "unknown" else f" {spec['sar_radiometry']}"
    return f"{ranges} {units}{radiometry} to {low:g}..{high:g}"


def _optical(spec: dict[str, Any]) -> str:
    seen, given = ", ".join(spec["optical_in"]) or "none", ", ".join(spec["optical_out"])
    bands = seen if seen == given else f"{seen} in, {given} out"
    normalizer = spec["normalizer"]
    clip = "" if normalizer["optical_clip"] is None else " clipped to {:g}..{:g},".format(*normalizer["optical_clip"])
    offset = (
        f" {'+' if normalizer['optical_offset'] > 0 else '-'} {abs(normalizer['optical_offset']):g}" if normalizer["optical_offset"] else ""
    )
    units = "reflectance" if spec["optical_units"] == "reflectance" else "8-bit pictures"
    convention = " with the add-offset of baseline 04.00 left in" if spec["optical_offset"] == "left_in" else ""
    return f"{bands} ({spec['level']} {units}{convention},{clip} x {normalizer['optical_scale']:g}{offset})"


def _takes(spec: dict[str, Any]) -> str:
    parts = ["several dates" if spec["multi_temporal"] else "one date"]
    parts += ["a cloud mask"] if spec["needs_mask"] else []
    parts += ["the days of its dates"] if spec["needs_dates"] else []
    order = "Sentinel-1 first" if spec["channel_order"] == "sar_first" else "optical first"
    return ", ".join([*parts, order] if spec["sar_bands"] and spec["optical_in"] else parts)


def _sides(spec: dict[str, Any]) -> str:
    multiple, least = spec["size_multiple_px"], spec["min_size_px"]
    return f"from {least} px" if multiple == 1 else f"of multiples of {multiple} px from {least}"


def _origin(config: dict[str, Any] | None) -> str:
    if not config:
        return "not stated"
    imported = config.get("imported")
    if isinstance(imported, dict):
        return f"imported from {imported.get('file')} by `{imported.get('method')}`, {imported.get('origin')}"
    return f"training configuration with {', '.join(sorted(config))} (--json shows it)"
