"""An engine's command line -> the model, the devices and the options that it stands for."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, NamedTuple

from roofcalc.commands.engine_environment import Environment, environment, release
from roofcalc.commands.engine_flags import TABLES, Flag, plain
from roofcalc.errors import RoofcalcError

# what begins an engine's command, and the words behind it that are no flags
_STARTS = (
    ("vllm", re.compile(r"(?:^|\s|/)vllm\s+serve(?=\s|$)")),
    ("vllm", re.compile(r"(?:^|\s)(?:python3?\s+)?-m\s+vllm\.entrypoints\.(?:openai\.)?api_server(?=\s|$)")),
    ("vllm", re.compile(r"(?:^|\s)\S*vllm/vllm-\S+(?=\s|$)")),  # docker run … vllm/vllm-openai:latest --model …
    ("sglang", re.compile(r"(?:^|\s)(?:python3?\s+)?-m\s+sglang\.launch_server(?=\s|$)")),
    ("sglang", re.compile(r"(?:^|\s|/)sglang\s+serve(?=\s|$)")),
    ("tensorrt-llm", re.compile(r"(?:^|\s|/)trtllm-serve(?:\s+serve)?(?=\s|$)")),
    ("llama.cpp", re.compile(r"(?:^|\s|/)(?:llama-server|llama-cli|llama-bench)(?:\.exe)?(?=\s|$)")),
    ("llama.cpp", re.compile(r"(?:^|\s)\S*llama\.cpp:(?:server|full)\S*(?=\s|$)")),  # docker run … ghcr.io/ggml-org/llama.cpp:server-cuda -m …
    ("llama.cpp", re.compile(r"(?:^|\s|/)ollama\s+(?:run|serve|pull)(?=\s|$)")),
)
_OLLAMA = "ollama"
_MLX = re.compile(r"(?:^|\s|/|-m\s+)mlx[_-](?:lm|vlm)(?:[.\s]\w+)?(?=\s|$)")
_RANK, _ADAPTERS = 16, {"vllm": 1, "sglang": 8}  # of adapters, and how many are in memory at once, by default
_SWITCH = re.compile(r"--?(?:no-|enable-|disable-|trust-|enforce-|async-|skip-|log-|use-|verbose|flash-attn$|mlock|jinja|fa$|v$|cnv$|cb$)")


class Start(NamedTuple):
    """A start of an engine.

    Attributes
    ----------
    engine : str
        vllm, sglang, tensorrt-llm or llama.cpp.
    model : str
    seq : int or None
        Longest sequence; None where the model's own context holds.
    batch : int or None
        Sequences at once, where the line fixes them (llama.cpp's slots).
    devices : int or None
        What the degrees multiply to, or those that a variable shows to llama.cpp; None where the engine takes all that it finds.
    options : dict
        Options of the API.
    ignored : tuple of str
        Flags without effect.
    notes : tuple of str
        What was taken, and what matters and is not calculated.
    ollama : bool
        Started by ollama, which has a default context of its own.
    moved : str
        What llama.cpp's --override-tensor moves, as written.
    """

    engine: str
    model: str
    seq: int | None
    batch: int | None
    devices: int | None
    options: dict[str, Any]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    ollama: bool = False
    moved: str = ""


def is_start(line: str) -> bool:
    """Whether a text starts an engine that is known."""
    return any(start.search(line) for _, start in _STARTS)


def parse(line: str) -> Start:
    """The start that a command line stands for.

    Raises
    ------
    RoofcalcError
        No engine that is known, no model, or a value that cannot be read.
    """
    text = re.sub(r"\\\r?\n", " ", line).strip()
    found = [(match.start(), -match.end(), engine, match) for engine, start in _STARTS if (match := start.search(text))]
    if not found and _MLX.search(text):
        raise RoofcalcError("from: mlx_lm's command lines are not read; `roofcalc max-batch MODEL APPLE-DEVICE --engine mlx` has its memory rules")
    if not found:
        raise RoofcalcError(
            f"from: {text[:60]!r} does not start a known engine; expected `vllm serve MODEL …`, `python -m sglang.launch_server …`, "
            "`trtllm-serve MODEL …` or `llama-server -m FILE …`, in quotes"
        )
    _, _, engine, match = min(found)
    try:
        words = shlex.split(text[match.end() :])
    except ValueError as error:
        raise RoofcalcError(f"from: {error} in the command line") from None
    around = environment(text[: match.start()], _OLLAMA in match[0])
    start = _meant(engine, *_read(engine, _undotted(engine, words)), around)
    start.options["engine"] = release(engine, text[: match.end()])
    return start._replace(ollama=_OLLAMA in match[0])


def _undotted(engine: str, words: list[str]) -> list[str]:
    """The words, with `--speculative-config.method mtp` and its like, parts of an option in JSON, joined to that option."""
    found: list[str] = []
    joined: dict[str, dict[str, Any]] = {}
    at = 0
    while at < len(words):
        name, equals, value = words[at].partition("=")
        option, dot, key = name.partition(".")
        at += 1
        if not dot or plain(option) not in TABLES[engine]:
            found.append(words[at - 1])
            continue
        if not equals and at < len(words):
            value = words[at]
            at += 1
        *outer, last = key.split(".")
        part = joined.setdefault(plain(option), {})
        for each in outer:
            part = part.setdefault(each, {}) if isinstance(part.setdefault(each, {}), dict) else {}
        try:
            part[last] = json.loads(value)
        except ValueError:
            part[last] = value
    return found + [word for option, parts in joined.items() for word in (option, json.dumps(parts))]


def _read(engine: str, words: list[str]) -> tuple[dict[str, tuple[str, Flag, Any]], list[str], list[str]]:
    """Flags by option, with what was written; words that are no flags; flags without effect."""
    table = TABLES[engine]
    given: dict[str, tuple[str, Flag, Any]] = {}
    bare: list[str] = []
    ignored: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not re.match(r"--?[a-zA-Z]", word):
            bare.append(word)
            continue
        name, equals, value = word.partition("=")
        name = plain(name)
        flag = table.get(name)
        follows = at < len(words) and not re.match(r"--?[a-zA-Z]", words[at])
        if flag is None:
            if not equals and follows and not _SWITCH.match(name) and (bare or at + 1 < len(words) or engine == "llama.cpp"):
                value = words[at]
                at += 1
            ignored.append(f"{name} {value}".strip())
            continue
        if not flag.switch and not equals:
            if not follows:
                raise RoofcalcError(f"from: {name} needs a value")
            value = words[at]
            at += 1
        elif flag.switch and follows and words[at].lower() in ("true", "false"):
            value = words[at].lower()
            at += 1
        if flag.switch and value == "false":
            continue
        try:
            meant = True if flag.switch else flag.value(value)
        except RoofcalcError as error:
            raise RoofcalcError(f"from: {name} {error}") from None
        if flag.option == "override_tensor" and flag.option in given:  # of these all count
            meant = f"{given[flag.option][2]},{meant}"
        given[flag.option or name] = f"{name} {'' if flag.switch else value}".strip(), flag, meant
    return given, bare, ignored


def _meant(engine: str, given: dict[str, tuple[str, Flag, Any]], bare: list[str], ignored: list[str], around: Environment) -> Start:
    value = {option: meant for option, (_, _, meant) in given.items()} | {name: meant for name, meant in around.values.items() if meant is not None}
    notes = [f"{written}: not calculated here: {flag.why}" for written, flag, _ in given.values() if flag.why]
    model = value.get("model") or next(iter(bare), None)
    if model is None:
        raise RoofcalcError("from: the command line names no model (`vllm serve MODEL`, `--model-path MODEL`, `-m FILE`)")
    degrees = {name: value.get(name) or 1 for name in ("tp", "pp", "dp")}
    if value.get("dp_attention"):  # data-parallel attention within the tensor group
        degrees["tp"] = max(degrees["tp"] // degrees["dp"], 1)
    devices: int | None = degrees["tp"] * degrees["pp"] * degrees["dp"]
    options: dict[str, Any] = dict(degrees)
    if engine == "llama.cpp":
        devices = around.visible
        by_layer = value.get("split", "layer") not in ("row", "tensor")
        options = {"tp": 1, "dp": 1} if by_layer else {"pp": 1, "dp": 1}  # layers over all devices, or matrices
        options |= {"gpu_layers": value["gpu_layers"]} if value.get("gpu_layers") else {}
        if value.get("kv_values") not in (None, value.get("kv")):
            notes.append(f"-ctv {value['kv_values']}: keys and values of different types are not calculated; both are taken as the keys'")
    experts = value.get("ep")
    if engine != "llama.cpp":
        options["ep"] = 1  # experts are split over all ranks unless a flag spreads them
    if experts is True or (isinstance(experts, int) and experts > 1):
        options["ep"] = degrees["tp"] * degrees["dp"]
        if experts is not True and experts != options["ep"]:
            notes.append(f"ep {experts}: experts are split over all ranks or spread over all of them; taken as {options['ep']}")
    for name in ("util", "kv", "weights", "kv_block", "dcp", "max_seqs", "max_batched_tokens"):
        if value.get(name) is not None:
            options[name] = value[name]
    if engine == "sglang" and value.get("dp_attention") and options.get("max_seqs"):
        options["max_seqs"] = max(options["max_seqs"] // degrees["dp"], 1)  # of all ranks, where they share one scheduler
    if value.get("adapters"):
        rank, number = value.get("adapter_rank"), value.get("adapter_count") or _ADAPTERS[engine]
        options["lora"] = f"rank={rank or _RANK},count={number}"
        if rank is None:
            notes.append(f"--enable-lora: adapters of rank {_RANK}, as --max-lora-rank is not given")
    if offload := _offload(value):
        options["offload"] = offload
    slots = value.get("slots") or (1 if engine == "llama.cpp" else None)
    seq = value.get("seq")
    if value.get("slots"):
        options["max_seqs"] = value["slots"]  # it serves no more at a time
    if around.visible and devices and devices > around.visible:
        notes.append(f"the variables show {around.visible} device{'s' * (around.visible > 1)} to the engine, and its line takes {devices}")
    if around.unused:
        notes.append(f"variables that are not counted: {', '.join(around.unused)}")
    if slots and seq and "seq" not in around.values:  # ollama's is of each request
        seq = seq // slots  # llama.cpp divides its context among the slots
    return Start(engine, model, seq, slots, devices, options, (*ignored, *_unused(given, bare)), tuple(notes), moved=value.get("override_tensor", ""))


def _unused(given: dict[str, tuple[str, Flag, Any]], bare: list[str]) -> list[str]:
    """Flags that leave the engine's default, those of adapters where none are enabled, and words behind the model."""
    of_adapters = () if "adapters" in given else ("adapter_count", "adapter_rank")
    flags = [written for option, (written, flag, meant) in given.items() if (meant is None and not flag.why) or option in of_adapters]
    return flags + bare["model" not in given :]


def _offload(value: dict[str, Any]) -> str:
    """What the flags leave in the host's memory, as `--offload` takes it."""
    found = []
    if value.get("cpu_moe"):
        found.append("experts=cpu")
    elif value.get("n_cpu_moe"):
        found.append(f"experts=cpu:{value['n_cpu_moe']}")
    if value.get("cpu_offload_gib"):
        found.append(f"weights=host:{value['cpu_offload_gib'] * 2**30 / 1e9:g}")
    return " ".join(found)
