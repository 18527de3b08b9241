"""Small Sentinel-2 products with the real folders and names: SAFE folders and zips, tiles as on AWS, band folders, STAC items."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from geocr.core.bands import L1C_BANDS, L2A_BANDS, S2_BANDS
from tests.data_makers.scenes import Place, centres, surface

TILE, TIME, ORBIT = "33TWM", "20230813T095559", 122
LEFT, TOP, EPSG = 500_000.0, 5_200_020.0, 32633
SUN_ZENITH, SUN_AZIMUTH = 33.75, 155.5


@dataclass(frozen=True, kw_only=True)
class FakeProduct:
    """What is written; its pixels are a smooth field, 0 where `empty` says so."""

    level: str = "L1C"
    baseline: str = "05.09"
    offset_dn: float | Mapping[str, float] = -1000.0
    """As in the metadata; of each band where they differ. None is written where all are 0."""
    rows_10m: int = 120
    cols_10m: int = 132
    empty_cols_10m: int = 0
    """Columns on the left without data, a multiple of 6."""
    empty_pixel: tuple[str, int, int] | None = None
    """A band and a native pixel of it that is nodata."""
    extra: tuple[str, ...] = ()
    """Bands beyond those of the level."""

    @property
    def bands(self) -> tuple[str, ...]:
        return (L1C_BANDS if self.level == "L1C" else L2A_BANDS) + self.extra

    @property
    def name(self) -> str:
        return f"S2B_MSI{self.level}_{TIME}_N{self.baseline.replace('.', '')}_R{ORBIT}_T{TILE}_20230813T130536"

    def offset_of(self, band: str) -> float:
        return self.offset_dn if isinstance(self.offset_dn, float | int) else self.offset_dn.get(band, 0.0)

    def place(self, metres: int) -> Place:
        step = metres // 10
        return Place(left=LEFT, top=TOP, size=(self.rows_10m // step, self.cols_10m // step), res=float(metres), crs=CRS.from_epsg(EPSG))

    def dn(self, band: str, metres: int | None = None) -> np.ndarray:
        """Digital numbers of a band as they are stored, at its own resolution or another."""
        metres = metres or S2_BANDS[band].resolution_m
        values = surface(*centres(self.place(metres)), L1C_BANDS.index(band))
        stored = np.rint(values * 10_000 - self.offset_of(band)).astype(np.uint16)
        stored[:, : self.empty_cols_10m * 10 // metres] = 0
        if self.empty_pixel is not None and self.empty_pixel[0] == band:
            stored[self.empty_pixel[1:]] = 0
        return stored

    def classes(self) -> np.ndarray:
        """A scene classification at 20 m: vegetation, and a block of cloud."""
        rows, cols = self.place(20).size
        classes = np.full((rows, cols), 4, np.uint8)
        classes[rows // 4 : rows // 2, cols // 4 : cols // 2] = 9
        return classes


def write_image(path: Path, array: np.ndarray, place: Place) -> Path:
    """A JPEG 2000 file without loss, or a GeoTIFF, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": 1, "height": array.shape[0], "width": array.shape[1], "dtype": array.dtype.name, "crs": place.crs,
        "transform": from_origin(place.left, place.top, place.res, place.res),
    }  # fmt: skip
    if path.suffix != ".jp2":
        with rasterio.open(path, "w", **profile) as out:
            out.write(array, 1)
        return path
    with MemoryFile() as memory:
        with memory.open(**profile) as out:
            out.write(array, 1)
        with memory.open() as source:
            rasterio.shutil.copy(source, path, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    return path


def write_safe(folder: Path, product: FakeProduct) -> Path:
    """A `.SAFE` folder."""
    safe = folder / f"{product.name}.SAFE"
    granule = safe / "GRANULE" / f"{product.level}_T{TILE}_A033610_{TIME}"
    images = []
    for band in product.bands:
        native = S2_BANDS[band].resolution_m
        sizes = (native,) if product.level == "L1C" else tuple(size for size in (10, 20, 60) if size >= native)
        for metres in sizes:
            below = "" if product.level == "L1C" else f"R{metres}m/"
            end = "" if product.level == "L1C" else f"_{metres}m"
            stem = f"IMG_DATA/{below}T{TILE}_{TIME}_{band}{end}"
            images.append(f"GRANULE/{granule.name}/{stem}")
            write_image(granule / f"{stem}.jp2", product.dn(band, metres), product.place(metres))
    if product.level == "L2A":
        write_image(granule / f"IMG_DATA/R20m/T{TILE}_{TIME}_SCL_20m.jp2", product.classes(), product.place(20))
        chance = np.where(product.classes() == 9, 90, 2).astype(np.uint8)
        write_image(granule / "QI_DATA/MSK_CLDPRB_20m.jp2", chance, product.place(20))
    (safe / f"MTD_MSI{product.level}.xml").write_text(product_xml(product, images))
    (granule / "MTD_TL.xml").write_text(tile_xml(product))
    return safe


def product_xml(product: FakeProduct, images: list[str]) -> str:
    """The file about the product, with the elements that are read and some that are not."""
    kind = "RADIO" if product.level == "L1C" else "BOA"
    offsets = "".join(
        f'<{kind}_ADD_OFFSET band_id="{number}">{product.offset_of(band):g}</{kind}_ADD_OFFSET>' for number, band in enumerate(L1C_BANDS)
    )
    offset_list = "" if product.offset_dn == 0 else f"<{kind}_ADD_OFFSET_LIST>{offsets}</{kind}_ADD_OFFSET_LIST>"
    quantity = "QUANTIFICATION_VALUE" if product.level == "L1C" else "BOA_QUANTIFICATION_VALUE"
    spectral = "".join(
        f'<Spectral_Information bandId="{number}" physicalBand="{band.replace("B0", "B")}"/>' for number, band in enumerate(L1C_BANDS)
    )
    listed = "".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in images)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><n1:User_Product xmlns:n1="https://example.org/PSD"><n1:General_Info><Product_Info>'
        f"<PRODUCT_START_TIME>2023-08-13T09:55:59.024Z</PRODUCT_START_TIME><PRODUCT_URI>{product.name}.SAFE</PRODUCT_URI>"
        f"<PROCESSING_LEVEL>Level-{product.level[1:]}</PROCESSING_LEVEL><PROCESSING_BASELINE>{product.baseline}</PROCESSING_BASELINE>"
        f"<Datatake><SENSING_ORBIT_NUMBER>{ORBIT}</SENSING_ORBIT_NUMBER></Datatake><Product_Organisation><Granule_List><Granule>{listed}</Granule>"
        f"</Granule_List></Product_Organisation></Product_Info><Product_Image_Characteristics><{quantity}>10000</{quantity}>{offset_list}"
        f"<Spectral_Information_List>{spectral}</Spectral_Information_List></Product_Image_Characteristics></n1:General_Info></n1:User_Product>"
    )


def tile_xml(product: FakeProduct) -> str:
    """The file about the tile."""
    grids = "".join(f'<Viewing_Incidence_Angles_Grids bandId="0" detectorId="{number}"/>' for number in (5, 4, 4))
    return (
        f'<?xml version="1.0"?><n1:Tile xmlns:n1="https://example.org/PSD"><n1:General_Info>'
        f"<TILE_ID>S2B_OPER_MSI_{product.level}_TL_2BPS_20230813T130536_A033610_T{TILE}_N{product.baseline}</TILE_ID>"
        f"<SENSING_TIME>2023-08-13T10:07:53.782Z</SENSING_TIME></n1:General_Info><Mean_Sun_Angle><ZENITH_ANGLE unit='deg'>{SUN_ZENITH}</ZENITH_ANGLE>"
        f"<AZIMUTH_ANGLE unit='deg'>{SUN_AZIMUTH}</AZIMUTH_ANGLE></Mean_Sun_Angle>{grids}</n1:Tile>"
    )


def zip_folder(folder: Path, *more: Path) -> Path:
    """A zip of the folder (and others), with their names on top."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in (folder, *more):
            for file in sorted(one.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(one.parent))
    return path


def write_aws(folder: Path, product: FakeProduct, *, product_metadata: bool = False) -> Path:
    """A tile's folder as on AWS."""
    tile = folder / "tiles" / "33" / "T" / "WM"
    for band in product.bands:
        native = S2_BANDS[band].resolution_m
        below = "" if product.level == "L1C" else f"R{native}m/"
        write_image(tile / f"{below}{band}.jp2", product.dn(band), product.place(native))
        write_image(tile / "preview" / f"{band}.jp2", product.dn(band, 60), product.place(60))
        write_image(tile / "qi" / f"MSK_DETFOO_{band}.jp2", np.ones((4, 4), np.uint8), product.place(60))
    if product.level == "L2A":
        write_image(tile / "R20m/SCL.jp2", product.classes(), product.place(20))
    info = {
        "timestamp": "2023-08-13T10:07:53.782Z", "utmZone": 33, "latitudeBand": "T", "gridSquare": "WM", "productName": product.name,
    }  # fmt: skip
    (tile / "tileInfo.json").write_text(json.dumps(info))
    (tile / "metadata.xml").write_text(tile_xml(product))
    if product_metadata:
        (tile / "product").mkdir()
        (tile / "product/metadata.xml").write_text(product_xml(product, []))
    return tile


def write_band_folder(folder: Path, product: FakeProduct, *, suffix: str = ".jp2") -> Path:
    """Loose band files."""
    loose = folder / "bands"
    for band in product.bands:
        native = S2_BANDS[band].resolution_m
        write_image(loose / f"T{TILE}_{TIME}_{band}{suffix}", product.dn(band), product.place(native))
    return loose


EARTH_SEARCH = {
    "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge1", "B06": "rededge2", "B07": "rededge3", "B08": "nir",
    "B8A": "nir08", "B09": "nir09", "B11": "swir16", "B12": "swir22",
}  # fmt: skip
"""Keys of the assets of Earth Search."""


def write_item(
    folder: Path,
    product: FakeProduct,
    *,
    style: str = "earth-search",
    properties: Mapping[str, Any] | None = None,
    offset: float | None = -0.1,
) -> Path:
    """A STAC item in the style of a catalogue (`earth-search`, `planetary-computer`, `cdse`) with files beside it.

    Args:
        folder: Where it goes.
        product: Pixels and names.
        style: How assets are named and where scaling stands.
        properties: Put over the item's own.
        offset: What the bands carry where the style tells it at all; None leaves it out.
    """
    place = folder / product.name
    assets: dict[str, Any] = {
        "thumbnail": {"href": "thumb.jpg"},
        "visual": {"href": "TCI.tif", "eo:bands": [{"name": "red"}, {"name": "green"}]},
    }
    for band in product.bands:
        native = S2_BANDS[band].resolution_m
        write_image(place / f"{band}.tif", product.dn(band), product.place(native))
        asset: dict[str, Any] = {"href": f"./{band}.tif", "roles": ["data"]}
        scaling = {"scale": 1e-4} | ({} if offset is None else {"offset": offset})
        if style == "earth-search":
            key = EARTH_SEARCH[band]
            asset |= {"eo:bands": [{"name": key, "common_name": S2_BANDS[band].common_name}]}
            asset |= {"raster:bands": [{"nodata": 0, "spatial_resolution": native, **scaling}]}
            assets[f"{key}-jp2"] = {**asset, "href": f"s3://sentinel-s2-l2a/tiles/33/T/WM/{band}.jp2"}
        elif style == "planetary-computer":
            key = band
            asset |= {"gsd": native, "eo:bands": [{"name": band, "common_name": S2_BANDS[band].common_name}]}
        else:
            key = f"{band}_{native}m"
            asset |= {f"raster:{name}": value for name, value in scaling.items()}
            if native == 10:
                write_image(place / f"{band}_60m.tif", product.dn(band, 60), product.place(60))
                assets[f"{band}_60m"] = {**asset, "href": f"{band}_60m.tif"}
        assets[key] = asset
    write_image(place / "SCL.tif", product.classes(), product.place(20))
    assets["scl" if style == "earth-search" else "SCL" if style == "planetary-computer" else "SCL_20m"] = {"href": "SCL.tif"}
    own = {
        "datetime": "2023-08-13T10:07:53.782Z", "s2:product_uri": f"{product.name}.SAFE", "s2:processing_baseline": product.baseline,
        "view:sun_elevation": 90 - SUN_ZENITH, "view:sun_azimuth": SUN_AZIMUTH, "grid:code": f"MGRS-{TILE}",
    }  # fmt: skip
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": f"S2B_{TILE}_20230813_0_L2A", "properties": own | dict(properties or {}),
        "collection": "sentinel-2-l2a", "assets": assets,
    }  # fmt: skip
    path = place / "item.json"
    path.write_text(json.dumps(item))
    return path
