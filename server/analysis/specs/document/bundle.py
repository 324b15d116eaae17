"""A document in several files → one document.

A referenced file is placed below `/x-bundled`, under its name without the suffix, so that a schema in its own
file keeps the name that a discriminator uses. Only `read` supplies files; references to URLs are refused.
"""

from __future__ import annotations

import posixpath
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.specs.document.pointers import escape, tokens_of, under
from server.analysis.specs.document.text import MAX_BYTES, MAX_NODES, parse_any
from server.analysis.specs.model import SpecError

HOME = "x-bundled"
MAX_FILES = 1_000
_SPLICES = 16  # nested maps that are files of their own

Read = Callable[[str], bytes]
"""A file's content by its path below the common folder, "/" between names. Raises SpecError."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_NAMED = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "schemas", "parameters"}
    | {"responses", "headers", "requestBodies", "securitySchemes", "paths", "pathItems", "callbacks"}
)
"""Keywords below which keys are names, not keywords."""
_LITERAL = frozenset({"example", "examples", "default", "enum", "const"})


@dataclass(slots=True)
class Bundle:
    """`files` has the source file of the document below each place."""

    document: JsonObject
    files: Mapping[str, str] = field(default_factory=dict)

    def blame(self, error: SpecError) -> SpecError:
        """The error with its place given by file."""
        for place, path in self.files.items():
            if error.where == place or error.where.startswith(place + "/"):
                return SpecError(f"{path}#{error.where[len(place) :]}", error.reason)
        return error

    def named(self, warning: str) -> str:
        """A warning with its place given by file."""
        for place, path in self.files.items():
            if warning.startswith((place + "/", place + ":")):
                return f"{path}#{warning[len(place) :]}"
        return warning


def bundle(root: str, read: Read) -> Bundle:
    """The document in the file `root` with all files it references. Raises SpecError."""
    return _Bundler(read).bundle(root)


class _Bundler:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._documents: dict[str, Json] = {}
        self._names: dict[str, str] = {}  # by path
        self._pending: list[str] = []
        self._bytes = self._nodes = 0

    def bundle(self, root: str) -> Bundle:
        self._root = posixpath.normpath(root)
        try:
            return self._bundled()
        except SpecError as error:
            raise Bundle({}, self._files()).blame(error) from None

    def _bundled(self) -> Bundle:
        root = self._parsed(self._root, "")
        if isinstance(root, dict) and not _refers_to_files(root):
            return Bundle(root)
        document = self._moved(root, self._root, "") if isinstance(root, dict) else root
        if not isinstance(document, dict):
            raise SpecError("", "the document is not a JSON object or YAML mapping")
        kept: JsonObject = {}
        while self._pending:
            path = self._pending.pop()
            place = under("", HOME, self._names[path])
            kept[self._names[path]] = self._moved(self._documents[path], path, place)
        if kept:
            document[HOME] = kept
        return Bundle(document, self._files())

    def _files(self) -> dict[str, str]:
        return {under("", HOME, name): path for path, name in self._names.items()}

    def _parsed(self, path: str, named_by: str) -> Json:
        if path not in self._documents:
            if len(self._documents) >= MAX_FILES:
                raise SpecError(named_by, f"refers to more than {MAX_FILES} files")
            raw = self._read(path)
            self._bytes += len(raw)
            if self._bytes > MAX_BYTES:
                raise SpecError(named_by, f"the files are larger than {MAX_BYTES // 2**20} MiB together")
            try:
                self._documents[path] = parse_any(raw)
            except SpecError as error:
                if path == self._root:  # the caller names it
                    raise
                raise SpecError(f"{path} {error.where}".strip(), error.reason) from None
        return self._documents[path]

    def _moved(self, node: Json, path: str, place: str, named: bool = False, splices: int = 0) -> Json:
        """A copy of the value at `place` in `path`, with references as valid in the bundle. `named`: the keys
        of `node` are names.
        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise SpecError(place, f"holds more than {MAX_NODES} values once references are written out")
        match node:
            case list():
                return [self._moved(item, path, under(place, i)) for i, item in enumerate(node)]
            case {"$ref": str(reference), **beside} if named and not beside:
                return self._spliced(reference, path, place, splices)
            case dict() if named:
                return {
                    name: self._moved(value, path, under(place, name), splices=splices)
                    for name, value in node.items()
                }
            case dict():
                return {
                    keyword: self._copied(keyword, value, path, under(place, keyword), splices)
                    for keyword, value in node.items()
                }
        return node

    def _copied(self, keyword: str, value: Json, path: str, place: str, splices: int) -> Json:
        """The copy of a keyword's value."""
        match keyword, value:
            case "$ref", str(reference):
                return self._reference(reference, path, place)
            case "discriminator", dict(node):
                return self._discriminator(node, path, place)
        if keyword in _LITERAL:
            return value
        return self._moved(value, path, place, keyword in _NAMED, splices)

    def _spliced(self, reference: str, path: str, place: str, splices: int) -> Json:
        """A map that is a file of its own replaces the reference, since pointers cannot lead through one."""
        if reference.startswith("#"):
            return {"$ref": self._reference(reference, path, under(place, "$ref"))}
        if splices >= _SPLICES:
            raise SpecError(under(place, "$ref"), "references lead to one another without end")
        target, fragment = self._target(reference, path, under(place, "$ref"))
        node = self._parsed(target, place)
        for key in tokens_of(fragment):
            if not isinstance(node, dict) or key not in node:
                raise SpecError(under(place, "$ref"), f"$ref to {fragment}, which is not in {target}")
            node = node[key]
        return self._moved(node, target, place, True, splices + 1)

    def _discriminator(self, node: JsonObject, path: str, place: str) -> JsonObject:
        mapping = node.get("mapping")
        if not isinstance(mapping, dict):
            return node
        moved: JsonObject = {
            value: self._reference(target, path, under(place, "mapping", value))
            if isinstance(target, str) and _is_file(target)
            else target
            for value, target in mapping.items()
        }
        return {**node, "mapping": moved}

    def _reference(self, reference: str, path: str, named_by: str) -> str:
        target, fragment = self._target(reference, path, named_by)
        if target == self._root:
            return "#" + fragment
        if target not in self._names:
            self._parsed(target, named_by)
            self._names[target] = self._free_name(target)
            self._pending.append(target)
        return f"#/{HOME}/{escape(self._names[target])}{fragment}"

    def _target(self, reference: str, path: str, named_by: str) -> tuple[str, str]:
        """(file, fragment) of a reference in `path`."""
        file, _, fragment = reference.partition("#")
        if _SCHEME.match(file) or file.startswith("/") or "\\" in file:
            raise SpecError(named_by, "$ref to a URL or an absolute path; only files beside it are read")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(file))) if file else path
        if target == ".." or target.startswith("../") or "\0" in target:
            raise SpecError(named_by, "$ref to a file outside the folder that was given")
        return target, fragment

    def _free_name(self, path: str) -> str:
        stem = posixpath.basename(path).rpartition(".")[0] or posixpath.basename(path)
        taken = set(self._names.values())
        names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, MAX_FILES + 2))
        return next(name for name in names if name not in taken)


def _refers_to_files(document: JsonObject) -> bool:
    """Whether anything in a document may be a reference to another file."""
    pending: list[Json] = [document]
    for node in pending:
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            reference = node.get("$ref")
            chosen = object_in(object_in(node, "discriminator"), "mapping").values()
            references = [reference, *(one for one in chosen if isinstance(one, str) and _is_file(one))]
            if any(isinstance(one, str) and not one.startswith("#") for one in references):
                return True
            pending += node.values()
    return False


def _is_file(target: str) -> bool:
    """Whether a discriminator's mapping means a reference, and not the name of a schema."""
    return "/" in target or target.endswith((".json", ".yaml", ".yml"))


def from_folder(folder: Path) -> Read:
    """Reads files below a folder; links out of it are refused."""
    base = folder.resolve()

    def read(path: str) -> bytes:
        file = (base / path).resolve()
        if not file.is_relative_to(base):
            raise SpecError(path, "the file lies outside the folder that was given")
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise SpecError(path, "no regular file; a pipe or device may never end")
            with file.open("rb") as opened:
                return opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise SpecError(path, f"the file cannot be read: {error.strerror}") from None

    return read


def from_memory(files: Mapping[str, bytes]) -> Read:
    """Reads files from a mapping by path."""

    def read(path: str) -> bytes:
        if path not in files:
            raise SpecError(path, "the file is not among those that were sent")
        return files[path]

    return read
