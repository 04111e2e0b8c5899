"""Startup logs compared with the calculation: weights, cache, its tokens and concurrency, and why they differ.

What the notes of a start say in a log's own words (`max_num_seqs 64`, `3 speculative tokens`) is heeded.
"""

import math
import re
from functools import lru_cache
from typing import Any

from roofcalc.catalog import lookup
from roofcalc.catalog.checkpoints import checkpoint
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, Draft, deploy
from roofcalc.deployment.engines import GIB, Rules, rules, split
from roofcalc.deployment.parallelism import Stage
from roofcalc.errors import RoofcalcError
from roofcalc.measurements import spellings
from roofcalc.measurements.memory_starts import Start, release
from roofcalc.physics import engine_memory, memory
from roofcalc.specs import dtypes, gguf_kinds, weight_recipes
from roofcalc.specs.device import Device, Hardware, Memory
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count
from roofcalc.specs.record import Record, replace

_SEQS = re.compile(r"max_num_seqs\s+(\d+)")
_TOKENS = re.compile(r"max_num_batched_tokens\s+(\d+)|(\d+)-token prompt is profiled")
_DRAFTS = re.compile(r"(\d+) speculative tokens")
_SEQUENCES = {"one": 1, "two": 2, "three": 3, "four": 4}
_OF_EACH = re.compile(r"\b(one|two|three|four|\d+) sequences? of (\d+)|\b(one|two|three|four) sequence\b")
_GIVEN_SIZE = re.compile(r"\(([\d.]+) GiB")


class Compared(Record):
    """A startup log compared with the calculation. Sizes in GiB on one device; None where the row or the calculation has none.

    Attributes
    ----------
    rules : str
        Engine and release whose rules were used.
    kind : str
        Kind of cache: "full", "windowed", "latent", "recurrent" or "pooled".
    weights, cache, kv_tokens, max_concurrency, activations, runtime : float
        Calculated.
    fits : bool
        Whether weights and one sequence of the row's length fit by the calculation; `started` whether they did.
    error : float
        Calculated over logged concurrency, tokens or cache, the first that both have, less one.
    weights_error : float
        The same of the weights.
    basis : str
        "memory": the cache is what the device leaves; "cache": the device is not named, and the logged cache was divided.
    cause : str
        Why they differ, where it can be told.
    why_not : str
        Why the row is not compared.
    """

    rules: str = ""
    kind: str = ""
    weights: float | None = None
    cache: float | None = None
    kv_tokens: float | None = None
    max_concurrency: float | None = None
    activations: float | None = None
    runtime: float | None = None
    fits: bool | None = None
    started: bool | None = None
    error: float | None = None
    weights_error: float | None = None
    basis: str = ""
    cause: str = ""
    why_not: str = ""


def compare(start: Start, other: Rules | None = None) -> Compared:
    """A startup log compared with what is calculated for it, by `other` rules where they are given."""
    try:
        return _compare(start, other)
    except RoofcalcError as error:
        return Compared(why_not=str(error).splitlines()[0])


def prepared(start: Start) -> tuple[Deployment, Stage, float] | None:
    """What a start deploys, the stage that it logs, and its greatest length; None where the catalog lacks something."""
    try:
        model = _model(start.model)
        if model is None or rules(release(start)) is None:
            return None
        deployment = _deployment(start, model, _hardware(start), release(start))
    except RoofcalcError:
        return None
    return deployment, _stage(start, deployment), float(start.max_model_len or model.context)


def _stage(start: Start, deployment: Deployment) -> Stage:
    return deployment.stages[0] if "first pipeline rank" in start.notes else deployment.stages[-1]


def _compare(start: Start, other: Rules | None) -> Compared:
    model = _model(start.model)
    engine = release(start)
    if model is None:
        return Compared(why_not=f"model {start.model!r} is not in the catalog")
    if rules(engine) is None:
        return Compared(why_not=f"no memory rules for the engine {start.engine!r}")
    hardware = _hardware(start)
    deployment = _deployment(start, model, hardware, engine)
    deployment = replace(deployment, rules=other) if other is not None else deployment
    stage = _stage(start, deployment)
    length = float(start.max_model_len or model.context)
    budget = memory.budget(deployment, stage, length)
    weights = _weights(start, model, deployment, budget.weights)
    room = float(budget.cache) + budget.weights - weights
    compared = _Figures(start, deployment, stage, length)
    named = hardware is not None and not split(engine)[0].startswith("llama")
    if not named:
        room = (start.kv_cache_gib_per_device or 0.0) * GIB
    tokens, concurrency = compared.of(room)
    cache = compared.whole_cache() if split(engine)[0] == "llama.cpp" and start.max_model_len else room if named else None
    logged = ((concurrency, start.max_concurrency), (tokens, start.kv_tokens))
    pairs = [(ours, theirs) for ours, theirs in logged if ours is not None and theirs]
    if cache is not None and (start.kv_cache_gib_per_device or 0) > 0 and (split(engine)[0] == "llama.cpp" or not pairs):
        pairs = [(cache / GIB, float(start.kv_cache_gib_per_device or 0))]
    refused = (start.kv_cache_gib_per_device or 0) < 0 or "failed to start" in start.notes or "refused" in start.notes.lower()
    has_cache = start.max_concurrency is not None or start.kv_tokens is not None or start.kv_cache_gib_per_device is not None
    started = False if refused else (start.max_concurrency or 1) >= 1 if has_cache else None
    if start.max_model_len and start.kv_tokens and start.max_concurrency is None and started and not split(engine)[0].startswith("llama"):
        started = start.kv_tokens >= start.max_model_len
    error = pairs[0][0] / float(pairs[0][1] or 1) - 1 if pairs and (named or tokens is not None) else None
    right = start.weights_gib_per_device
    answer = Compared(
        rules=deployment.rules.name if deployment.rules else "",
        kind=kind_of_cache(model),
        weights=weights / GIB if weights == weights else None,
        cache=None if cache is None else cache / GIB,
        kv_tokens=tokens,
        max_concurrency=concurrency,
        activations=float(budget.activations) / GIB,
        runtime=budget.runtime / GIB,
        fits=(room > 0 if start.max_model_len is None else concurrency is not None and concurrency >= 1) if named else None,
        started=started,
        error=None if refused else error,
        weights_error=weights / GIB / right - 1 if right and weights == weights else None,
        basis="memory" if named else "cache",
    )
    return replace(answer, cause=_cause(start, answer))


class _Figures:
    """Tokens and concurrency by a room for caches, in the log's own count."""

    def __init__(self, start: Start, deployment: Deployment, stage: Any, length: float) -> None:
        self.start, self.deployment, self.stage, self.length = start, deployment, stage, length
        self.kept = float(memory.kv_bytes(deployment, stage, length))
        self.page = engine_memory.grouped_pages(deployment, stage)

    def of(self, room: float) -> tuple[float | None, float | None]:
        """Tokens and concurrency that `room` bytes hold."""
        if room <= 0 or not self.kept:
            return None, 0.0 if room < 0 else None
        if self.page is None:
            concurrency = room / self.kept
            return concurrency * self.length, concurrency
        found = math.floor(room / self.page.bytes)
        concurrency = found * self.page.bytes / self.kept
        if self.deployment.rules and self.deployment.rules.tokens == "blocks":
            return found // self.page.all_groups * self.page.block, concurrency
        return concurrency * self.length, concurrency

    def whole_cache(self) -> float:
        """Bytes of the cache of all sequences that the row names, for engines that allocate contexts."""
        match = _OF_EACH.search(self.start.notes)
        count = 1
        if match:
            word = match.group(1) or match.group(3)
            count = _SEQUENCES.get(word) or int(word)
        return count * self.kept


def kind_of_cache(model: Model) -> str:
    """What a model's caches are, the rarest kind that they have."""
    blocks = [model.blocks[name] for name in model.groups]
    if any(block.state is not None for block in blocks):
        return "recurrent"
    found = {type(block.attention).__name__ for block in blocks}
    if "MLA" in found:
        return "latent"
    if "Pooled" in found:
        return "pooled"
    spans = [getattr(block.attention, name, None) for block in blocks for name in ("window", "chunk")]
    return "windowed" if any(spans) else "full"


def _weights(start: Start, model: Model, deployment: Deployment, calculated: float) -> float:
    """Bytes of weights on a device, with draft layers that are loaded although nothing drafts; nan for an unknown kind of GGUF file."""
    if weights_recipe(start, model) is None:
        return math.nan
    resident = re.search(r"MTP (layer|head|drafter).*(resident|loaded|included)", start.notes, re.IGNORECASE)
    if resident and model.mtp is not None and deployment.draft is None:
        ranks = deployment.layout.tp * (deployment.layout.dp if deployment.layout.ep > 1 else 1)
        return calculated + 2.0 * count(model).mtp / ranks  # in 16 bits; embedding and head are the model's own
    return calculated


def _deployment(start: Start, model: Model, hardware: Hardware | None, engine: str) -> Deployment:
    """What a row describes, as far as it says; experts stay split over the tensor ranks unless the notes name their degree."""
    pp, dp = start.pp or 1, start.dp or 1
    tp = start.tp or max(1, (start.n_devices or 1) // (pp * dp))
    if hardware is None:
        hardware = Hardware("unknown", _UNNAMED, tp * pp * dp, None, 1.0)
    ep = tp * dp if re.search(r"ep_size", start.notes) else None
    assumed = assumptions(
        "roofline",
        engine=engine,
        util=start.gpu_memory_utilization,
        max_seqs=_noted(_SEQS, start.notes),
        max_batched_tokens=_noted(_TOKENS, start.notes),
    )
    recipe = weights_recipe(start, model) or weight_recipes.NATIVE
    model = replace(model, excluded={}) if engine.startswith("llama.cpp") else model  # encoders are in files of their own
    hardware = replace(hardware, count=tp * pp * dp, name=f"{tp * pp * dp}x{hardware.device.name}")
    built = deploy(model, hardware, weights=recipe, kv=None, tp=tp, pp=pp, dp=dp, ep=ep or 1, assumptions=assumed)
    built = replace(built, kv=_cache_dtype(start.kv_dtype))
    drafts = _noted(_DRAFTS, start.notes)
    if drafts and model.mtp is not None:
        from roofcalc.deployment.speculative import with_drafts

        return with_drafts(built, drafts, 0.0, own_layers=True)
    return replace(built, draft=Draft(drafts, 0.0)) if drafts else built


_UNNAMED = Device("unknown", "NVIDIA", Memory(24, 1000, binary=True), {"bf16": 100.0})


def _noted(pattern: re.Pattern[str], notes: str) -> int | None:
    match = pattern.search(notes)
    return int(next(group for group in match.groups() if group)) if match else None


_CACHES = {"": "bf16", "auto": "bf16", "f16": "fp16", "float16": "fp16", "bfloat16": "bf16", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "f32": "fp32"}


def _cache_dtype(text: str) -> Dtype:
    """A cache's dtype; `q8_0/q4_0` is that of keys and that of values, of which each is half."""
    words = [_CACHES.get(word, word) for word in text.lower().split("/")]
    found = [dtypes.dtype(word) for word in words]
    if len(found) == 1:
        return found[0]
    return Dtype(text, sum(one.bytes_per_element for one in found) / len(found), found[0].compute, found[0].bits)


_MODELS = {"mistral-7b": "mistral-7b-v0.1", "glm-z1-rumination-32b-0414": "glm-4-32b-0414"}  # checkpoints that share the entry's shapes


def _hardware(start: Start) -> Hardware | None:
    """The device that a row names; one of the size that it gives where the name is unknown; None where it names none."""
    text = start.hardware.strip()
    if not text:
        return None
    try:
        return lookup.hardware(spellings.plain("hardware", text))[0]
    except RoofcalcError:
        size = _GIVEN_SIZE.search(text)
    if size is None:
        return None
    return Hardware("unknown", replace(_UNNAMED, memory=Memory(float(size.group(1)) + 0.6, 1000, binary=True)), 1, None, 1.0)


@lru_cache(maxsize=256)
def _model(text: str) -> Model | None:
    """The catalog's model for a checkpoint's name, or for the name in brackets behind it; None where there is none."""
    inner = re.search(r"\(([^()]+?)( architecture)?\)", text)
    for name in (inner.group(1), text) if inner else (text,):
        if (found := spellings.model(_MODELS.get(name.lower(), name))) is not None:
            return found
    return None


def weights_recipe(start: Start, model: Model) -> str | None:
    """The recipe of a row's weights: that of the checkpoint in the catalog's table, else of the row's dtype and the checkpoint's name.

    None for a kind of GGUF file that is not known.

    Raises
    ------
    RoofcalcError
        The row names no dtype that is known.
    """
    word = start.weights_dtype.strip().lower()
    kind = gguf_kinds.canonical(word)
    published = checkpoint(start.model, word if kind else None)
    if published is not None:
        return published[1]
    if kind is not None or not word:
        return kind or weight_recipes.NATIVE
    if re.match(r"i?q\d", word):
        return None
    named = spellings.plain("dtypes", word)
    wanted = {"fp8": ("fp8", "fp8-block128"), "int4": ("int4", "int4-g32", "int4-g128")}.get(word, (word,))
    if {getattr(model.dtypes, name) or model.dtypes.default for name in ("mlp", "experts")} & set(wanted):
        return weight_recipes.NATIVE
    if named == "fp8" and re.search(r"qwen|deepseek|minimax|glm", start.model, re.IGNORECASE):
        return "fp8-block128"
    return weight_recipes.parse(_AS_PUBLISHED.get(named, named)).label


# NVFP4 checkpoints keep attention in 16 bits (NVIDIA's own, models/checkpoints.csv).
_AS_PUBLISHED = {"nvfp4": "mlp=nvfp4"}


def _cause(start: Start, compared: Compared) -> str:
    """Why a start and its calculation differ by more than a few percent, where the row tells."""
    if compared.error is None or abs(compared.error) < 0.05:
        return ""
    found = []
    if compared.weights_error is not None and abs(compared.weights_error) > 0.02:
        found.append(f"weights {compared.weights_error:+.0%}")
    if start.activation_gib is not None and compared.activations is not None and abs(compared.activations - start.activation_gib) > 0.5:
        found.append(f"activations {compared.activations:.2f} against {start.activation_gib:.2f} GiB")
    if start.other_gib is not None and compared.runtime is not None and abs(compared.runtime - start.other_gib) > 0.5:
        found.append(f"runtime {compared.runtime:.2f} against {start.other_gib:.2f} GiB")
    if not start.gpu_memory_utilization and compared.basis == "memory":
        found.append("utilisation not given")
    if not re.match(r"v?b?\d", start.engine_version):
        found.append("release not given")
    if re.search(r"draft|MTP|EAGLE", start.notes) and not _DRAFTS.search(start.notes):
        found.append("drafts resident, their number not given")
    if start.max_model_len is None:
        found.append("length not given")
    return "; ".join(found)
