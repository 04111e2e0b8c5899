"""Parts that several quantisation methods share: rules by module name, dtypes of integers and of scaled blocks, the cache's dtype."""

from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.layer_dtypes import Rule
from roofcalc.catalog.huggingface.modules import Test, everything, matcher
from roofcalc.specs import dtypes as formats

_CACHES = {"FP8": "fp8", "INT8": "int8", "NVFP4": "nvfp4"}


def of_experts(layer: int, module: str) -> bool:
    return "experts" in module.split(".")


def blockwise(quant: Config) -> str:
    blocks = quant.numbers("weight_block_size")
    if blocks is None:
        return "fp8"
    if blocks == [1, 32]:
        return "mxfp8"
    if len(blocks) != 2 or min(blocks) < 1:
        quant.cannot(f"weight_block_size {blocks}")
    return "fp8-block128" if blocks == [128, 128] else f"fp8-block{blocks[0]}x{blocks[1]}"


def group_size(quant: Config, *names: str) -> int | None:
    """Elements per scale; None for a whole row (-1)."""
    _, size = quant.first(*names)
    return None if size == -1 or size == 0 else quant.maybe(*names)


def integers(quant: Config, bits: int, group: int | None, zeros: bool = False) -> str:
    name = f"int{bits}-g{group}{'-zp' if zeros else ''}" if group else f"int{bits}-channel"
    if not formats.is_dtype(name):
        quant.cannot(f"{bits}-bit integers {'in groups of ' + str(group) if group else 'without a group_size'}")
    return name


def cache_dtype(scheme: Any) -> str | None:
    """Dtype of the KV cache, if the checkpoint has scales for it."""
    if isinstance(scheme, str):
        return _CACHES.get(scheme.upper())
    if isinstance(scheme, dict):
        return {"8 float": "fp8", "8 int": "int8", "4 float": "nvfp4"}.get(f"{scheme.get('num_bits')} {scheme.get('type')}")
    return None


def everywhere(dtype: str | None, head: bool = False) -> Rule:
    return Rule(everything(head), dtype)


def unquantised(quant: Config, *names: str) -> Rule:
    """Modules that stay unquantised, by the lists under `names`."""
    return Rule(_listed_modules(quant, *names), None)


def _listed_modules(quant: Config, *names: str) -> Test:
    return matcher(quant, [entry for name in names for entry in quant.words(name) or []])
