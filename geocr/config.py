"""Settings as frozen data: validated once at the door, hashed into manifests, written into tags."""

from typing import Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

from geocr.core.errors import InputError
from geocr.radiometry.sar import BorderNoise, SarRadiometry, SarUnits

OPTION_NAMES = {"resolution_m": "resolution", "tile_px": "tile", "overlap_px": "overlap", "compiled": "compile", "references": "reference"}
"""Settings whose option on the command line has another name than theirs."""


class PredictConfig(BaseModel):
    """Everything that decides what `predict_scene` makes of its inputs, apart from where it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s1_units: SarUnits | None = Field(None, description="What the Sentinel-1 file holds; None decides by its values")
    s1_radiometry: SarRadiometry | None = Field(None, description="What Sentinel-1 is normalised to; None takes the metadata's word")
    s1_border_noise: BorderNoise = Field("mask", description="Dark rims of the Sentinel-1 swath: read as unmeasured, or kept")
    s1_gcps: bool = Field(False, description="Warp Sentinel-1 in radar geometry by its ground control points, without terrain correction")
    check_shift: bool = Field(False, description="Measure the shift between Sentinel-1 and Sentinel-2 first, and warn when it is large")
    s2_bands: tuple[str, ...] | None = Field(
        None,
        description="Of a Sentinel-2 raster the names of its bands in their order, of a product the bands to take; None reads them there",
    )
    s2_scale: float | None = Field(None, description="Reflectance per DN; None reads it from the file")
    s2_offset: float | None = Field(None, description="Reflectance at DN 0; None reads it from the file")
    s2_resampling: Literal["bilinear", "cubic"] = Field(
        "bilinear", description="How coarser bands of a product come onto the finest one's grid"
    )
    resolution_m: float | None = Field(None, gt=0, description="Side of the scene's pixels in metres; None is that of the finest band")
    cloud_mask: str = Field(
        "auto",
        description="auto, s2cloudless, scl, cldprb, omnicloudmask, rule, the path of a raster or of a vector file, or several joined by +",
    )
    scl: str | None = Field(None, description="Scene classification raster of the L2A product")
    mask_buffer_px: int | None = Field(None, ge=0, description="Growth of the mask in scene pixels")
    mask_buffer_m: float | None = Field(None, ge=0, description="Growth of the mask in metres")
    references: tuple[str, ...] | None = Field(None, description="Other dates of the place, S2 or S2,S1 each")
    method: Literal["auto", "scenefit", "temporal"] | None = Field(
        None, description="What fills clouds without a checkpoint; None is auto: other dates where they are clear, then the scene fit"
    )
    max_days: int | None = Field(
        None, ge=0, description="Most days between the scene and what is laid beside it: Sentinel-1, and references that are borrowed from"
    )
    checkpoint: str | None = Field(None, description="Trained model; None fits on the scene itself")
    b10: Literal["zero", "estimate"] | None = Field(
        None, description="What stands in for B10 where a model reads it and the scene has none"
    )
    any_level: bool = Field(False, description="Run a model on a scene of another processing level than its training's")
    output_bands: Literal["all", "model"] = Field("all", description="Write all bands of the scene, or those that the model gives")
    stretch: tuple[float, float] | None = Field(None, description="Reflectances that a model's 8-bit pictures show as 0 and as 255")
    s1_stretch: tuple[float, float] | None = Field(None, description="Backscatter in dB that they show as 0 and as 255")
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
    save_mask: bool = Field(False, description="Also write the cloud mask that was used")
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
