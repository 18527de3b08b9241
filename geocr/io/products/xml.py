"""XML from strangers, read into plain elements: no document type, so no entities and nothing fetched."""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from geocr.core.errors import RasterReadError


def parse_xml(content: bytes, name: str) -> Element:
    """The root of a document; names of elements and attributes come without their namespaces.

    Args:
        content: The document.
        name: How to call it in messages.

    Raises:
        RasterReadError: When it is not well formed, or declares a document type: entities grow without bound or reach for other files,
            and no product has them.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise RasterReadError(f"metadata of a product declares no document type or entities, and {name} does; it is not read")

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in attributes.items()})

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: builder.end(tag.rpartition(" ")[2])
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise RasterReadError(
            f"metadata of a product must be well-formed XML; {name} is not: {error}; it is truncated or damaged: fetch it again"
        ) from error
    return builder.close()


def first_text(root: Element, *tags: str) -> str | None:
    """Text of the first element with one of these names, the names tried in order; None when none has any."""
    for tag in tags:
        for element in root.iter(tag):
            if element.text and element.text.strip():
                return element.text.strip()
    return None


def first_number(root: Element, name: str, *tags: str) -> float | None:
    """The same as a number.

    Raises:
        RasterReadError: When the text is none.
    """
    text = first_text(root, *tags)
    return None if text is None else to_number(text, f"{tags[0]} in {name}")


def to_number(text: str | None, what: str) -> float:
    """A number of the metadata.

    Raises:
        RasterReadError: When the text is none.
    """
    try:
        return float(text or "")
    except ValueError:
        raise RasterReadError(f"{what} must be a number, got {text!r}; the metadata is damaged: fetch the product again") from None
