"""Whether XML is well-formed, in bounded time: the parser builds nothing and follows no entity."""

from __future__ import annotations

from xml.parsers import expat

MAX_XML_DEPTH = 1_000


class NotXml(ValueError):
    """The bytes are not well-formed XML."""


class _Refused(Exception):
    """A document type or a depth that is not examined."""


def check_xml(raw: bytes) -> bool:
    """Whether the XML could be checked; with a document type, or nested too deeply, it is not.

    Raises NotXml.
    """
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_XML_DEPTH:
            raise _Refused

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(name: str, system: str | None, public: str | None, internal: bool) -> None:
        raise _Refused

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except _Refused:
        return False
    except (LookupError, ValueError):  # an unknown encoding, or one that is not read by characters
        return False
    except expat.ExpatError:
        raise NotXml from None
    return True
