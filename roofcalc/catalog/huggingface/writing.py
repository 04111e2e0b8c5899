"""Plain catalog values -> YAML in the style of the catalog files: each part on one line, repeated parts by anchors."""

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

_WIDTH = 120
_PARTS = ("attention", "state", "mlp")
_PLAIN = re.compile(r"[A-Za-z][\w.+-]*(?:/[\w.+-]+)*")
_WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def lines(values: dict[str, Any]) -> Iterator[str]:
    """Lines of the file; parsing them gives `values` again."""
    for key, value in values.items():
        if key == "blocks":
            yield "blocks:"
            yield from _blocks(value)
        elif key == "sources" and not value:
            yield "sources: []  # to be filled in: https addresses of the config.json and of other sources"
        elif key == "layers":
            yield f"layers: {value}"
        elif key == "notes":
            yield "notes: >-"
            yield from textwrap.wrap(value, _WIDTH - 2, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        else:
            yield f"{key}: {flow(value)}"


def flow(value: Any) -> str:
    """A value in YAML flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
        return value if plain else json.dumps(value)
    return str(value)


def _blocks(blocks: dict[str, Any]) -> Iterator[str]:
    """Blocks with their parts; a part that occurs again is written once, with an anchor to which later blocks refer."""
    anchors: list[tuple[str, Any, str]] = []
    for name, block in blocks.items():
        if not block:
            yield f"  {name}: {{}}"
            continue
        yield f"  {name}:"
        for key, value in block.items():
            known = next((anchor for part, other, anchor in anchors if (part, other) == (key, value)), None)
            if known:
                yield f"    {key}: *{known}"
                continue
            mark = ""
            if key in _PARTS and sum(other.get(key) == value for other in blocks.values()) > 1:
                anchor = f"{name}_{key}" if any(part == key for part, _, _ in anchors) else key
                anchors.append((key, value, anchor))
                mark = f" &{anchor}"
            yield from _part(key, mark, value)


def _part(key: str, mark: str, value: Any) -> Iterator[str]:
    line = f"    {key}:{mark} {flow(value)}"
    if len(line) <= _WIDTH or not isinstance(value, dict):
        yield line
        return
    yield f"    {key}:{mark}"
    for name, item in value.items():
        yield f"      {name}: {flow(item)}"
