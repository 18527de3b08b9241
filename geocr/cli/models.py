"""`geocr models`: the table of models."""

from typing import Any

import typer

from geocr.cli._render import AsJson, Verbose, print_facts, print_json


def command(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show every model: paper, bands, parameters at the default configuration, options, licence of the original.

    Example: `geocr models --json | jq .uncrtaints.options`
    """
    from geocr.models import MODELS
    from geocr.models.listing import describe_model

    models = {name: describe_model(name) for name in MODELS}
    if as_json:
        print_json(models)
        return
    for name, facts in models.items():
        print_facts(
            name,
            [
                ("what", str(facts["title"])),
                ("paper", f"{facts['paper']}, {facts['url']}" if facts["url"] else str(facts["paper"])),
                ("parameters", f"{facts['parameters']:,}"),
                ("Sentinel-1", f"{', '.join(facts['sar_bands'])} ({facts['sar_units']})" if facts["sar_bands"] else "none"),
                ("optical", _optical(facts)),
                ("takes", _takes(facts)),
                ("export", f"torch.export: {facts['torch_export']}; ONNX: {facts['onnx']}"),
                ("options", ", ".join(_option(key, option) for key, option in facts["options"].items())),
                ("original code", str(facts["original_licence"])),
            ],
        )
        typer.echo()


def _optical(facts: dict[str, Any]) -> str:
    seen, given = ", ".join(facts["optical_in"]) or "none", ", ".join(facts["optical_out"])
    units = f"({facts['level']}, {facts['optical_units']})"
    return f"{seen} {units}" if seen == given else f"{seen} in, {given} out {units}"


def _takes(facts: dict[str, Any]) -> str:
    parts = ["several dates" if facts["multi_temporal"] else "one date"]
    parts += ["a cloud mask"] if facts["needs_mask"] else []
    parts += ["the days of its dates"] if facts["needs_dates"] else []
    multiple, least = facts["size_multiple_px"], facts["min_size_px"]
    parts.append(f"any side from {least} px" if multiple == 1 else f"sides of multiples of {multiple} px from {least}")
    parts[-1] += " (others are padded inside)"
    parts += ["gives a standard deviation"] if facts["has_std"] else []
    return "; ".join(parts)


def _option(key: str, option: dict[str, Any]) -> str:
    choices = option.get("choices")
    default = option["default"]
    shown = f"{len(default)} bands" if key.endswith(("bands", "optical_out")) and isinstance(default, list) else default
    return f"{key}={shown}" + (f" ({'|'.join(str(choice) for choice in choices)})" if choices else "")
