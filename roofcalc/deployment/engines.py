"""Memory rules of serving engines by release, from `engines.yaml`; `vllm-0.16` and the like pick a release, a bare name the newest.

Knows the file; what a deployment needs by these rules is worked out in `roofcalc.physics.engine_memory`.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.device import MIB, Device
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Positive, Range, build

PATH = Path(__file__).with_name("engines.yaml")
NONE = "none"
GIB = 1024**3
_RELEASE = re.compile(r"^(?P<engine>.*?)[-_ ]v?(?P<release>b?\d[\w.+]*)$")

Share = Annotated[float, Range(0.0, 1.0)]
Amount = Annotated[float, Range(0.0, 1e6)]


# Programs that users look for among the engines, and the engine that each runs.
PROGRAMS = {
    **dict.fromkeys(("ollama", "lm-studio", "lmstudio", "llama-server", "llama-cpp", "koboldcpp"), "llama.cpp"),
    **dict.fromkeys(("trtllm", "trtllm-serve"), "tensorrt-llm"),
    **dict.fromkeys(("mlx-lm", "mlx_lm", "mlx_lm.server"), "mlx"),
}
MANY_RANKS = 4  # from which SGLang captures larger batches


class Step(Record):
    """The largest step that an engine prepares for: tokens in it, and sequences that it samples for.

    `from_gib` and `but` say of which devices: those with so much memory whose names contain none of these words.
    """

    batched_tokens: Count
    seqs: Count
    from_gib: Amount = 0.0
    but: tuple[str, ...] = ()


class ReserveRule(Record):
    """MiB that a default fraction leaves free: a fixed part, parts per prefill token, per graph batch and per rank, and a floor."""

    fixed_mib: Amount
    per_token_mib: Amount
    per_graph_mib: Amount
    per_rank_mib: Amount
    least_mib: Amount
    least_from_gib: Amount


class Rules(Record):
    """How one engine, in one release, uses the memory of a device.

    Attributes
    ----------
    name : str
        Engine and release, `vllm-0.22`.
    util : float, optional
        Default fraction of memory that the engine takes; None: `reserve` gives it.
    share_of : "total", "free" or "rest"
        What the fraction is of: all memory; what is free before weights are loaded; what is left after weights and buffers.
    reserve : ReserveRule, optional
        The default fraction leaves so much.
    steps : tuple of (GiB, prefill tokens, graph batch, graph batch of four ranks or more)
        By a device's memory, below so many GiB: the prefill chunk and the largest batch in CUDA graphs.
    outside : bool
        Activations live in the memory that the fraction leaves, not in what it takes.
    margin_gib : float
        Left free whatever the fraction.
    large, small : Step
        Default step of devices with much and with little memory.
    unsized : tuple of str
        Devices whose size the engine cannot see: `small`.
    whole_prompt : int
        Up to this context a whole prompt is one step (0: never).
    hidden_vectors, stage_vectors : float
        Hidden states alive per token at once, and those besides on a pipeline's stages.
    sampler_bytes : float
        Bytes per sampled sequence and vocabulary entry.
    logits_of_step : bool
        Logits of every token of the step instead, in 32 bits.
    runtime_gib, unified_gib, group_gib, switch_gib : float
        Context, graphs and what the allocator keeps; besides on devices that share the CPU's memory; buffers of collectives
        from two ranks up, without and with a switch that reduces.
    tower_bytes : float
        Bytes of the images that are profiled, per parameter of a vision tower; half of it divides over tensor ranks.
    states : int
        Recurrent states that a sequence keeps besides one for each draft.
    block, latent_block : int
        Tokens per cache block; of latent caches.
    windows : str
        What windowed layers keep: "grouped" (window − 1 + batched tokens, groups of layers padded to equal size), "whole"
        context, "window" alone, "micro-batch" (window + step, rounded up to `window_to`), or a "share" of the context.
    group_slack : float
        Kinds of layers whose counts differ by less than this factor make one size of group.
    chunks_whole : bool
        Layers of chunked attention keep the whole context.
    tokens : "concurrency" or "blocks"
        How a log counts the cache's tokens: concurrency × context, or blocks of a group.
    vocab_to, mxfp4_width_to, mxfp4_hidden_to : int
        Vocabulary, experts' width per rank and hidden size of MXFP4 experts are rounded up to a multiple of this.
    absorbed : bool
        Latent attention keeps its up-projections a second time, in 16 bits, as its decode kernel multiplies by them.
    whole_with_dp : bool
        With data-parallel attention, dense layers, shared experts and the head lie whole on every tensor rank.
    rotary_table : bool
        Sines and cosines of every position are kept in 16 bits.
    index_bytes : float, optional
        Bytes of an index key's element where it is not fp8 with a scale.
    """

    name: str
    share_of: Literal["total", "free", "rest"]
    small: Step
    hidden_vectors: Amount
    sampler_bytes: Amount
    runtime_gib: Amount
    block: Count
    latent_block: Count
    windows: Literal["grouped", "whole", "window", "micro-batch", "share"]
    tokens: Literal["concurrency", "blocks"]
    util: Share | None = None
    reserve: ReserveRule | None = None
    steps: tuple[tuple[float, ...], ...] = ()
    outside: bool = False
    margin_gib: Amount = 0.0
    large: Step | None = None
    unsized: tuple[str, ...] = ()
    whole_prompt: int = 0
    stage_vectors: Amount = 0.0
    logits_of_step: bool = False
    unified_gib: Amount = 0.0
    group_gib: Amount = 0.0
    switch_gib: Amount = 0.0
    tower_bytes: Amount = 0.0
    states: Count = 1
    group_slack: Positive = 1.25
    window_to: Count = 1
    window_share: Share = 1.0
    chunks_whole: bool = False
    vocab_to: Count = 1
    mxfp4_width_to: Count = 1
    mxfp4_hidden_to: Count = 1
    absorbed: bool = False
    whole_with_dp: bool = False
    rotary_table: bool = False
    index_bytes: Amount | None = None

    def step(self, device: Device) -> Step:
        """The default step on a device."""
        if self.steps:
            size = visible_bytes(device) / GIB
            tokens = next(int(tokens) for below, tokens, *_ in self.steps if size < below)
            return Step(tokens, self.small.seqs)
        large = self.large
        if large is None or device.name in self.unsized or any(word in device.name for word in large.but):
            return self.small
        return large if visible_bytes(device) >= large.from_gib * GIB else self.small

    def default_util(self, device: Device, ranks: int) -> float:
        """The fraction of memory that the engine takes if not set: of a device, in a group of tensor × pipeline ranks."""
        if self.util is not None or self.reserve is None:
            return 1.0 if self.util is None else self.util
        rule, size = self.reserve, visible_bytes(device) / MIB
        _, tokens, few, many = next(step for step in self.steps if size / 1024 < step[0])
        graphs = many if ranks >= MANY_RANKS else few
        kept = rule.fixed_mib + tokens * rule.per_token_mib + graphs * rule.per_graph_mib + ranks * rule.per_rank_mib
        if size > rule.least_from_gib * 1024:
            kept = max(kept, rule.least_mib)
        return max(round((size - kept) / size, 3), 0.05)


class _File(Record):
    """The file; `totals` holds GiB that a runtime reports of a device, and MiB that the driver shows of it."""

    totals: dict[str, tuple[Positive, ...]]
    lost_gib: Amount
    lost_share: Share
    most_lost_share: Share
    lossless: tuple[str, ...]
    engines: dict[str, Any]


@lru_cache(maxsize=1)
def _read() -> tuple[_File, dict[str, list[Rules]]]:
    """The file's figures, and each engine's releases, the newest first."""
    from roofcalc.catalog import yamlfile  # only here: the options import this module, and `--version` should not load a YAML reader

    value, lines = yamlfile.load(PATH)
    listed = {engine: list(_releases(engine, entry)) for engine, entry in value.pop("engines").items()}
    return build(_File, {**value, "engines": {}}, lines, str(PATH)), listed


def _releases(engine: str, entry: dict[str, Any]) -> Any:
    values = dict(entry["rules"])
    yield build(Rules, {"name": f"{engine}-{entry['newest']}", **values}, {}, str(PATH))
    for release, different in entry.get("older", {}).items():
        values |= different
        yield build(Rules, {"name": f"{engine}-{release}", **values}, {}, str(PATH))


def engines() -> tuple[str, ...]:
    """Engines that have memory rules."""
    return tuple(_read()[1])


def split(name: str) -> tuple[str, str]:
    """Engine and release of `vllm-0.16`, `vllm 0.11.2`, `vllm`; no release where none is named."""
    text = name.strip().lower().replace("llamacpp", "llama.cpp").replace("trt-llm", "tensorrt-llm").replace("tensortensorrt", "tensorrt")
    match = _RELEASE.match(text)
    return (match["engine"], match["release"]) if match else (text, "")


def rules(name: str | None) -> Rules | None:
    """The memory rules of an engine's release: the newest that is not newer than the one named; None where it has none."""
    if name is None or name == NONE:
        return None
    engine, release = split(name)
    listed = _read()[1].get(engine)
    if not listed:
        return None
    if not release:
        return listed[0]
    asked = _numbers(release)
    return next((one for one in listed if _numbers(one.name.removeprefix(f"{engine}-")) <= asked), listed[-1])


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


def check(name: str, timed: tuple[str, ...]) -> None:
    """Refuses a name that is neither an engine with memory rules or timings nor `none`.

    Raises
    ------
    RoofcalcError
        Names the nearest and all.
    """
    known = tuple(dict.fromkeys((*engines(), *timed, NONE)))
    if name not in known and split(name)[0] not in known:
        runs = PROGRAMS.get(split(name)[0])
        hint = f"; for {split(name)[0]} give --engine {runs}" if runs else did_you_mean(name, known)
        raise RoofcalcError(f"--engine: {name!r} is not known{hint}; known: {', '.join(known)}, with a release where wanted (vllm-0.16)")


def visible_bytes(device: Device) -> float:
    """What the driver shows of a device's memory: as the catalog has it, else its size."""
    readings = device.memory.readings()
    return readings.get("visible", readings.get("binary", readings["nominal"]))


def total_bytes(device: Device) -> float:
    """What a runtime reports as a device's memory: less than the driver shows, by what the driver keeps."""
    file = _read()[0]
    seen = visible_bytes(device)
    if device.name in file.totals:
        reported_gib, of_mib = file.totals[device.name]
        return reported_gib * GIB * (seen / (of_mib * MIB))
    if device.vendor in file.lossless:
        return seen
    return seen * (1 - file.lost_share) - min(file.lost_gib * GIB, file.most_lost_share * seen)
