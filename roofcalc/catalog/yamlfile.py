"""YAML text -> plain values, with the line of every key. Knows nothing of what the keys mean.

PyYAML lets duplicate keys, cycles and exponentially nested aliases through; here each is an error.
"""

from pathlib import Path
from typing import Any

import yaml

from roofcalc.errors import RoofcalcError
from roofcalc.specs.schema import Lines, Path_

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 30
MAX_BITS = 1000  # of a whole number; beyond it floats end, and soon what Python prints


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path) -> str:
    """The file's text, or a RoofcalcError that says why there is none."""
    try:
        if path.exists() and not path.is_file():
            raise RoofcalcError(f"{path}: not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise RoofcalcError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise RoofcalcError(f"{path}: larger than {MAX_BYTES:,} bytes, the most that is read of a file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RoofcalcError(f"{path}: byte {error.start} is not UTF-8 text") from None


def load(path: Path) -> tuple[dict[str, Any], Lines]:
    """One YAML mapping and, for each key's path, the place `file:line` where it stands.

    Raises
    ------
    RoofcalcError
        The file cannot be read, is not one YAML mapping, repeats a key, or nests without end.
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
    """Walks the node tree once, noting lines and refusing what would not end."""

    def __init__(self, loader: Any, file: str) -> None:
        self.loader = loader
        self.file = file
        self.lines: Lines = {}
        self.errors: list[str] = []
        self.seen = 0

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.seen += 1
        if self.seen > MAX_NODES or len(path) > MAX_DEPTH:
            raise RoofcalcError(f"{self.file}: nests or repeats beyond any catalog file (aliases that contain themselves?)")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(item, (*path, str(i))) for i, item in enumerate(node.value)]
        if node.tag.endswith((":int", ":float")) and ":" in node.value:
            return node.value  # YAML 1.1 reads 1:50:1 in base 60
        try:
            value = self.loader.construct_object(node)
        except ValueError as error:  # a date such as 2026-13-01
            raise RoofcalcError(f"{self.place(node)}: {error}") from None
        except (AttributeError, IndexError, KeyError):  # `!!int ''`, `!!timestamp soon`, `!!bool maybe`
            raise RoofcalcError(f"{self.place(node)}: {node.value[:60]!r} is not what its tag {node.tag.rpartition(':')[2]} says") from None
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise RoofcalcError(f"{self.place(node)}: a number of {value.bit_length():,} bits is no figure")
        return value

    def item(self, node: yaml.Node, path: Path_) -> Any:
        self.lines[path] = self.place(node)
        return self.value(node, path)

    def place(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in sorted({name for name in written if written.count(name) > 1 and name != "<<"}):
            self.errors.append(f"{self.place(node)}: {'.'.join((*path, name))}: given more than once")
        self.loader.flatten_mapping(node)  # merges `<<`, the mapping's own keys last
        result: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise RoofcalcError(f"{self.place(key)}: a key must be a plain word")
            here = (*path, str(key.value))
            self.lines[here] = self.place(key)
            result[str(key.value)] = self.value(item, here)
        return result


def _one_line(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{where}: not valid YAML: {what}"
