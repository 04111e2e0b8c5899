"""Files with something wrong in them: a few changes to a catalog entry, a configuration, checks, points or a mix that is right."""

import csv
import io
import json
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.odd import NUMBERS, SCALARS, TEXTS, WORDS, YAML

Place = tuple[Any, ...]
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def places(value: Any, path: Place = ()) -> list[Place]:
    """The path of every value below this one."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, item in pairs for one in [(*path, key), *places(item, (*path, key))]]


def _put(whole: Any, path: Place, change: str, value: Any) -> None:
    """Changes one place of `whole`; a place that an earlier change took away stays away."""
    inner = whole
    for key in path[:-1]:
        inner = inner[key] if isinstance(inner, dict) and key in inner else None
    if not isinstance(inner, dict) or path[-1] not in inner:
        return
    if change == "replace":
        inner[path[-1]] = value
    elif change == "scale":
        old = inner[path[-1]]
        if isinstance(old, (int, float)):
            inner[path[-1]] = int(old * value) if isinstance(old, int) else old * value
    elif change == "delete":
        del inner[path[-1]]
    elif change == "rename":
        inner[str(value)] = inner.pop(path[-1])
    elif isinstance(inner[path[-1]], dict):
        inner[path[-1]]["other"] = value
    else:
        inner[path[-1]] = [inner[path[-1]], value]


@st.composite
def _changed(draw: st.DrawFn, wholes: list[str], raw: bool) -> tuple[Any, dict[str, str]]:
    """A file's values with one to three changes, and the texts that stand for words in it."""
    whole = json.loads(draw(st.sampled_from(wholes)))
    every = places(whole)
    texts: dict[str, str] = {}
    for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
        path = draw(st.sampled_from(every))
        change = draw(st.sampled_from(("replace", "replace", "delete", "rename", "inside", "scale", "scale", "scale")))
        value = draw(st.sampled_from(WORDS if change == "rename" else SCALARS))
        if raw and change in ("replace", "inside") and draw(st.booleans()):
            value = f"raw{len(texts)}raw"
            texts[value] = draw(st.sampled_from(YAML))
        if change == "scale":
            value = draw(st.sampled_from((0, 0.5, 2, 3, 10, 1000, 10**6, 10**9)))
        _put(whole, path, change, deepcopy(value))
    return whole, texts


@st.composite
def _torn(draw: st.DrawFn, text: str, pieces: tuple[str, ...]) -> str:
    """The text as it is mostly; else cut, or with something put into it."""
    how = draw(st.integers(0, 9))
    if how > 1:
        return text
    at = draw(st.integers(0, len(text)))
    return text[:at] if how == 0 else text[:at] + draw(st.sampled_from(pieces)) + text[at:]


@st.composite
def yaml_bytes(draw: st.DrawFn, wholes: list[str]) -> bytes:
    """A YAML file, from the values of right ones as JSON text."""
    whole, texts = draw(_changed(wholes, True))
    text = yaml.dump(whole, Dumper=_DUMPER, sort_keys=False, default_flow_style=None, width=10_000)
    for word, piece in texts.items():
        text = text.replace(word, piece)
    return _encoded(draw, draw(_torn(text, YAML)))


@st.composite
def json_bytes(draw: st.DrawFn, wholes: list[str]) -> bytes:
    """A JSON file, likewise."""
    text = json.dumps(draw(_changed(wholes, False))[0])
    return _encoded(
        draw, draw(_torn(text, ("NaN", "Infinity", "-Infinity", "9" * 5000, "[" * 5000, "{", "}", "\x00", '"', "\\", "1e999", "\ufeff", ",", "//")))
    )


@st.composite
def csv_bytes(draw: st.DrawFn, rows: list[list[str]]) -> bytes:
    """A CSV file: the header and some of the rows, a few cells or columns of them changed."""
    header, *others = rows
    table = [list(header), *(list(draw(st.sampled_from(others))) for _ in range(draw(st.integers(0, 3))))]
    for _ in range(draw(st.sampled_from((0, 1, 1, 2, 4)))):
        row = draw(st.sampled_from(table[1:] * 3 + table))
        at = draw(st.integers(0, len(header) - 1))
        if draw(st.integers(0, 5)):
            row[at % len(row)] = draw(st.sampled_from(TEXTS))
        else:
            row.append(draw(st.sampled_from(TEXTS)))
    text = io.StringIO(newline="")
    csv.writer(text).writerows(table)
    return _encoded(draw, draw(_torn(text.getvalue(), ('"', "\x00", "\r", "\n\n", ",", "\ufeff", '"\n' * 50))))


@st.composite
def mix_bytes(draw: st.DrawFn) -> bytes:
    """A file of request kinds: lines of two numbers and a weight, some with something else."""
    number = st.sampled_from(("1000", "4k", "200", "0", "1", "128k", *NUMBERS))
    line = st.tuples(
        number, st.sampled_from((":", ":", ":", ":", "", "::", ";")), number, st.sampled_from((" ", ", ", "\t", "")), number | st.just("")
    )
    lines = draw(st.lists(line.map("".join) | st.sampled_from(("", "# kinds", "1k:500 # a", *WORDS)), max_size=5))
    return _encoded(draw, "\n".join(lines))


def _encoded(draw: st.DrawFn, text: str) -> bytes:
    how = draw(st.integers(0, 40))
    plain = text.encode("utf-8", errors="replace")
    return {0: b"\xef\xbb\xbf" + plain, 1: text.encode("utf-16", errors="replace"), 2: plain.replace(b"\n", b"\r\n"), 3: plain + b"\xff", 4: b""}.get(
        how, plain
    )
