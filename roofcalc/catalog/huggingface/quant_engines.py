"""Methods that engines multiply in: fp8, MXFP4, compressed-tensors, NVIDIA's ModelOpt and AMD's Quark."""

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.layer_dtypes import Rule, Scheme
from roofcalc.catalog.huggingface.modules import matcher
from roofcalc.catalog.huggingface.quant_rules import blockwise, cache_dtype, everywhere, group_size, integers, of_experts, unquantised

_NAMED_ALGORITHMS = {
    **dict.fromkeys(("FP8", "FP8_PER_CHANNEL_PER_TOKEN"), "fp8"),
    **dict.fromkeys(("FP8_PB_WO", "FP8_PB_REAL", "FP8_BLOCK_SCALES"), "fp8-block128"),
    **dict.fromkeys(("NVFP4", "NVFP4_AWQ", "NVFP4_SVDQUANT", "W4A8_NVFP4_FP8", "W4A16_NVFP4"), "nvfp4"),
    **dict.fromkeys(("MXFP4", "W4A8_MXFP4_FP8", "W4A8_MXFP4_MXFP8", "W4A16_MXFP4"), "mxfp4"),
    "MXFP8": "mxfp8",
    **dict.fromkeys(("W8A8_SQ_PER_CHANNEL", "INT8_SQ"), "int8"),
    "W8A16": "int8-channel",
}


_INT4_ALGORITHMS = ("W4A16_AWQ", "W4A8_AWQ", "W4A16", "INT4_AWQ")


_QUARK = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "int8": "int8", "mxfp4": "mxfp4", "mx": "mxfp4", "mxfp8": "mxfp8"}


def fp8(config: Config, quant: Config) -> Scheme:
    kept = unquantised(quant, "modules_to_not_convert", "ignored_layers")
    return Scheme((kept, *_experts_of(config, quant), everywhere(blockwise(quant))), cache_dtype(quant.values.get("kv_cache_scheme")))


def _experts_of(config: Config, quant: Config) -> tuple[Rule, ...]:
    """A separate dtype of the experts (DeepSeek V4)."""
    name = config.text("expert_dtype") or quant.text("expert_dtype")
    if name is None or name == "fp8":
        return ()
    if name not in ("fp4", "mxfp4"):
        config.cannot(f"expert_dtype {name!r}")
    return (Rule(of_experts, "mxfp4"),)


def mxfp4(config: Config, quant: Config) -> Scheme:
    return Scheme((Rule(of_experts, "mxfp4"),))


def compressed_tensors(config: Config, quant: Config) -> Scheme:
    groups = quant.section("config_groups") or quant.refuse("config_groups is missing")
    named: list[Rule] = []
    whole: list[Rule] = []
    for name in groups.values:
        group = groups.section(name) or groups.refuse(f"{name}: expected an object")
        group.ignore(*group.values)
        weights = group.section("weights")
        if weights is None:
            continue
        dtype = _weights(weights, group.text("format") or quant.text("format"), "input_activations" in group.values)
        for target in group.words("targets") or ["Linear"]:
            if target == "Linear":
                whole.append(everywhere(dtype, head=True))
            else:
                named.append(Rule(matcher(quant, [target]), dtype))
    if not named and not whole:
        quant.cannot("quantisation without targets in attention, FFNs, experts or state-space layers")
    sparsity = quant.section("sparsity_config")
    sparse = sparsity.text("format") if sparsity else None
    remarks = (f"Sparsity ({sparse}) is not counted.",) if sparse and sparse != "dense" else ()
    return Scheme((unquantised(quant, "ignore"), *named, *whole), cache_dtype(quant.values.get("kv_cache_scheme")), remarks=remarks)


def _weights(quant: Config, format: str | None, activations: bool) -> str:
    """The weight dtype of a group of compressed-tensors."""
    quant.ignore(*quant.values)
    bits, kind, strategy = quant.count("num_bits"), quant.text("type"), quant.text("strategy")
    group = group_size(quant, "group_size")
    if kind == "int":
        if bits == 8 and group is None and activations:
            return "int8"
        return integers(quant, bits, group, zeros=not quant.flag("symmetric", default=True))
    if kind == "float" and bits == 8:
        if group == 32:
            return "mxfp8"
        return blockwise(Config({"weight_block_size": quant.values.get("block_structure")}, quant.where)) if strategy == "block" else "fp8"
    if kind == "float" and bits == 4 and group in (16, 32):
        return "nvfp4" if group == 16 and "mxfp4" not in (format or "") else "mxfp4"
    return quant.cannot(f"{bits}-bit weights of type {kind!r} in groups of {group}")


def modelopt(quant: Config) -> Scheme:
    quant.ignore(*quant.values)
    names = "exclude_modules" if quant.has("exclude_modules") else "ignore"
    cache = cache_dtype(quant.values.get("kv_cache_quant_algo", quant.values.get("kv_cache_scheme")))
    if quant.text("quant_algo") == "MIXED_PRECISION":
        return Scheme(listed_layers(quant), cache)
    return Scheme((unquantised(quant, names), everywhere(_algorithm(quant, quant), head=True)), cache)


def _algorithm(quant: Config, whole: Config) -> str:
    algorithm = quant.text("quant_algo")
    if algorithm in _INT4_ALGORITHMS:
        return integers(quant, 4, quant.count("group_size", default=whole.count("group_size")))
    if algorithm not in _NAMED_ALGORITHMS:
        quant.cannot(f"quant_algo {algorithm!r}")
    return _NAMED_ALGORITHMS[algorithm]


def listed_layers(quant: Config) -> tuple[Rule, ...]:
    """ModelOpt's MIXED_PRECISION: an algorithm for each module that is quantised."""
    quant.ignore(*quant.values)
    layers = quant.section("quantized_layers")
    if layers is None:
        quant.cannot("quant_algo 'MIXED_PRECISION' without quantized_layers")
    by_dtype: dict[str, list[str]] = {}
    for name in layers.values:
        layer = layers.section(name) or layers.refuse(f"{name}: expected an object")
        layer.ignore(*layer.values)
        by_dtype.setdefault(_algorithm(layer, quant), []).append(name)
    return tuple(Rule(matcher(quant, entries), dtype) for dtype, entries in by_dtype.items())


def quark(config: Config, quant: Config) -> Scheme:
    """AMD Quark: one config for all layers, others by name."""

    def of(inner: Config | None) -> str | None:
        weight = inner.section("weight") if inner else None
        if weight is None:
            return None
        weight.ignore(*weight.values)
        name, group = weight.text("dtype"), group_size(weight, "group_size")
        if name == "fp4":
            return "mxfp4" if group == 32 else "nvfp4" if group == 16 else quant.cannot(f"Quark's fp4 in groups of {group}")
        if name in ("int4", "uint4", "int3", "int2"):
            return integers(quant, int(name[-1]), group, zeros=not weight.flag("symmetric", default=True))
        return _QUARK[name] if name in _QUARK else quant.cannot(f"Quark's dtype {name!r}")

    rules = [unquantised(quant, "exclude")]
    by_layer = quant.section("layer_quant_config")
    for name in by_layer.values if by_layer else ():
        rules.append(Rule(matcher(quant, [name]), of(by_layer.section(name) if by_layer else None)))
    cache = quant.section("kv_cache_quant_config")
    kv = "fp8" if cache and "fp8" in repr(cache.values) else None
    return Scheme((*rules, everywhere(of(quant.section("global_quant_config")), head=True)), kv)
