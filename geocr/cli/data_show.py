"""`geocr data show`: samples as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from geocr.cli._datasets import DatasetName, MaxDays, SetOptions, open_dataset, require_suffix
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_json


def command(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="Folder of the data set.")],
    dataset: DatasetName,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Samples to draw, spread evenly.")] = 8,
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG to write.")] = Path("samples.png"),
    split: Annotated[str | None, typer.Option(help="train, val or test. (default: all samples)")] = None,
    max_days: MaxDays = None,
    settings: SetOptions = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing picture.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Draw samples: Sentinel-1, cloudy, mask and clear side by side, stretched by the clear image.

    [bold]Examples[/bold]

      geocr data show SEN12MSCR --dataset sen12mscr -n 8 -o samples.png
    """
    from geocr.core.errors import OutputExistsError
    from geocr.data.show import spread, write_samples

    require_suffix(out, ".png", what="a picture of samples")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"outputs must not exist yet; {out} does; give --overwrite to replace it, or another -o")
    with Display(quiet=quiet or as_json) as display:
        found = open_dataset(dataset, root, split=split, pairs=settings, note=display.note, max_days=max_days)
    numbers = spread(len(found), count)
    write_samples(found, numbers, out)
    if as_json:
        print_json({"picture": str(out), "samples": [found.identify(number) for number in numbers]})
    elif not quiet:
        typer.echo(f"{len(numbers)} of {len(found)} samples drawn: {out}")
