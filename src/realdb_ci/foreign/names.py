"""Names: one for each test, whatever its producer wrote where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from realdb_ci.foreign.places import Places
from realdb_ci.foreign.records import Frame, named_file

# Between the suites around a test, as people read it.
WITHIN = " > "
# Node's own runner gives every test this class name.
NO_CLASS = frozenset({"", "test"})


class Names:
    """What a file's tests are called, and which files they are in.

    Args:
        places: the checkout.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._python = cache(self._python_prefix)

    def of(self, attributes: Mapping[str, str], frame: Frame) -> tuple[str, str]:
        """The node id and the path of a test; the path is empty where nobody names one.

        A test that pytest ran has the node id that pytest gives it; any other one is ``class::name``, or its name
        with the suites around it where that says as much.
        """
        get = attributes.get
        classname, name = get("classname", ""), get("name", "")
        file = named_file(attributes) or frame.file
        if frame.dialect.python:
            path, module, prefix = self._python(classname or name, file)
            return (module if not classname or name in (module, path) else prefix + name), path
        path = self._places.relative(file) if file else self._file_among(classname, frame)
        return self._plain(classname, name, frame), path

    def _python_prefix(self, dotted: str, file: str) -> tuple[str, str, str]:
        """The path of a module, its name, and what stands before the names of its tests."""
        told, path, classes = self._places.module(dotted, file)
        return path, told, "::".join((told, *classes, ""))

    def _plain(self, classname: str, name: str, frame: Frame) -> str:
        within = WITHIN.join(frame.path)
        if classname in NO_CLASS:
            nodeid = WITHIN.join(filter(None, (within, name if name != frame.name else "")))
        elif not name or classname == name or name.startswith((f"{classname} ", f"{classname}.")):
            nodeid = name or classname
        elif name.endswith(f" {classname}"):
            nodeid = name
        else:
            nodeid = f"{classname}::{name}"
        project = frame.attributes.get("hostname", "") if frame.dialect.hostname_is_project else ""
        if project and f"[{project}]" not in name:
            nodeid = f"{nodeid} [{project}]"
        return nodeid or "(a test without a name)"

    def _file_among(self, classname: str, frame: Frame) -> str:
        """A class or suite that is called after its file, as JavaScript's runners do it."""
        for name in (classname, *reversed(frame.path)):
            if "." in name and " " not in name and (here := self._places.here(name)):
                return here
        return ""
