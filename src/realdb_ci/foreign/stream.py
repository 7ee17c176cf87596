"""The stream: an XML file as calls to a document, whatever is wrong with the file, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar
from xml.parsers import expat

from realdb_ci.foreign import mending
from realdb_ci.foreign.mending import CHUNK, EntitiesDefined

# Characters that reach the document in one call; long texts come in several.
BUFFER = 1 << 16
# What mended text is put into, so that it may hold several roots, or words around them.
ROOT = "realdb-ci-root"


class Target(Protocol):
    """What an XML file is told to."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """A piece of text."""


Told = TypeVar("Told", bound=Target)


def tell(path: Path, make: Callable[[Callable[[str], str]], Told]) -> tuple[Told, str]:
    """Tell a file to a document.

    Nearly all files are read in one go. One that turns out not to be well-formed is told again from its
    beginning to a new document, mended.

    Args:
        path: the file.
        make: makes an empty document, given what restores its strings.

    Returns:
        The document, and why it is not complete; empty where it is. One that defines entities stays empty.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            plain = make(str)
            if mending.encoding(file.read(200)).startswith("utf-8"):
                file.seek(0)
                _feed(plain, iter(lambda: file.read(CHUNK), b""))
                return plain, ""
        except expat.ExpatError:
            pass
        except EntitiesDefined:
            return make(str), "it defines entities, which are not expanded here"
        file.seek(0)
        return _tell_mended(file, make(mending.restore))


def _tell_mended(file: BinaryIO, document: Told) -> tuple[Told, str]:
    parser = _parser(document)
    pieces = (piece.encode() for piece in mending.mended(file))
    try:
        parser.Parse(f"<{ROOT}>".encode())
        for piece in pieces:
            parser.Parse(piece)
    except EntitiesDefined:
        return document, "it defines entities, which are not expanded here"
    except expat.ExpatError as problem:
        return document, f"line {problem.lineno} is not well-formed ({expat.ErrorString(problem.code)})"
    try:
        parser.Parse(f"</{ROOT}>".encode(), True)
    except expat.ExpatError as problem:
        return document, f"it ends in the middle, at line {problem.lineno}"
    return document, ""


def _feed(document: Target, pieces: Iterable[bytes] | Iterator[bytes]) -> None:
    parser = _parser(document)
    for piece in pieces:
        parser.Parse(piece)
    parser.Parse(b"", True)


def _parser(document: Target) -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.buffer_size = BUFFER
    parser.buffer_text = True
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.text
    parser.EntityDeclHandler = _refuse
    return parser


def _refuse(*_entity: object) -> None:
    raise EntitiesDefined
