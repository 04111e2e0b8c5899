"""The quantisation config of a checkpoint -> dtypes by tensor class.

Names and lists of modules are handled in `roofcalc.catalog.huggingface.modules`.
"""

from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.modules import HEAD, MODULES, Test, matcher
from roofcalc.catalog.huggingface.plan import Layer, Plan

_SIXTEEN = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "bf16": "bf16", "fp16": "fp16", "half": "fp16"}
_FP8_DTYPES = ("float8_e4m3fn", "float8_e5m2")


_NAMED_ALGORITHMS = {"FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8", "NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4", "MXFP4": "mxfp4", "MXFP8": "mxfp8"}
_NAMED_ALGORITHMS |= {"W8A8_SQ_PER_CHANNEL": "int8", "INT8_SQ": "int8"}
_INT4_ALGORITHMS = ("W4A16_AWQ", "W4A8_AWQ", "W4A16", "INT4_AWQ")


def dtypes(config: Config, plan: Plan, quant_file: dict[str, Any] | None) -> tuple[Any, list[str], bool]:
    """The `dtype` of a catalog file, remarks, and whether the config gives the dtype.

    Parameters
    ----------
    config : Config
        The object of the language model.
    quant_file : dict or None
        Contents of hf_quant_config.json.
    """
    name, given = config.first("dtype", "torch_dtype")
    wide = "bf16" if given is None else _sixteen(config, name, given)
    quantised = _method(config, quant_file)
    if quantised is None:
        return wide, [], given is not None
    narrow, kept, head, kv = quantised
    remarks: list[str] = []
    by_class = {cls: _of_class(cls, layers, narrow, kept, wide, remarks) for cls, layers in _classes(plan).items()}
    main = next((by_class[cls] for cls in ("attention", "state", "mlp", "experts") if cls in by_class), wide)
    result = {"default": main, **{cls: value for cls, value in by_class.items() if value != main}}
    if main != wide:
        result.update(embed=wide, head=wide, router=wide, norm=wide)
    if head and not kept(0, HEAD):
        result["head"] = next(iter(narrow.values()))
    if kv:
        result["kv"] = kv
    return (wide if result == {"default": wide} else result), remarks, True


def _sixteen(config: Config, name: str, value: Any) -> str:
    word = value.removeprefix("torch.") if isinstance(value, str) else ""
    if word in _FP8_DTYPES:
        return "bf16"
    if word not in _SIXTEEN:
        config.refuse(f"{name}: invalid choice {value!r} (choose from {', '.join(_SIXTEEN)})")
    return _SIXTEEN[word]


def _classes(plan: Plan) -> dict[str, list[int]]:
    """Tensor classes of the model, and the layers that have them."""
    by_class: dict[str, list[int]] = {}
    for i, layer in enumerate(plan.layers):
        for cls in _of_layer(layer):
            by_class.setdefault(cls, []).append(i)
    return by_class


def _of_layer(layer: Layer) -> list[str]:
    classes: list[str] = [name for name in ("attention", "state") if name in layer.mixing]
    if layer.mlp is not None:
        routed = "experts" in layer.mlp
        classes += ["experts"] if routed else ["mlp"]
        classes += ["shared"] if layer.mlp.get("shared") else []
    return classes


def _of_class(cls: str, layers: list[int], narrow: dict[str, str], kept: Test, wide: str, remarks: list[str]) -> str:
    """The dtype of a class in most of its layers; a remark where others differ."""
    dtype = narrow.get(cls)
    if dtype is None:
        return wide
    whole = [i for i in layers if any(all(kept(i, module) for module in naming) for naming in MODULES[cls])]
    mixed = 2 * len(whole) > len(layers)
    odd = len(layers) - len(whole) if mixed else len(whole)
    if odd:
        other = dtype if mixed else wide
        remarks.append(f"Of the {len(layers)} layers with {cls}, {odd} {'are' if odd > 1 else 'is'} {other}; recorded with the majority dtype.")
    return wide if mixed else dtype


Quantised = tuple[dict[str, str], Test, bool, str | None]  # dtype by class, unquantised modules, LM head quantised, KV cache dtype


def _method(config: Config, quant_file: dict[str, Any] | None) -> Quantised | None:
    quant = config.section("quantization_config", "compression_config")
    if quant is None and quant_file is not None:
        inner = Config(quant_file, "hf_quant_config.json").section("quantization")
        if inner is None:
            config.refuse("hf_quant_config.json: quantization is missing")
        return _modelopt(inner)
    if quant is None:
        return None
    quant.ignore(*quant.values)
    method = quant.text("quant_method") or ("modelopt" if quant.has("quant_algo") else None)
    if method == "fp8":
        return _everywhere(_blockwise(quant)) | _experts_of(config, quant), _kept(quant, "modules_to_not_convert", "ignored_layers"), False, None
    if method == "fbgemm_fp8":
        return _everywhere("fp8"), _kept(quant, "modules_to_not_convert"), False, None
    if method == "mxfp4":
        return {"experts": "mxfp4"}, lambda layer, module: False, False, None
    if method in ("gptq", "awq", "auto-round"):
        dtype = _integers(quant, quant.count("bits", "w_bit"), _group(quant, "group_size", "q_group_size"))
        return _everywhere(dtype), _kept(quant, "modules_to_not_convert"), False, None
    if method == "compressed-tensors":
        return _compressed(quant)
    if method == "modelopt":
        return _modelopt(quant)
    return config.cannot(f"quant_method {method!r}")


def _everywhere(dtype: str) -> dict[str, str]:
    return dict.fromkeys(MODULES, dtype)


def _experts_of(config: Config, quant: Config) -> dict[str, str]:
    """A separate dtype of the experts (DeepSeek V4)."""
    name = config.text("expert_dtype") or quant.text("expert_dtype")
    if name is None or name == "fp8":
        return {}
    return {"experts": "mxfp4"} if name in ("fp4", "mxfp4") else config.cannot(f"expert_dtype {name!r}")


def _blockwise(quant: Config) -> str:
    blocks = quant.numbers("weight_block_size")
    if blocks is None:
        return "fp8"
    if blocks == [128, 128]:
        return "fp8-block128"
    return "mxfp8" if blocks == [1, 32] else quant.cannot(f"weight_block_size {blocks}")


def _group(quant: Config, *names: str) -> int | None:
    """Elements per scale; None for a whole row (-1)."""
    _, size = quant.first(*names)
    return None if size == -1 else quant.maybe(*names)


def _integers(quant: Config, bits: int, group: int | None) -> str:
    if bits == 8:
        return "int8"
    if bits != 4 or group is None:
        quant.cannot(f"{bits}-bit integers {'in groups of ' + str(group) if group else 'without a group_size'}")
    return f"int4-g{group}"


def _weights(quant: Config, format: str | None) -> str:
    """The weight dtype of a group of compressed-tensors."""
    quant.ignore(*quant.values)
    bits, kind, strategy = quant.count("num_bits"), quant.text("type"), quant.text("strategy")
    group = _group(quant, "group_size")
    if kind == "int":
        return _integers(quant, bits, group)
    if kind == "float" and bits == 8:
        return _blockwise(Config({"weight_block_size": quant.values.get("block_structure")}, quant.where)) if strategy == "block" else "fp8"
    if kind == "float" and bits == 4 and group in (16, 32):
        return "nvfp4" if group == 16 and "mxfp4" not in (format or "") else "mxfp4"
    return quant.cannot(f"{bits}-bit weights of type {kind!r} in groups of {group}")


def _compressed(quant: Config) -> Quantised:
    groups = quant.section("config_groups") or quant.refuse("config_groups is missing")
    narrow: dict[str, str] = {}
    head = False
    for name in groups.values:
        group = groups.section(name) or groups.refuse(f"{name}: expected an object")
        group.ignore(*group.values)
        weights = group.section("weights")
        if weights is None:
            continue
        dtype = _weights(weights, group.text("format") or quant.text("format"))
        for target in group.words("targets") or ["Linear"]:
            chosen = matcher(quant, [target])
            whole = target == "Linear"
            head = head or whole
            for cls in MODULES:
                if whole or any(all(chosen(0, module) for module in naming) for naming in MODULES[cls]):
                    narrow.setdefault(cls, dtype)
    if not narrow:
        quant.cannot("quantisation without targets in attention, FFNs, experts or state-space layers")
    return narrow, _kept(quant, "ignore"), head, _cache(quant.values.get("kv_cache_scheme"))


def _modelopt(quant: Config) -> Quantised:
    quant.ignore(*quant.values)
    algorithm = quant.text("quant_algo")
    if algorithm in _INT4_ALGORITHMS:
        dtype = _integers(quant, 4, quant.count("group_size"))
    elif algorithm in _NAMED_ALGORITHMS:
        dtype = _NAMED_ALGORITHMS[algorithm]
    else:
        quant.cannot(f"quant_algo {algorithm!r}")
    names = "exclude_modules" if quant.has("exclude_modules") else "ignore"
    cache = quant.values.get("kv_cache_quant_algo", quant.values.get("kv_cache_scheme"))
    return _everywhere(dtype), _kept(quant, names), True, _cache(cache)


def _cache(scheme: Any) -> str | None:
    """Dtype of the KV cache, if the checkpoint has scales for it."""
    if scheme == "FP8" or (isinstance(scheme, dict) and (scheme.get("num_bits"), scheme.get("type")) == (8, "float")):
        return "fp8"
    return None


def _kept(quant: Config, *names: str) -> Test:
    """A test for modules that stay unquantised, by the lists under `names`."""
    return matcher(quant, [entry for name in names for entry in quant.words(name) or []])
