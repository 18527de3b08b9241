"""What a run says of its Sentinel-1: names, time, orbit, radiometry, shift."""

from typing import Any

from geocr.grid.shift import Shift
from geocr.inference.shift import shift_account
from geocr.io.facts import SarFacts
from geocr.io.sar_choice import short_name
from geocr.io.scene import Scene


def sar_names(scene: Scene) -> str:
    """Names of the Sentinel-1 images that were read, without folders; `none` without."""
    if scene.sar is None:
        return "none"
    facts = scene.sar_facts
    return ",".join(facts.products) or facts.product or short_name(scene.sar.path)


def sar_account(scene: Scene, shift: Shift | None = None) -> dict[str, Any]:
    """What is known of them, JSON-able; {} without.

    Keys, each only where it is known: `acquired` (ISO 8601, UTC), `days_from_s2`, `orbit`, `relative_orbit`, `radiometry`, and `shift` as
    `shift_account` gives it. Of a mosaic: the time of its first image, the rest where all images share it, and `images` with `name` and
    the same keys of each, in the order in which they fill it.
    """
    if scene.sar is None:
        return {}
    facts = scene.sar_facts
    account = _known(facts)
    if facts.images:
        account["images"] = [{"name": name, **_known(image)} for name, image in zip(facts.products, facts.images, strict=True)]
    if shift is not None:
        account["shift"] = shift_account(shift)
    return account


def _known(facts: SarFacts) -> dict[str, Any]:
    known = {
        "acquired": None if facts.acquired is None else facts.acquired.isoformat(),
        "days_from_s2": facts.days_from_optical,
        "orbit": facts.orbit,
        "relative_orbit": facts.relative_orbit,
        "radiometry": facts.radiometry,
    }
    return {name: value for name, value in known.items() if value is not None}
