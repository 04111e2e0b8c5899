"""A model placed on hardware: storage dtypes, achievable peaks per operation, and the fallbacks taken.

The physics and the solvers take a Deployment and arrays, and read no files.
"""

from functools import cached_property

from roofcalc.deployment import engines
from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.efficiency import Profile
from roofcalc.deployment.engines import Rules
from roofcalc.deployment.images import Images
from roofcalc.deployment.lora import Lora
from roofcalc.deployment.offload import Offload, host_layers
from roofcalc.deployment.parallelism import Layout, Stage, choose, stages
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs import dtypes, weight_recipes
from roofcalc.specs.device import Device, Hardware
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.formula import formula
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record, replace
from roofcalc.specs.stored_weights import WeightDtypes, sixteen_bit, weight_dtypes
from roofcalc.specs.weight_recipes import LINEAR_CLASSES, NATIVE, SIXTEEN_BIT_CLASSES


class Draft(Record):
    """Speculative decoding: `tokens` drafted per step, each accepted with probability `acceptance`.

    Attributes
    ----------
    deployment : Deployment or None
        The drafter on the same devices: a smaller model, an EAGLE head or the model's own multi-token-prediction layer; None:
        drafting is free.
    copies : int
        Drafters that take turns, one draft each: the several multi-token-prediction layers of a model.
    drafter : "model", "mtp", "eagle", "ngram" or "free"
        What drafts: `ngram` looks tokens up in the prompt, `free` was not said.
    """

    tokens: int
    acceptance: float
    deployment: "Deployment | None" = None
    copies: int = 1
    drafter: str = "free"

    @property
    @formula("A = (1 − α^q)/(1 − α)")
    def accepted(self) -> float:
        """Expected tokens per step: the accepted drafts, and one that the target model adds (arXiv 2211.17192, equation 1)."""
        q = self.tokens + 1
        return float(q) if self.acceptance == 1 else (1 - self.acceptance**q) / (1 - self.acceptance)


class Deployment(Record):
    """One model on one system, in one precision and layout, under one set of assumptions.

    Build it with `deploy`, which validates the combination.

    Attributes
    ----------
    weights : str
        A recipe (`roofcalc.specs.weight_recipes`) in canonical words, or "native" for the checkpoint's dtypes.
    kv : Dtype
        Of the KV cache.
    compute : str or None
        Requested format of GEMMs; None follows the weights (`linear_format`).
    comm, dispatch, combine : Dtype or None
        Of the elements of all-reduces, and of MoE dispatch and combine; None: the defaults of `wire_bytes`.
    draft : Draft or None
        Speculative decoding.
    profile : Profile or None
        In `typical`: the measured efficiencies of the device.
    rules : Rules or None
        The memory rules of the engine, where it has some.
    offload : Offload or None
        What lies in the host's memory.
    images : Images or None
        Images of every prompt: the tower's work; their tokens are counted by who asks for prompts.
    lora : Lora or None
        LoRA adapters loaded with the model.
    """

    model: Model
    hardware: Hardware
    layout: Layout
    assumptions: Assumptions
    weights: str
    kv: Dtype
    compute: str | None = None
    comm: Dtype | None = None
    dispatch: Dtype | None = None
    combine: Dtype | None = None
    draft: Draft | None = None
    profile: Profile | None = None
    rules: Rules | None = None
    offload: Offload | None = None
    images: Images | None = None
    lora: Lora | None = None

    @property
    def accepted(self) -> float:
        """Tokens accepted per step and sequence: 1, or with drafts their expected number."""
        return self.draft.accepted if self.draft else 1.0

    @cached_property
    def stored(self) -> WeightDtypes:
        """Storage dtypes of the weights by tensor class."""
        return weight_dtypes(self.model, self.weights)

    def weight_dtype(self, tensor: str) -> Dtype:
        """Storage dtype of a tensor class; adapters are in the model's 16-bit type, whatever the weights are."""
        return dtypes.dtype(sixteen_bit(self.model.dtypes)) if tensor == "adapter" else self.stored.of(tensor)

    def linear_format(self, tensor: str) -> str | None:
        """The format in which GEMMs with a class of weights compute; None where the device lists no peak for it."""
        stored = self.weight_dtype(tensor)
        is_wide = tensor in SIXTEEN_BIT_CLASSES and stored.bits >= 16
        if self.assumptions.is_bound and (self.compute is None or is_wide):
            return self._fastest(16 if is_wide else stored.bits)
        wanted = self.wanted_format(tensor)
        return wanted if wanted == self.compute else dtypes.arithmetic_format(self.hardware.device, wanted)

    def wanted_format(self, tensor: str) -> str:
        """The format in which GEMMs with a class of weights compute where the device has it.

        llama.cpp multiplies weights of 4 and 8 bits with activations of 8 bits, and fp16 weights with sums of 16 bits (cuBLAS, 16F).
        """
        stored = self.weight_dtype(tensor)
        if tensor in SIXTEEN_BIT_CLASSES and stored.bits >= 16:
            return "bf16"
        if self.compute is not None:
            return self.compute
        engine = self.profile.engine if self.profile else self.assumptions.engine
        if engine and engines.split(engine)[0] == "llama.cpp":
            return "int8" if stored.bits < 16 else "fp16_acc16" if stored.compute == "fp16" else stored.compute
        return stored.compute

    @property
    def attention_format(self) -> str | None:
        """The format in which attention computes: bf16, or fp8 where both the cache and the device are fp8."""
        if self.assumptions.is_bound:
            return self._fastest(8)
        eight_bit = self.kv.is_fp8 and "fp8" in self.hardware.device.peak_tflop_s
        return dtypes.arithmetic_format(self.hardware.device, "fp8" if eight_bit else "bf16")

    @property
    def index_format(self) -> str | None:
        """The format in which indexers score: fp8 where the device has it."""
        return self._fastest(8) if self.assumptions.is_bound else dtypes.arithmetic_format(self.hardware.device, "fp8")

    @property
    def state_format(self) -> str | None:
        """The format in which recurrent states are updated: bf16."""
        return self._fastest(16) if self.assumptions.is_bound else dtypes.arithmetic_format(self.hardware.device, "bf16")

    def format_of(self, role: str, tensor: str) -> str | None:
        """The format in which an operation of a role computes; None where the device lists no peak for it."""
        if role == "linear":
            return self.linear_format(tensor)
        if role == "attention":
            return self.attention_format
        return {"index": self.index_format, "state": self.state_format}[role]

    def _fastest(self, bits: int) -> str | None:
        """The fastest format for elements of so many bits, which `bound` takes."""
        return dtypes.fastest(self.hardware.device, bits, self.hardware.set_peaks)

    def flop_per_s(self, name: str | None) -> float | None:
        """Peak FLOP/s of one device in a format; None where there is no format."""
        if name is None:
            return None
        clock = self.hardware.device.best.clock if self.assumptions.is_bound else 1.0
        return self.hardware.device.peak_tflop_s[name] * 1e12 * clock

    @property
    def achieved(self) -> tuple[float, float]:
        """Fractions of the peak FLOP/s and of the memory bandwidth that operations reach: mfu and mbu.

        `--mfu` and `--mbu` where they are given; 1 elsewhere, also in `typical`, where kernel models add what is beyond.
        """
        mfu, mbu = self.assumptions.mfu, self.assumptions.mbu
        return 1.0 if mfu is None else mfu, 1.0 if mbu is None else mbu

    @cached_property
    def linear_classes(self) -> tuple[str, ...]:
        """Classes of weight matrices that a step multiplies by, without routers and indexers."""
        used = {matrix.tensor for name in self.model.groups for one in self.model.blocks[name].parts for matrix in one.matrices(self.model.hidden)}
        return (*(name for name in LINEAR_CLASSES if name in used), "head")

    @property
    def has_time(self) -> bool:
        """Whether the device lists a peak for every operation; without one there are memory answers but no times."""
        blocks = [self.model.blocks[name] for name in self.model.groups]
        needed = [self.linear_format(name) for name in self.linear_classes]
        needed += [self.attention_format] if any(block.attention for block in blocks) else []
        needed += [self.state_format] if any(block.state for block in blocks) else []
        return all(name is not None for name in needed)

    @property
    def compute_label(self) -> str | None:
        """Formats of the GEMMs, as rows print them."""
        used = dict.fromkeys(self.linear_format(name) for name in self.linear_classes)
        return None if None in used else "+".join(str(name) for name in used)

    @property
    def weights_label(self) -> str:
        """The dtype of all weight matrices, or `native` for a mix."""
        if self.weights != NATIVE:
            return self.weights
        used = {self.weight_dtype(name).name for name in (*self.linear_classes, "embed")}
        return used.pop() if len(used) == 1 else NATIVE

    @property
    def memory_bytes_per_s(self) -> float:
        """Peak memory bandwidth of one device, in bytes per second."""
        memory, best = self.hardware.device.memory, self.hardware.device.best
        gb_s = max(memory.bandwidth_gb_s, best.bandwidth_gb_s or 0) if self.assumptions.is_bound else memory.bandwidth_gb_s
        return gb_s * 1e9

    @property
    def cache_bytes(self) -> float:
        """Bytes per step that the last-level cache can save the memory: its size in `bound`, else 0."""
        return (self.hardware.device.cache_mb or 0) * 1e6 if self.assumptions.is_bound else 0.0

    def wire_bytes(self, message: str) -> float:
        """Bytes per element of a message: 2, or 1 for dispatch to experts that compute in fp8 or narrower; 0.5 in `bound`."""
        given = {"comm": self.comm, "dispatch": self.dispatch, "combine": self.combine}[message]
        if given is not None:
            return given.bytes_per_element
        if self.assumptions.is_bound:
            return 0.5
        computed = self.linear_format("experts") if message == "dispatch" else None
        return 1.0 if computed is not None and dtypes.WIDTH_BITS[computed] <= 8 and computed.startswith("fp") else 2.0

    @property
    def capacity_bytes(self) -> float:
        """Memory of one device, in bytes, by the capacity figure in force (`--capacity`)."""
        readings = self.hardware.device.memory.readings()
        name = self.assumptions.capacity or "nominal"
        if name == "engine":
            return engines.total_bytes(self.hardware.device)
        return max(readings.values()) if name == "largest" else readings[name]

    @property
    def usable_bytes(self) -> float:
        """Memory of one device for weights and caches, in bytes; under an engine's rules for its activations and runtime too."""
        kept = (self.assumptions.reserve_gb or 0.0) * 1e9
        if self.rules is not None and self.rules.share_of == "rest":
            return self.capacity_bytes - kept
        before = self.rules.runtime_gib * engines.GIB if self.rules is not None and self.rules.share_of == "free" else 0.0
        util = 1.0 if self.assumptions.util is None else self.assumptions.util
        return (self.capacity_bytes - before) * util - kept - (self.rules.margin_gib * engines.GIB if self.rules else 0.0)

    @property
    def kv_block(self) -> int:
        """Tokens per KV block."""
        return self.assumptions.kv_block or 1

    @property
    def takes_stages(self) -> bool:
        """Whether the layers may be divided into pipeline stages: not with a drafter, nor where a number of layers is offloaded."""
        counted = self.offload is not None and (self.offload.gpu_layers is not None or self.offload.expert_layers is not None)
        return self.draft is None and not counted

    @cached_property
    def stages(self) -> list[Stage]:
        """The kinds of pipeline stages, with the layers that the devices hold."""
        found = stages(self.model, self.layout, self.hardware.domain)
        elsewhere = host_layers(self.model, self.offload) if self.offload else {}
        if not elsewhere:
            return found
        (only,) = found  # `roofcalc.deployment.offload.offloaded` admits no pipeline
        groups = tuple((name, layers - elsewhere.get(name, 0)) for name, layers in only.groups if layers > elsewhere.get(name, 0))
        return [replace(only, groups=groups)]


def cache_dtype(model: Model, kv: str | None) -> Dtype:
    """The dtype of a KV cache: the one asked for, or by default (also "native" and "auto") the checkpoint's, or its 16-bit type."""
    asked = None if kv is None or kv.strip().lower() in (NATIVE, "auto") else kv
    return dtypes.dtype(asked or model.dtypes.kv or sixteen_bit(model.dtypes))


def deploy(
    model: Model,
    hardware: Hardware,
    *,
    weights: str = NATIVE,
    kv: str | None = None,
    compute: str | None = None,
    comm: str | None = None,
    dispatch: str | None = None,
    combine: str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    dcp: int | None = None,
    assumptions: Assumptions | None = None,
) -> Deployment:
    """A validated Deployment; dtypes that are left out follow the checkpoint, degrees `roofcalc.deployment.parallelism.choose`.

    Raises
    ------
    RoofcalcError
        Unknown dtype or recipe, a compute format or capacity reading that the device lacks, or an impossible layout.
    """
    assumed, profile = assumptions or Assumptions(), None
    device = hardware.device
    weights = weight_recipes.parse(weights).label
    compute = compute.strip().lower() if compute is not None else None
    if compute is not None and compute not in (known := dtypes.known_formats(device)):
        raise RoofcalcError(f"--compute: {device.name} has no {compute!r} peak{did_you_mean(compute, known)}; it has {', '.join(known)}")
    readings = device.memory.readings()
    layout = choose(model, hardware, tp, pp, dp, ep, dcp)
    rules = engines.rules(assumed.engine)
    if rules is not None:
        assumed = _by_engine(assumed, rules, model, device, layout)
    elif assumed.capacity == "engine":
        raise RoofcalcError("--capacity: 'engine' is the figure of an engine's runtime; name one (--engine vllm)")
    assumed = replace(assumed, kv_block=assumed.kv_block or 1)
    if assumed.is_typical:
        assumed, profile = _typical(assumed, device, model)
    if assumed.capacity not in (*readings, "largest", "engine"):
        sizes = ", ".join(f"{name} {size / 1e9:g} GB" for name, size in readings.items())
        raise RoofcalcError(f"--capacity: {device.name} has no {assumed.capacity!r} figure; it has {sizes}")
    wires = [dtypes.dtype(name) if name else None for name in (comm, dispatch, combine)]
    built = Deployment(model, hardware, layout, assumed, weights, cache_dtype(model, kv), compute, wires[0], wires[1], wires[2], None, profile, rules)
    if assumed.expert_shares:
        for part in (model.blocks[name].mlp for name in model.groups):
            if isinstance(part, Experts):
                assumed.chosen_experts.probabilities(part.top_k, part.experts, part.routed)  # refuses another number of experts
    if built.usable_bytes <= 0:
        raise RoofcalcError(f"--reserve: it leaves nothing of the {built.capacity_bytes / 1e9:g} GB of {device.name}")
    return built


def _by_engine(assumed: Assumptions, rules: Rules, model: Model, device: Device, layout: Layout) -> Assumptions:
    """The assumptions with what an engine's rules fill in where nothing was given: its share of the memory and its layout of caches."""
    attentions = [attention for name in model.groups if (attention := model.blocks[name].attention) is not None]
    latent = any(not attention.tp_divides_cache for attention in attentions)
    return replace(
        assumed,
        util=rules.default_util(device, layout.tp * layout.pp) if assumed.util is None else assumed.util,
        capacity=assumed.capacity or "engine",
        reserve_gb=assumed.reserve_gb or 0.0,
        kv_policy=assumed.kv_policy or "engine",
        kv_block=assumed.kv_block or (rules.latent_block if latent else rules.block),
    )


def _typical(assumed: Assumptions, device: Device, model: Model) -> tuple[Assumptions, Profile]:
    """The profile of a device in `typical`, and the assumptions with the reserve and the capacity figure filled in."""
    from roofcalc.deployment import calibrated  # reads a file that only `typical` needs

    profile = calibrated.profile(device, model, assumed.engine)
    reading = assumed.capacity or ("visible" if "visible" in device.memory.readings() else "nominal")
    reserve = profile.reserve_gb if assumed.reserve_gb is None else assumed.reserve_gb
    return replace(assumed, capacity=reading, reserve_gb=reserve), profile
