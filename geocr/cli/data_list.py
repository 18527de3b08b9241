"""`geocr data list`: the table of data sets."""

import typer

from geocr.cli._render import AsJson, Verbose, print_facts, print_json


def command(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Show every data set: bands, units, splits, masks, licence, and how to get it.

    Example: `geocr data list --json | jq .sen12mscr.download`
    """
    from geocr.data.datasets import DATASETS

    cards = {name: DATASETS.load(name).card for name in DATASETS}
    if as_json:
        print_json({name: card.to_dict() for name, card in cards.items()})
        return
    for name, card in cards.items():
        print_facts(
            name,
            [
                ("what", card.title),
                ("Sentinel-1", f"{', '.join(card.sar_bands)} ({card.sar_unit})" if card.sar_bands else "none"),
                ("optical", f"{', '.join(card.optical_bands)} ({card.optical_unit})"),
                ("keys", ", ".join(card.keys)),
                ("not observed", card.nodata),
                ("cloud mask", card.mask),
                ("splits", f"{', '.join(card.splits)}: {card.split_rule}" if card.splits else card.split_rule),
                ("size", card.size),
                ("licence", card.licence),
                ("layout", card.layout),
                ("get it", card.download),
            ],
        )
        typer.echo()
