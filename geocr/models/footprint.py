"""How much memory a forward pass holds at once, counted on a small tile."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from geocr.models.base import FusionModel
from geocr.models.receptive import evaluating

COUNTED_PX = 64
"""Side of the tile that is computed, made larger for models that need it: a tenth of a second for most."""


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive, each storage once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.peak: int = 0
        self._seen: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled while memory is counted; to be shielded from the compiler would import it, 0.1 GB in every process with a model."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's signature
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's signature
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001 - views share it; nothing public tells them apart
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def forward_bytes(model: FusionModel, side_px: int, dates: int = 1) -> int:
    """Most bytes that inputs, activations and answers of one tile take at the same time, in float32.

    Counted while a small tile of zeros is computed, and scaled to the area of the tile that is asked for. (The meta device would count without
    computing, but most of its operations import torch's compiler: a second, and 0.15 GB in every process with a model.) What libraries take
    for themselves while they work on a layer is not in it.

    Args:
        model: Any model on the CPU; it is left as it is.
        side_px: Side of the tile.
        dates: How many dates it is given.
    """
    spec = model.spec
    side = min(side_px, spec.padded_px(COUNTED_PX))
    frame = (1, dates)
    with torch.inference_mode(mode=False), evaluating(model), _LiveBytes() as live:
        sar = torch.zeros((*frame, len(spec.sar_bands), side, side))
        cloudy = torch.zeros((*frame, len(spec.optical_in), side, side))
        mask = torch.zeros((*frame, side, side), dtype=torch.bool) if spec.needs_mask else None
        days = torch.zeros(frame) if spec.needs_dates else None
        model(sar, cloudy, mask, days)
    return int(live.peak * (side_px / side) ** 2)
