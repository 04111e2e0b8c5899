"""Shell completion: names of models and hardware, after commas and counts, and the choices of an option."""

import re
from collections.abc import Callable, Sequence
from typing import Any

Completer = Callable[[Any, list[str], str], list[str]]  # (context, arguments, incomplete word) -> candidates


def models(incomplete: str) -> list[str]:
    """Catalog names that complete the last name of a comma list."""
    from roofcalc.catalog import lookup

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in sorted(lookup.entries("models")) if name.startswith(lookup.normal(last))]


def hardware(incomplete: str) -> list[str]:
    """The same for hardware, where a count such as `8x` may come before the name."""
    from roofcalc.catalog import lookup

    before, comma, last = incomplete.rpartition(",")
    match = re.fullmatch(r"(\d+[x×])?(.*)", last, re.IGNORECASE)
    count, name_ = (match.group(1) or "", match.group(2)) if match else ("", last)
    return [f"{before}{comma}{count}{name}" for name in sorted(lookup.entries("hardware")) if name.startswith(lookup.normal(name_))]


def apis(incomplete: str) -> list[str]:
    """Names of hosted models that complete the last name of a comma list."""
    from roofcalc.catalog.api_prices import api_prices

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in sorted(api_prices()) if name.startswith(last.lower())]


def choices(words: Sequence[str]) -> Completer:
    """Completes one of a few words."""
    return lambda context, arguments, incomplete: [word for word in words if word.startswith(incomplete)]


_SERVERS = ("vllm", "sglang", "trtllm-serve", "llama-server")
COMPLETERS: dict[str, Completer] = {
    "model": lambda context, arguments, incomplete: models(incomplete),
    "hardware": lambda context, arguments, incomplete: hardware(incomplete),
    "api": lambda context, arguments, incomplete: apis(incomplete),
    "server": choices([*_SERVERS, *(f"docker-{server}" for server in _SERVERS)]),
}
