"""Settings as frozen data: validated once at the door, hashed into manifests, written into tags."""

from typing import Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

from geocr.core.errors import InputError
from geocr.radiometry.sar import SarUnits


class PredictConfig(BaseModel):
    """Everything that decides what `predict_scene` makes of its inputs, apart from where it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s1_units: SarUnits | None = Field(None, description="What the Sentinel-1 file holds; None decides by its values")
    s2_bands: tuple[str, ...] | None = Field(None, description="Names of the Sentinel-2 file's bands in its order; None reads them there")
    s2_scale: float | None = Field(None, description="Reflectance per DN; None reads it from the file")
    s2_offset: float | None = Field(None, description="Reflectance at DN 0; None reads it from the file")
    cloud_mask: str = Field("auto", description="auto, s2cloudless, scl, rule, or the path of a raster")
    scl: str | None = Field(None, description="Scene classification raster of the L2A product")
    mask_buffer_px: int | None = Field(None, ge=0, description="Growth of the mask in scene pixels")
    mask_buffer_m: float | None = Field(None, ge=0, description="Growth of the mask in metres")
    checkpoint: str | None = Field(None, description="Trained model; None fits on the scene itself")
    tile_px: int | None = Field(None, ge=16, description="Side of a model's tile; None takes the checkpoint's own")
    overlap_px: int | None = Field(None, ge=0, description="Overlap of a model's tiles; None takes the checkpoint's own")
    device: str = Field("auto", description="auto (a GPU when there is one), cpu, cuda or cuda:N; for trained models")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Of a trained model's weights and layers; auto tries which is faster"
    )
    batch: int | None = Field(None, ge=1, description="Tiles a model takes together; None tries what is fastest")
    compiled: bool = Field(False, description="Run a trained model through torch.compile")
    aoi: str | None = Field(None, description="Polygons outside which nothing is replaced: a vector file or WKT")
    mode: Literal["replace-clouds", "full"] = Field("replace-clouds", description="Replace cloudy pixels only, or rewrite every valid one")
    on_error: Literal["stop", "nodata"] = Field("stop", description="At an input block that does not decode: stop, or take it as nodata")
    uncertainty: bool = Field(False, description="Also write a standard deviation")
    max_memory: ByteSize | None = Field(None, description="Keep the run within this much memory; a number of bytes, or for example 2GiB")
    seed: int = Field(0, ge=0, description="Seed of the fit")

    @model_validator(mode="after")
    def _one_buffer(self) -> "PredictConfig":
        if self.mask_buffer_px is not None and self.mask_buffer_m is not None:
            raise InputError(
                f"the mask is buffered in pixels or in metres, not both: got --mask-buffer-px {self.mask_buffer_px} and "
                f"--mask-buffer-m {self.mask_buffer_m}; give one"
            )
        return self
