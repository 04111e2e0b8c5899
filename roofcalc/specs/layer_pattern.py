"""Run-length expression of a model's layers: `10*(5*local full) 2*local`."""

import re

MAX_LAYERS = 10_000
MAX_DEPTH = 10

Runs = tuple[tuple[str, int], ...]

_TOKEN = re.compile(r"\s*(?:(\d+)\s*\*|([A-Za-z_]\w*)|([()]))")


def parse(text: str) -> Runs:
    """Runs of identical blocks in order: `(("local", 5), ("full", 1), …)`.

    Grammar: item = [N*] (name | '(' items ')').

    Raises
    ------
    ValueError
        The expression is malformed, or has no or too many layers.
    """
    tokens: list[str | int] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if not match:
            raise ValueError(f"cannot read {text[position:].strip()[:20]!r}; write it as `10*(5*local full) 2*local`")
        count, name, bracket = match.groups()
        tokens.append(int(count) if count else name or bracket)
        position = match.end()
    runs, rest = _items(tokens, 0, depth=0)
    if rest != len(tokens):
        raise ValueError("unmatched )")
    total = sum(count for _, count in runs)
    if not 1 <= total <= MAX_LAYERS:
        raise ValueError(f"has {total} layers; expected 1 to {MAX_LAYERS}")
    return tuple(runs)


def _items(tokens: list[str | int], at: int, depth: int) -> tuple[list[tuple[str, int]], int]:
    if depth > MAX_DEPTH:
        raise ValueError(f"brackets nest deeper than {MAX_DEPTH}")
    runs: list[tuple[str, int]] = []
    while at < len(tokens) and tokens[at] != ")":
        times = 1
        while isinstance(token := tokens[at], int):
            times *= token
            at += 1
            if at == len(tokens) or tokens[at] == ")":
                raise ValueError(f"{times}* is not followed by a block")
        if token == "(":
            inner, at = _items(tokens, at + 1, depth + 1)
            if at == len(tokens):
                raise ValueError("unmatched (")
            at += 1
        else:
            inner, at = [(str(token), 1)], at + 1
        if times * max(1, len(inner)) > MAX_LAYERS:
            raise ValueError(f"has more than {MAX_LAYERS} layers")
        repeated = [(name, count * times) for name, count in inner] if len(inner) == 1 else inner * times
        for name, count in repeated:
            if runs and runs[-1][0] == name:
                runs[-1] = (name, runs[-1][1] + count)
            elif count:
                runs.append((name, count))
    return runs, at
