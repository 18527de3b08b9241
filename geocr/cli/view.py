"""`geocr view`: a finished run on a map in the browser."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from geocr.cli import _options as options
from geocr.cli._render import Quiet, Verbose


def command(
    scene: Annotated[str, typer.Argument(metavar="OUT", help="Cloud-free scene that predict-scene wrote; its other files lie beside it.")],
    s2: options.InputOfResult = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Look at a finished run on a map at full resolution, before and after under a divider.

    Serves tiles of this run's rasters, and of nothing else, to this machine alone, until Ctrl-C. Needs no network. The extra
    "view" of geocr brings what it needs (rio-tiler).

    [bold]Examples[/bold]

      geocr view clear.tif

      geocr view clear.tif --s2 /data/scene_s2.tif --port 8000 --no-browser
    """
    from geocr.report.result import find_result
    from geocr.report.server import ViewServer
    from geocr.report.tiles import SceneTiles, require_tiler

    require_tiler()
    files = find_result(scene, s2)
    tiles = SceneTiles(files)
    with _stop_signals() as stopped, ViewServer(tiles, name=scene.rsplit("/", 1)[-1], port=port) as server:
        if not quiet:
            for reason in (
                *files.missing,
                *(f"{layer} has no overviews: tiles of large parts of it take a while." for layer in tiles.slow_layers),
            ):
                typer.echo(f"note: {reason}", err=True)
        typer.echo(f"serving {server.url} (Ctrl-C stops)")
        if not no_browser:
            import webbrowser

            webbrowser.open(server.url)
        stopped.wait()
    if not quiet:
        typer.echo("stopped", err=True)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that the server is closed in good order; the signals are as before behind it."""
    stopped = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, lambda *_: stopped.set()) for kind in kinds}
    try:
        yield stopped
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
