"""Every error geocr raises on purpose.

One root, `GeocrError`; each leaf also subclasses the builtin a caller would expect, so that both
`except GeocrError` and `except FileNotFoundError` work. Messages state the rule, what was expected,
what came, and the cure. The command line prints them without a traceback and exits with code 2.
"""


class GeocrError(Exception):
    """Root of the errors a user can cause and mend."""


class InputError(GeocrError, ValueError):
    """An argument or option has a value that the rule in the message does not allow."""


class NoPatchError(InputError):
    """No patch of the asked size and content lies in the given scenes and regions."""


class RasterNotFoundError(GeocrError, FileNotFoundError):
    """An input raster does not exist at the given path."""


class RasterReadError(GeocrError, OSError):
    """An input exists but is no raster, is truncated, or cannot be decoded at some window."""


class RemoteReadError(GeocrError, ConnectionError):
    """A remote file could not be fetched: no connection, no permission, or a server that fails."""


class GeoreferenceError(GeocrError, ValueError):
    """An input has no usable CRS or transform, or two inputs do not overlap."""


class NoOverlapError(GeoreferenceError):
    """Two inputs lie apart from each other."""


class BandError(GeocrError, ValueError):
    """Bands are missing, unnamed, duplicated, or not the ones a method needs."""


class UnitsError(GeocrError, ValueError):
    """Backscatter or reflectance units are unknown or do not fit the method."""


class CloudMaskError(GeocrError, ValueError):
    """The asked-for cloud mask cannot be made from the given scene."""


class TooFewClearPixelsError(GeocrError, ValueError):
    """The scene has fewer clear pixels than a fit on the scene itself needs."""


class CheckpointError(GeocrError, ValueError):
    """A checkpoint cannot be read, or does not fit the scene."""


class ReconstructionError(GeocrError, ArithmeticError):
    """A reconstructor returned the wrong shape, or a non-finite value where a pixel must be filled."""


class MissingDataError(GeocrError, FileNotFoundError):
    """A data set, or a part of it, is not where it was looked for."""


class SampleError(GeocrError, ValueError):
    """A sample of a data set breaks the contract of samples: shapes, sizes, dtypes, units, masks."""


class OutputExistsError(GeocrError, FileExistsError):
    """An output is already there and `--overwrite` was not given."""


class OutputWriteError(GeocrError, OSError):
    """An output could not be written: no permission, no space, or an invalid result."""


class RegistryError(GeocrError, KeyError):
    """A name is not in the table of plug-ins, or is there twice.

    A `KeyError`, because a mapping answers `in` and `get` by it.
    """

    __str__ = Exception.__str__  # that of KeyError would show the message in quotes


class TrainingError(GeocrError, ArithmeticError):
    """Training cannot go on: a loss is no longer a number."""


class DeviceMemoryError(GeocrError, MemoryError):
    """A batch does not fit into the device's memory."""
