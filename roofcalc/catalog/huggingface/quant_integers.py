"""Weight-only methods: GPTQ, AWQ, MLX, bitsandbytes, torchao, HQQ and quanto."""

from collections.abc import Callable

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.layer_dtypes import Rule, Scheme
from roofcalc.catalog.huggingface.modules import matcher
from roofcalc.catalog.huggingface.quant_rules import everywhere, group_size, integers, unquantised
from roofcalc.specs import dtypes as formats


def gptq(config: Config, quant: Config) -> Scheme:
    """AWQ and GPTQ: zero points are stored for symmetric values too. Overrides: GPTQModel's `dynamic`, AutoRound's `extra_config`."""

    def of(inner: Config) -> str | None:
        bits = inner.maybe("bits", "w_bit")
        bits = quant.count("bits", "w_bit") if bits is None else bits
        if bits >= 16:
            return None
        grouped = inner if inner.has("group_size") or inner.has("q_group_size") else quant
        return integers(quant, bits, group_size(grouped, "group_size", "q_group_size"), zeros=True)

    rules = [unquantised(quant, "modules_to_not_convert")]
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
    return Scheme((*rules, everywhere(of(quant), head=quant.flag("lm_head"))))


def mlx(config: Config, quant: Config) -> Scheme:
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


def bitsandbytes(config: Config, quant: Config) -> Scheme:
    kept = unquantised(quant, "llm_int8_skip_modules")
    if quant.flag("load_in_8bit", "_load_in_8bit"):
        return Scheme((kept, everywhere("int8-channel")))
    if not quant.flag("load_in_4bit", "_load_in_4bit"):
        quant.cannot("bitsandbytes with neither load_in_4bit nor load_in_8bit")
    return Scheme((kept, everywhere("nf4-dq" if quant.flag("bnb_4bit_use_double_quant") else "nf4")))


def torchao(config: Config, quant: Config) -> Scheme:
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
        dtype = integers(quant, 4, group or 32)
    else:
        quant.cannot(f"torchao's quant_type {kind!r}")
    ends = quant.flag("include_input_output_embeddings")
    rest = Rule(lambda layer, module: True, dtype) if ends else everywhere(dtype)
    return Scheme((unquantised(quant, "modules_to_not_convert"), rest))


def hqq(config: Config, quant: Config) -> Scheme:
    """HQQ: a 16-bit scale and a 16-bit zero point per group."""

    def of(inner: Config) -> str:
        weights = inner.section("weight_quant_params") or inner
        weights.ignore(*weights.values)
        name = f"mlx{weights.count('nbits', 'bits')}-g{group_size(weights, 'group_size') or 64}"
        return name if formats.is_dtype(name) else quant.cannot(f"HQQ of {name}")

    given = quant.section("quant_config") or quant
    rules = [unquantised(quant, "skip_modules")]
    by_name = [name for name, value in given.values.items() if isinstance(value, dict) and name != "weight_quant_params"]
    if by_name and not given.has("weight_quant_params"):
        return Scheme((*rules, *(Rule(matcher(quant, [name]), of(given.section(name) or given)) for name in by_name)))
    return Scheme((*rules, everywhere(of(given))))


def simple(dtype: str) -> Callable[[Config, Config], Scheme]:
    return lambda config, quant: Scheme((unquantised(quant, "modules_to_not_convert"), everywhere(dtype)))


def quanto(config: Config, quant: Config) -> Scheme:
    names = {"int8": "int8-channel", "float8": "fp8", "int4": "int4-g128-zp", "int2": "int2-g128-zp"}
    given = quant.text("weights") or ""
    return simple(names[given] if given in names else quant.cannot(f"quanto's weights {given!r}"))(config, quant)
