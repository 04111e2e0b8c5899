"""The quantisation config of a checkpoint -> dtypes of its weights and of its KV cache.

Each method becomes rules by module name; `roofcalc.catalog.huggingface.layer_dtypes` applies them to the layers.
"""

from collections.abc import Callable
from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.layer_dtypes import Rule, Scheme, catalog_dtype
from roofcalc.catalog.huggingface.modules import Test, everything, matcher
from roofcalc.catalog.huggingface.plan import Plan
from roofcalc.specs import dtypes as formats

_SIXTEEN = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "bf16": "bf16", "fp16": "fp16", "half": "fp16"}
_FP8_DTYPES = ("float8_e4m3fn", "float8_e5m2")

# ModelOpt's algorithms.
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
_CACHES = {"FP8": "fp8", "INT8": "int8", "NVFP4": "nvfp4"}
_QUARK = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "int8": "int8", "mxfp4": "mxfp4", "mx": "mxfp4", "mxfp8": "mxfp8"}


def dtypes(config: Config, plan: Plan, kind: str, hidden: int, quant_file: dict[str, Any] | None) -> tuple[Any, list[str], bool]:
    """The `dtype` of a catalog file, remarks, and whether the config gives the dtype.

    Parameters
    ----------
    config : Config
        The object of the language model.
    kind : str
        model_type of the language model.
    quant_file : dict or None
        Contents of hf_quant_config.json.
    """
    name, given = config.first("dtype", "torch_dtype")
    wide = "bf16" if given is None else _sixteen(config, name, given)
    scheme = _scheme(config, quant_file)
    if scheme is None:
        return wide, [], given is not None
    return catalog_dtype(scheme, plan, kind, hidden, wide), list(scheme.remarks), True


def _sixteen(config: Config, name: str, value: Any) -> str:
    word = value.removeprefix("torch.") if isinstance(value, str) else ""
    if word in _FP8_DTYPES:
        return "bf16"
    if word not in _SIXTEEN:
        config.refuse(f"{name}: invalid choice {value!r} (choose from {', '.join(_SIXTEEN)})")
    return _SIXTEEN[word]


def _scheme(config: Config, quant_file: dict[str, Any] | None) -> Scheme | None:
    quant = config.section("quantization_config", "compression_config")
    mlx = config.section("quantization")
    beside = None
    if quant_file is not None:
        beside = Config(quant_file, "hf_quant_config.json").section("quantization")
        if beside is None:
            config.refuse("hf_quant_config.json: quantization is missing")
    if quant is None and mlx is not None:
        quant = mlx
    if mlx is not None:
        mlx.ignore(*mlx.values)
    if quant is None:
        return _modelopt(beside) if beside else None
    quant.ignore(*quant.values)
    method = quant.text("quant_method") or ("modelopt" if quant.has("quant_algo") else "mlx" if quant.has("bits") or quant.has("mode") else None)
    if method not in _METHODS:
        return config.cannot(f"quant_method {method!r}")
    scheme = _METHODS[method](config, quant)
    if beside is not None and beside.has("quantized_layers") and method != "modelopt":  # ModelOpt on top of a checkpoint that was quantised before
        scheme = scheme._replace(rules=(*_listed(beside), *scheme.rules))
    return scheme


def _fp8(config: Config, quant: Config) -> Scheme:
    kept = _kept(quant, "modules_to_not_convert", "ignored_layers")
    return Scheme((kept, *_experts_of(config, quant), _all(_blockwise(quant))), _cache(quant.values.get("kv_cache_scheme")))


def _experts_of(config: Config, quant: Config) -> tuple[Rule, ...]:
    """A separate dtype of the experts (DeepSeek V4)."""
    name = config.text("expert_dtype") or quant.text("expert_dtype")
    if name is None or name == "fp8":
        return ()
    if name not in ("fp4", "mxfp4"):
        config.cannot(f"expert_dtype {name!r}")
    return (Rule(_experts, "mxfp4"),)


def _experts(layer: int, module: str) -> bool:
    return "experts" in module.split(".")


def _mxfp4(config: Config, quant: Config) -> Scheme:
    return Scheme((Rule(_experts, "mxfp4"),))


def _blockwise(quant: Config) -> str:
    blocks = quant.numbers("weight_block_size")
    if blocks is None:
        return "fp8"
    if blocks == [1, 32]:
        return "mxfp8"
    if len(blocks) != 2 or min(blocks) < 1:
        quant.cannot(f"weight_block_size {blocks}")
    return "fp8-block128" if blocks == [128, 128] else f"fp8-block{blocks[0]}x{blocks[1]}"


def _group(quant: Config, *names: str) -> int | None:
    """Elements per scale; None for a whole row (-1)."""
    _, size = quant.first(*names)
    return None if size == -1 or size == 0 else quant.maybe(*names)


def _integers(quant: Config, bits: int, group: int | None, zeros: bool = False) -> str:
    name = f"int{bits}-g{group}{'-zp' if zeros else ''}" if group else f"int{bits}-channel"
    if not formats.is_dtype(name):
        quant.cannot(f"{bits}-bit integers {'in groups of ' + str(group) if group else 'without a group_size'}")
    return name


def _gptq(config: Config, quant: Config) -> Scheme:
    """AWQ and GPTQ: zero points are stored for symmetric values too. Overrides: GPTQModel's `dynamic`, AutoRound's `extra_config`."""

    def of(inner: Config) -> str | None:
        bits = inner.maybe("bits", "w_bit")
        bits = quant.count("bits", "w_bit") if bits is None else bits
        if bits >= 16:
            return None
        grouped = inner if inner.has("group_size") or inner.has("q_group_size") else quant
        return _integers(quant, bits, _group(grouped, "group_size", "q_group_size"), zeros=True)

    rules = [_kept(quant, "modules_to_not_convert")]
    dynamic = quant.section("dynamic")
    for entry in dynamic.values if dynamic else ():
        inner = dynamic.section(entry) if dynamic else None
        pattern = "re:" + entry.removeprefix("+:").removeprefix("-:")
        rules.append(Rule(matcher(quant, [pattern]), None if entry.startswith("-:") or inner is None else of(inner)))
    extra = quant.section("extra_config")
    for entry in extra.values if extra else ():
        inner = extra.section(entry) if extra else None
        listed = f"re:{entry}" if any(mark in entry for mark in "\\*^$(") else entry
        rules.append(Rule(matcher(quant, [listed]), of(inner) if inner else None))
    return Scheme((*rules, _all(of(quant), head=quant.flag("lm_head"))))


def _mlx(config: Config, quant: Config) -> Scheme:
    """MLX: the embedding, the head and the router are quantised too; modules may differ by name."""

    def of(inner: Config) -> str:
        mode = inner.text("mode") or quant.text("mode") or "affine"
        if mode in ("mxfp4", "mxfp8", "nvfp4"):
            return mode
        if mode != "affine":
            quant.cannot(f"quantization mode {mode!r}")
        bits, group = inner.maybe("bits"), inner.maybe("group_size")
        name = f"mlx{bits or quant.count('bits')}-g{group or quant.count('group_size', default=64)}"
        return name if formats.is_dtype(name) else quant.cannot(f"quantization of {bits} bits")

    rules: list[Rule] = []
    gates: set[str] = set()
    for name, value in quant.values.items():
        if "." not in name and name not in ("lm_head", "embed_tokens"):
            continue
        dtype = of(Config(value, quant.where)) if isinstance(value, dict) else None if value is False else of(quant)
        rules.append(Rule(matcher(quant, [name]), dtype))
        if name.endswith((".mlp.gate", ".block_sparse_moe.gate", ".router", ".mixer.gate")) and dtype:
            gates.add(dtype)
    main = of(quant)
    return Scheme((*rules, Rule(lambda layer, module: True, main)), router=gates.pop() if len(gates) == 1 else main)


def _bitsandbytes(config: Config, quant: Config) -> Scheme:
    kept = _kept(quant, "llm_int8_skip_modules")
    if quant.flag("load_in_8bit", "_load_in_8bit"):
        return Scheme((kept, _all("int8-channel")))
    if not quant.flag("load_in_4bit", "_load_in_4bit"):
        quant.cannot("bitsandbytes with neither load_in_4bit nor load_in_8bit")
    return Scheme((kept, _all("nf4-dq" if quant.flag("bnb_4bit_use_double_quant") else "nf4")))


def _compressed(config: Config, quant: Config) -> Scheme:
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
                whole.append(_all(dtype, head=True))
            else:
                named.append(Rule(matcher(quant, [target]), dtype))
    if not named and not whole:
        quant.cannot("quantisation without targets in attention, FFNs, experts or state-space layers")
    sparsity = quant.section("sparsity_config")
    sparse = sparsity.text("format") if sparsity else None
    remarks = (f"Sparsity ({sparse}) is not counted.",) if sparse and sparse != "dense" else ()
    return Scheme((_kept(quant, "ignore"), *named, *whole), _cache(quant.values.get("kv_cache_scheme")), remarks=remarks)


def _weights(quant: Config, format: str | None, activations: bool) -> str:
    """The weight dtype of a group of compressed-tensors."""
    quant.ignore(*quant.values)
    bits, kind, strategy = quant.count("num_bits"), quant.text("type"), quant.text("strategy")
    group = _group(quant, "group_size")
    if kind == "int":
        if bits == 8 and group is None and activations:
            return "int8"
        return _integers(quant, bits, group, zeros=not quant.flag("symmetric", default=True))
    if kind == "float" and bits == 8:
        if group == 32:
            return "mxfp8"
        return _blockwise(Config({"weight_block_size": quant.values.get("block_structure")}, quant.where)) if strategy == "block" else "fp8"
    if kind == "float" and bits == 4 and group in (16, 32):
        return "nvfp4" if group == 16 and "mxfp4" not in (format or "") else "mxfp4"
    return quant.cannot(f"{bits}-bit weights of type {kind!r} in groups of {group}")


def _modelopt(quant: Config) -> Scheme:
    quant.ignore(*quant.values)
    names = "exclude_modules" if quant.has("exclude_modules") else "ignore"
    cache = _cache(quant.values.get("kv_cache_quant_algo", quant.values.get("kv_cache_scheme")))
    if quant.text("quant_algo") == "MIXED_PRECISION":
        return Scheme(_listed(quant), cache)
    return Scheme((_kept(quant, names), _all(_algorithm(quant, quant), head=True)), cache)


def _algorithm(quant: Config, whole: Config) -> str:
    algorithm = quant.text("quant_algo")
    if algorithm in _INT4_ALGORITHMS:
        return _integers(quant, 4, quant.count("group_size", default=whole.count("group_size")))
    if algorithm not in _NAMED_ALGORITHMS:
        quant.cannot(f"quant_algo {algorithm!r}")
    return _NAMED_ALGORITHMS[algorithm]


def _listed(quant: Config) -> tuple[Rule, ...]:
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


def _quark(config: Config, quant: Config) -> Scheme:
    """AMD Quark: one config for all layers, others by name."""

    def of(inner: Config | None) -> str | None:
        weight = inner.section("weight") if inner else None
        if weight is None:
            return None
        weight.ignore(*weight.values)
        name, group = weight.text("dtype"), _group(weight, "group_size")
        if name == "fp4":
            return "mxfp4" if group == 32 else "nvfp4" if group == 16 else quant.cannot(f"Quark's fp4 in groups of {group}")
        if name in ("int4", "uint4", "int3", "int2"):
            return _integers(quant, int(name[-1]), group, zeros=not weight.flag("symmetric", default=True))
        return _QUARK[name] if name in _QUARK else quant.cannot(f"Quark's dtype {name!r}")

    rules = [_kept(quant, "exclude")]
    by_layer = quant.section("layer_quant_config")
    for name in by_layer.values if by_layer else ():
        rules.append(Rule(matcher(quant, [name]), of(by_layer.section(name) if by_layer else None)))
    cache = quant.section("kv_cache_quant_config")
    kv = "fp8" if cache and "fp8" in repr(cache.values) else None
    return Scheme((*rules, _all(of(quant.section("global_quant_config")), head=True)), kv)


def _torchao(config: Config, quant: Config) -> Scheme:
    kind, given = quant.values.get("quant_type"), quant.section("quant_type_kwargs")
    group = given.maybe("group_size") if given else None
    if isinstance(kind, dict):
        default = kind.get("default", kind)
        data = default.get("_data", {}) if isinstance(default, dict) else {}
        kind = default.get("_type") if isinstance(default, dict) else None
        group = Config(data, quant.where).maybe("group_size") if isinstance(data, dict) else None
    word = str(kind).lower().replace("_", "").removesuffix("config")
    if word.startswith("float8"):
        dtype = "fp8"
    elif word == "int8weightonly":
        dtype = "int8-channel"
    elif word.startswith("int8dynamicactivationint8"):
        dtype = "int8"
    elif word == "int4weightonly":
        dtype = f"mlx4-g{group or 128}"  # a 16-bit scale and a 16-bit zero point per group
    elif word.startswith("int8dynamicactivationint"):
        dtype = _integers(quant, 4, group or 32)
    else:
        quant.cannot(f"torchao's quant_type {kind!r}")
    ends = quant.flag("include_input_output_embeddings")
    rest = Rule(lambda layer, module: True, dtype) if ends else _all(dtype)
    return Scheme((_kept(quant, "modules_to_not_convert"), rest))


def _hqq(config: Config, quant: Config) -> Scheme:
    """HQQ: a 16-bit scale and a 16-bit zero point per group."""

    def of(inner: Config) -> str:
        weights = inner.section("weight_quant_params") or inner
        weights.ignore(*weights.values)
        name = f"mlx{weights.count('nbits', 'bits')}-g{_group(weights, 'group_size') or 64}"
        return name if formats.is_dtype(name) else quant.cannot(f"HQQ of {name}")

    given = quant.section("quant_config") or quant
    rules = [_kept(quant, "skip_modules")]
    by_name = [name for name, value in given.values.items() if isinstance(value, dict) and name != "weight_quant_params"]
    if by_name and not given.has("weight_quant_params"):
        return Scheme((*rules, *(Rule(matcher(quant, [name]), of(given.section(name) or given)) for name in by_name)))
    return Scheme((*rules, _all(of(given))))


def _simple(dtype: str) -> Callable[[Config, Config], Scheme]:
    return lambda config, quant: Scheme((_kept(quant, "modules_to_not_convert"), _all(dtype)))


def _quanto(config: Config, quant: Config) -> Scheme:
    names = {"int8": "int8-channel", "float8": "fp8", "int4": "int4-g128-zp", "int2": "int2-g128-zp"}
    given = quant.text("weights") or ""
    return _simple(names[given] if given in names else quant.cannot(f"quanto's weights {given!r}"))(config, quant)


_METHODS: dict[str | None, Callable[[Config, Config], Scheme]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _simple("fp8"),
    "mxfp4": _mxfp4,
    "gptq": _gptq,
    "awq": _gptq,
    "auto-round": _gptq,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed,
    "modelopt": lambda config, quant: _modelopt(quant),
    "modelopt_fp4": lambda config, quant: _modelopt(quant),
    "modelopt_mixed": lambda config, quant: _modelopt(quant),
    "mlx": _mlx,
    "quark": _quark,
    "torchao": _torchao,
    "hqq": _hqq,
    "eetq": _simple("int8-channel"),
    "bitnet": _simple("ternary"),
    "quanto": _quanto,
}


def _cache(scheme: Any) -> str | None:
    """Dtype of the KV cache, if the checkpoint has scales for it."""
    if isinstance(scheme, str):
        return _CACHES.get(scheme.upper())
    if isinstance(scheme, dict):
        return {"8 float": "fp8", "8 int": "int8", "4 float": "nvfp4"}.get(f"{scheme.get('num_bits')} {scheme.get('type')}")
    return None


def _all(dtype: str | None, head: bool = False) -> Rule:
    return Rule(everything(head), dtype)


def _kept(quant: Config, *names: str) -> Rule:
    """Modules that stay unquantised, by the lists under `names`."""
    return Rule(_test(quant, *names), None)


def _test(quant: Config, *names: str) -> Test:
    return matcher(quant, [entry for name in names for entry in quant.words(name) or []])
