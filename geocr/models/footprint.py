"""How much memory a forward pass holds at once, counted without computing it."""

import copy
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from geocr.models.base import FusionModel


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive, each storage once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.peak: int = 0
        self._seen: set[int] = set()

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
        key = storage._cdata  # noqa: SLF001 - views share it; nothing public tells them apart on the meta device
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

    A forward pass on torch's meta device, which knows shapes and no values. What libraries take for themselves while they work on a layer is not in it.

    Args:
        model: Any model; it is copied.
        side_px: Side of the tile.
        dates: How many dates it is given.
    """
    spec = model.spec
    counted = copy.deepcopy(model).to("meta").eval()
    frame = (1, dates)
    with torch.device("meta"), torch.inference_mode(mode=False), torch.no_grad(), _LiveBytes() as live:
        sar = torch.empty((*frame, len(spec.sar_bands), side_px, side_px))
        cloudy = torch.empty((*frame, len(spec.optical_in), side_px, side_px))
        mask = torch.empty((*frame, side_px, side_px), dtype=torch.bool) if spec.needs_mask else None
        days = torch.empty(frame) if spec.needs_dates else None
        counted(sar, cloudy, mask, days)
    return int(live.peak)
