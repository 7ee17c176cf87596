"""Mending: text that is nearly XML, made into XML without losing what it says."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from typing import BinaryIO

CHUNK = 1 << 20
# Characters of an unfinished tag or reference that are held back until the rest of it has come.
HELD_BACK = 2_000
# XML 1.0 forbids these characters; they travel through the parser as private ones, 16 planes up.
PRIVATE = 0x10F800
FORBIDDEN = {*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)}
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FOUND = re.compile(
    r"<\?xml\b[^>]*\?>"
    r"|<!DOCTYPE(?P<doctype>[^>\[]*\[)?[^>\[]*>?"
    r"|&#(?:x(?P<hex>[0-9a-fA-F]{1,6})|(?P<decimal>[0-9]{1,7}));"
    r"|&(?!(?:amp|lt|gt|quot|apos);)"
    r"|<(?![^\W\d]|[/!?:])"
)
_TRAVELLED = re.compile(f"[{chr(PRIVATE)}-{chr(PRIVATE + 0x1F)}]")
_DECLARED = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Encodings that extend ASCII, as their declaration is read in it.
_ASCII_LIKE = re.compile(r"(iso-?8859-\d+|windows-\d+|cp\d+|latin-?\d|koi8-[rtu]|gb\w+|big5|shift_?jis|euc-\w+)$")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}


class EntitiesDefined(Exception):
    """The file defines entities, which can make a small file fill all memory, or read others."""


def restore(text: str) -> str:
    """The text with the characters that ``mended`` sent through the parser in disguise."""
    return _TRAVELLED.sub(lambda found: chr(ord(found[0]) - PRIVATE), text)


def mended(file: BinaryIO) -> Iterator[str]:
    """The file's text in pieces that, put into one element, are XML, as far as that can be had.

    Its encoding is found out (declarations are often wrong), characters that XML forbids are replaced (see
    ``restore``), stray ampersands and brackets are escaped, XML declarations and document types are left out.

    Raises:
        EntitiesDefined: the document type defines some.
    """
    inside, rest = False, ""
    for piece in _decoded(file):
        ready, inside, rest = _mend(rest + piece, inside=inside, last=False)
        yield ready
    yield _mend(rest, inside=inside, last=True)[0]


def encoding(start: bytes) -> str:
    """The encoding that the beginning of a file shows or declares; UTF-8 where it does neither."""
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    declared = _DECLARED.match(start.lstrip())
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    return name if _ASCII_LIKE.match(name) and _is_known(name) else "utf-8"


def _is_known(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _decoded(file: BinaryIO) -> Iterator[str]:
    start = file.read(CHUNK)
    name = encoding(start)
    if _ASCII_LIKE.match(name) and not start.isascii() and _is_utf8(start):
        # What is no ASCII and yet valid UTF-8 was never meant to be anything else.
        name = "utf-8"
    # A byte that is no UTF-8 is taken for what it is in Latin-1.
    decoder = codecs.getincrementaldecoder(name)("surrogateescape" if name.startswith("utf-8") else "replace")
    while start:
        yield decoder.decode(start)
        start = file.read(CHUNK)
    yield decoder.decode(b"", final=True)


def _is_utf8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _mend(text: str, *, inside: bool, last: bool) -> tuple[str, bool, str]:
    """The mended text, whether it ends inside a CDATA section, and what has to wait for more."""
    done = []
    while True:
        before, mark, after = text.partition("]]>" if inside else "<![CDATA[")
        if not mark:
            break
        done += [_fit(before) if inside else _escaped(before), mark]
        text, inside = after, not inside
    cut = len(text) if last else _safe_cut(text, inside=inside)
    done.append(_fit(text[:cut]) if inside else _escaped(text[:cut]))
    return "".join(done), inside, text[cut:]


def _safe_cut(text: str, *, inside: bool) -> int:
    """Where the text can be cut without tearing a mark, a tag or a reference."""
    if inside:
        return max(len(text) - 2, 0)
    open_at = max(text.rfind("<"), text.rfind("&"))
    return open_at if open_at >= max(len(text) - HELD_BACK, 0) else len(text)


def _escaped(text: str) -> str:
    return _FOUND.sub(_replacement, _fit(text))


def _replacement(found: re.Match[str]) -> str:
    if found["doctype"] is not None:
        raise EntitiesDefined
    if found["hex"] or found["decimal"]:
        code = int(found["hex"], 16) if found["hex"] else int(found["decimal"])
        if code <= sys.maxunicode and not _UNFIT.match(chr(code)):
            return found[0]
        return chr(PRIVATE + code) if code in FORBIDDEN else "\ufffd"
    return {"&": "&amp;", "<": "&lt;"}.get(found[0], "")


def _fit(text: str) -> str:
    return _UNFIT.sub(_fitting, text)


def _fitting(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code in FORBIDDEN:
        return chr(PRIVATE + code)
    return chr(code - 0xDC00) if 0xDC80 <= code <= 0xDCFF else "\ufffd"  # noqa: PLR2004 - surrogateescape's range
