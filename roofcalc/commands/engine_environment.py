"""Variables before an engine's command, and the tag of its image: `OLLAMA_NUM_PARALLEL=4 ollama run …`, `docker run … vllm/vllm-openai:v0.11.0`.

Ollama's are those of github.com/ollama/ollama/blob/00182b504e9e/docs/faq.mdx: the context is that of each request, and the cache holds as
many of them as requests at once, by default one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from roofcalc.commands.engine_flags import cache_dtype, count, tokens
from roofcalc.deployment.engines import GIB
from roofcalc.errors import RoofcalcError

_ASSIGNED = re.compile(r"(?:^|(?<=\s))([A-Z_][A-Z0-9_]*)=(\"[^\"]*\"|'[^']*'|[^\s;]*)")
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_OLLAMA: dict[str, tuple[str, Callable[[str], Any]]] = {
    "OLLAMA_CONTEXT_LENGTH": ("seq", tokens),
    "OLLAMA_NUM_PARALLEL": ("slots", count),
    "OLLAMA_KV_CACHE_TYPE": ("kv", cache_dtype),
}
_RELEASE = re.compile(r"(?:^|[\s/])(vllm/vllm-openai|lmsysorg/sglang):v?(\d+\.\d+)")
_IMAGES = {"vllm/vllm-openai": "vllm", "lmsysorg/sglang": "sglang"}

# GiB of memory on all devices from which ollama takes a context, and the context in tokens; it counts a GiB less than it documents
# (24, 48), as devices show less than their size: github.com/ollama/ollama/blob/948f69330acf/docs/context-length.mdx, server/routes.go
_CONTEXTS = ((47, 262_144), (23, 32_768), (0, 4096))


class Environment(NamedTuple):
    """What the variables say.

    Attributes
    ----------
    values : dict
        Of ollama: "seq" of each request, "slots", "kv".
    visible : int or None
        Devices that the engine sees; None where no variable limits them.
    unused : tuple of str
        Names of the variables that are not counted.
    """

    values: dict[str, Any]
    visible: int | None
    unused: tuple[str, ...]


def environment(before: str, ollama: bool) -> Environment:
    """The variables in what stands before an engine's start.

    Raises
    ------
    RoofcalcError
        A value that cannot be read.
    """
    values: dict[str, Any] = {}
    visible, unused = None, []
    for name, quoted in _ASSIGNED.findall(before):
        text = quoted.strip("\"'")
        if name in _VISIBLE and text and not text.startswith("-"):
            visible = text.rstrip(",").count(",") + 1
        elif ollama and name in _OLLAMA:
            option, read = _OLLAMA[name]
            try:
                values[option] = read(text)
            except RoofcalcError as error:
                raise RoofcalcError(f"from: {name} {error}") from None
        else:
            unused.append(name)
    return Environment(values, visible, tuple(dict.fromkeys(unused)))


def release(engine: str, text: str) -> str:
    """The engine with the release that its image's tag names; the engine alone for other tags (`latest`)."""
    found = _RELEASE.search(text)
    return f"{engine}-{found[2]}" if found and _IMAGES[found[1]] == engine else engine


def default_context(memory_bytes: float) -> int:
    """The context that ollama takes on devices with so much memory together. [tokens]"""
    return next(length for least, length in _CONTEXTS if memory_bytes >= least * GIB)
