"""YAML files -> plain values, and the line of every key.

PyYAML accepts duplicate keys, cycles and exponentially nested aliases; here each is an error.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from roofcalc.errors import RoofcalcError
from roofcalc.specs.schema import KeyPath, Lines

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 30
MAX_BITS = 1000  # of an integer; larger ones exceed the range of floats


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file of at most `limit` bytes.

    Raises
    ------
    RoofcalcError
        The file cannot be read, is too large, or is not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise RoofcalcError(f"{path}: not a regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise RoofcalcError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > limit:
        raise RoofcalcError(f"{path}: larger than the limit of {limit:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RoofcalcError(f"{path}: byte {error.start} is not UTF-8 text") from None


def load(path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping in a YAML file, and the `file:line` of each key path.

    Raises
    ------
    RoofcalcError
        The file cannot be read, is not a single YAML mapping, repeats a key, or nests too deeply.
    """
    loader = _LOADER(read_text(path))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise RoofcalcError(f"{path}: expected a mapping of keys to values")
        reader = _Nodes(loader, str(path))
        value = reader.value(node, ())
    except yaml.YAMLError as error:
        raise RoofcalcError(_one_line(path, error)) from None
    finally:
        loader.dispose()
    if reader.errors:
        raise RoofcalcError(*reader.errors)
    return value, reader.lines


class _Nodes:
    """Converts a node tree, records lines, and rejects trees that are too deep or too large."""

    def __init__(self, loader: Any, file: str) -> None:
        self.loader = loader
        self.file = file
        self.lines: Lines = {}
        self.errors: list[str] = []
        self.seen = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.seen += 1
        if self.seen > MAX_NODES or len(path) > MAX_DEPTH:
            raise RoofcalcError(f"{self.file}: nested too deeply or too large (aliases that contain themselves?)")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(item, (*path, str(i))) for i, item in enumerate(node.value)]
        if node.tag.endswith((":int", ":float")) and ":" in node.value:
            return node.value  # YAML 1.1 would read 1:50:1 as a base-60 number
        try:
            value = self.loader.construct_object(node)
        except ValueError as error:  # a date such as 2026-13-01
            raise RoofcalcError(f"{self.place(node)}: {error}") from None
        except (AttributeError, IndexError, KeyError):  # `!!int ''`, `!!timestamp soon`, `!!bool maybe`
            raise RoofcalcError(f"{self.place(node)}: {node.value[:60]!r} is not a valid {node.tag.rpartition(':')[2]}") from None
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise RoofcalcError(f"{self.place(node)}: integers of {value.bit_length():,} bits are not supported (at most {MAX_BITS:,})")
        return value

    def item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines[path] = self.place(node)
        return self.value(node, path)

    def place(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        written = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name in sorted(name for name, count in written.items() if count > 1 and name != "<<"):
            self.errors.append(f"{self.place(node)}: {'.'.join((*path, name))}: given more than once")
        self.loader.flatten_mapping(node)  # merges `<<`; the mapping's own keys win
        result: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise RoofcalcError(f"{self.place(key)}: a key must be a plain scalar")
            here = (*path, str(key.value))
            self.lines[here] = self.place(key)
            result[str(key.value)] = self.value(item, here)
        return result


def _one_line(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{where}: not valid YAML: {what}"
