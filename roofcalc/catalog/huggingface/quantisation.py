"""The quantisation config of a checkpoint -> dtypes of its weights and of its KV cache.

Each method becomes rules by module name; `roofcalc.catalog.huggingface.layer_dtypes` applies them to the layers.
"""

from collections.abc import Callable
from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.layer_dtypes import Scheme, catalog_dtype
from roofcalc.catalog.huggingface.plan import Plan
from roofcalc.catalog.huggingface.quant_engines import compressed_tensors, fp8, listed_layers, modelopt, mxfp4, quark
from roofcalc.catalog.huggingface.quant_integers import bitsandbytes, gptq, hqq, mlx, quanto, simple, torchao

_SIXTEEN = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "bf16": "bf16", "fp16": "fp16", "half": "fp16"}


_FP8_DTYPES = ("float8_e4m3fn", "float8_e5m2")


_METHODS: dict[str | None, Callable[[Config, Config], Scheme]] = {
    "fp8": fp8,
    "fbgemm_fp8": simple("fp8"),
    "mxfp4": mxfp4,
    "gptq": gptq,
    "awq": gptq,
    "auto-round": gptq,
    "bitsandbytes": bitsandbytes,
    "compressed-tensors": compressed_tensors,
    "modelopt": lambda config, quant: modelopt(quant),
    "modelopt_fp4": lambda config, quant: modelopt(quant),
    "modelopt_mixed": lambda config, quant: modelopt(quant),
    "mlx": mlx,
    "quark": quark,
    "torchao": torchao,
    "hqq": hqq,
    "eetq": simple("int8-channel"),
    "bitnet": simple("ternary"),
    "quanto": quanto,
}


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
        return modelopt(beside) if beside else None
    quant.ignore(*quant.values)
    method = quant.text("quant_method") or ("modelopt" if quant.has("quant_algo") else "mlx" if quant.has("bits") or quant.has("mode") else None)
    if method not in _METHODS:
        return config.cannot(f"quant_method {method!r}")
    scheme = _METHODS[method](config, quant)
    if beside is not None and beside.has("quantized_layers") and method != "modelopt":  # ModelOpt on top of a checkpoint that was quantised before
        scheme = scheme._replace(rules=(*listed_layers(beside), *scheme.rules))
    return scheme
