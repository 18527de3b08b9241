"""What a reconstructor asks of the tiles it is given."""

from dataclasses import asdict, dataclass

from geocr.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSpec:
    """Size and margins of the windows a reconstructor works on.

    The windows form one lattice over the scene, anchored at its upper-left corner. Of each window the
    outer `halo_px` are context only and never written (except at the scene's border); neighbours share
    `overlap_px` behind that, over which one fades into the other.
    """

    size_px: int
    """Side of a window. A scene smaller than that gives one window of the scene's own size."""
    overlap_px: int = 0
    """Pixels over which neighbouring tiles are blended; 0 where a result does not depend on its tile."""
    halo_px: int = 0
    """Context on each side that is computed and thrown away."""
    align_px: int = 1
    """First rows and columns of windows are multiples of this. The last window of an axis, which is
    shifted inward to end with the scene, is up to `align_px - 1` pixels longer then."""

    def __post_init__(self) -> None:
        """Refuse lattices that cannot advance."""
        if min(self.size_px, self.align_px) < 1 or min(self.overlap_px, self.halo_px) < 0:
            raise InputError(f"tile size and alignment must be at least 1, overlap and halo at least 0, got {asdict(self)}")
        if self.size_px - 2 * self.halo_px < 2 * self.overlap_px or self.stride_px < 1:
            raise InputError(
                f"a tile without its halo must be at least twice the overlap, so that at most two tiles meet on an axis: "
                f"got size {self.size_px}, halo {self.halo_px}, overlap {self.overlap_px}; use a larger tile or a smaller overlap"
            )
        if self.stride_px % self.align_px:
            raise InputError(
                f"tiles must advance by a multiple of their alignment, got stride {self.stride_px} and alignment {self.align_px}"
            )

    @property
    def stride_px(self) -> int:
        """Distance between the first pixels of neighbouring windows."""
        return self.size_px - 2 * self.halo_px - self.overlap_px
