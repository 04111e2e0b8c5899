"""The vision tower of a multimodal configuration -> the `vision` record of a catalog file.

The limits of the image processor are in another file (preprocessor_config.json): those that each family publishes are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.errors import RoofcalcError

Tower = dict[str, Any]
_SECTIONS = ("vision_config", "vit_config")
_QWEN2_PIXELS, _QWEN3_PIXELS, _GLM_PIXELS = (3136, 12_845_056), (65_536, 16_777_216), (6272, 4_816_896)
_TILES, _LLAMA4_TILES, _GEMMA4_TOKENS = 12, 16, 280
_MINIMAX_PIXELS = (3136, 451_584)
_KIMI = {"kimi_vl": (4096, 512), "kimi_k25": (16_384, 512), "kimi_k3": (65_536, 512)}  # patches of an image, and of its side


def vision(outer: Config, kind: str, hidden: int) -> Tower | None:
    """The tower of a model of type `kind`, whose projector ends at `hidden`; None where the type or a size is not known.

    Parameters
    ----------
    outer : Config
        The object of the whole model.
    """
    name = next((name for name in _SECTIONS if isinstance(outer.values.get(name), dict)), None)
    if name is None or kind not in _READERS:
        return None
    inner = Config(outer.values[name], f"{outer.where}: {name}")
    try:
        return _READERS[kind](inner, outer, kind, hidden)
    except RoofcalcError:
        return None


def _shape(inner: Config, **more: Any) -> Tower:
    """What most towers give under the usual names."""
    return {
        "layers": inner.count("depth", "num_hidden_layers", "vt_num_hidden_layers"),
        "hidden": (size := inner.count("hidden_size", "embed_dim", "vt_hidden_size")),
        "heads": inner.count("num_heads", "num_attention_heads", "attention_heads", "vt_num_attention_heads"),
        "width": inner.count(
            "intermediate_size", "vt_intermediate_size", default=int(inner.number("mlp_ratio", 0.1, 100) * size) if inner.has("mlp_ratio") else None
        ),
        "patch": inner.count("patch_size"),
        **{key: value for key, value in more.items() if value},
    }


def _grid(pixels: tuple[int, int]) -> Tower:
    return {"rule": "grid", "min_pixels": pixels[0], "max_pixels": pixels[1]}


def _merged(inner: Config) -> Tower:
    return {"merge": inner.count("spatial_merge_size", default=2), "frames": inner.count("temporal_patch_size", default=2)}


def _qwen2(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    """Qwen2-VL's config has the language model's size as hidden_size."""
    size = inner.count("embed_dim" if inner.has("embed_dim") else "hidden_size")
    values = {**inner.values, "hidden_size": size, "embed_dim": size}
    shape = _shape(Config(values, inner.where), **_merged(inner))
    wide = size * shape["merge"] ** 2
    found = {**shape, "projector": [wide, wide, hidden], "image": _grid(_QWEN2_PIXELS)}
    full = inner.numbers("fullatt_block_indexes")
    if full is not None:
        window = inner.count("window_size") // shape["patch"]
        found |= {"gated": True, "window": window**2, "full": len(full)}
    return found


def _qwen3(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape = _shape(inner, **_merged(inner))
    wide = shape["hidden"] * shape["merge"] ** 2
    deep = len(inner.numbers("deepstack_visual_indexes") or ())
    return {**shape, "projector": [wide, wide, hidden], **({"projectors": 1 + deep} if deep else {}), "image": _grid(_QWEN3_PIXELS)}


def _glm(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    """The width of the merger stands under intermediate_size, that of the layers under out_hidden_size."""
    out, width = inner.count("out_hidden_size"), inner.count("intermediate_size")
    shape = _shape(Config({**inner.values, "intermediate_size": out}, inner.where), **_merged(inner))
    chain = [shape["hidden"] * shape["merge"] ** 2, out, out, 3 * width // 2, out]  # a gated merger's three matrices count as two
    return {**shape, "gated": True, "projector": chain, "image": _grid(_GLM_PIXELS)}


def _gemma3(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape = _shape(inner)
    tokens = outer.count("mm_tokens_per_image", default=256)
    return {**shape, "projector": [shape["hidden"], hidden], "image": {"rule": "fixed", "side": inner.count("image_size"), "tokens": tokens}}


def _gemma4(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape = _shape(inner, gated=True, merge=inner.count("pooling_kernel_size", default=3))
    tokens = outer.count("vision_soft_tokens_per_image", default=_GEMMA4_TOKENS)
    return {**shape, "projector": [shape["hidden"], hidden], "image": {"rule": "budget", "tokens": tokens}}


def _llama4(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    merge = round(1 / inner.number("pixel_shuffle_ratio", 0.01, 1))
    shape = _shape(inner, merge=merge)
    chain = [shape["hidden"] * merge**2, inner.count("projector_input_dim"), inner.count("projector_output_dim"), hidden]
    return {**shape, "projector": chain, "image": {"rule": "canvas", "side": inner.count("image_size"), "most": _LLAMA4_TILES}}


def _mllama(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape = _shape(inner)
    most = inner.count("max_num_tiles")
    shape["layers"] += inner.count("num_global_layers")
    return {
        **shape,
        "projector": [inner.count("vision_output_dim"), hidden],
        "image": {"rule": "cross_attention", "side": inner.count("image_size"), "most": most},
    }


def _pixtral(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    """Pixtral's tower, with a merger in Mistral 3; LLaVA wraps it too."""
    if kind == "llava" and inner.text("model_type") != "pixtral":
        return _clip(inner, outer, kind, hidden)
    merge = outer.count("spatial_merge_size", default=1)
    shape = _shape(inner, gated=True, merge=merge if merge > 1 else None)
    size = shape["hidden"]
    return {
        **shape,
        "projector": [*([size * merge**2] if merge > 1 else []), size, hidden, hidden],
        "image": {"rule": "rows", "side": inner.count("image_size")},
    }


def _clip(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    """LLaVA 1.5 takes the last layer but one."""
    shape = _shape(inner)
    shape["layers"] += 1 + outer.values.get("vision_feature_layer", -2)
    side = inner.count("image_size")
    tokens = (side // shape["patch"]) ** 2
    return {**shape, "projector": [shape["hidden"], hidden, hidden], "image": {"rule": "fixed", "side": side, "tokens": tokens}}


def _next(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    """LLaVA-NeXT takes the last layer but one, OneVision the last."""
    shape, side = _shape(inner), inner.count("image_size")
    if kind == "llava_next":
        shape["layers"] -= 1
    image = {"longest": 3, "least": 2, "most": 4} if kind == "llava_next" else {"longest": 6, "most": 36, "limit": 9}
    return {**shape, "projector": [shape["hidden"], hidden, hidden], "image": {"rule": "unpadded", "side": side, **image}}


def _internvl(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    side, patch = (value[0] if isinstance(value, list) else value for value in (inner.values.get("image_size"), inner.values.get("patch_size")))
    merge = round(1 / outer.number("downsample_ratio", 0.01, 1)) if outer.has("downsample_ratio") else 2
    shape = _shape(Config({**inner.values, "patch_size": patch}, inner.where), merge=merge)
    most = outer.count("max_dynamic_patch", default=_TILES)
    image = {"rule": "tiles", "side": Config({"image_size": side}, inner.where).count("image_size"), "most": most}
    return {**shape, "projector": [shape["hidden"] * merge**2, hidden, hidden], "image": image}


def _kimi(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape = _shape(inner, merge=2)
    if inner.has("qkv_hidden_size") and (attention := inner.count("qkv_hidden_size")) != shape["hidden"]:
        shape["attention"] = attention
    wide, (patches, side) = shape["hidden"] * 4, _KIMI[kind]
    return {**shape, "projector": [wide, wide, hidden], "image": {"rule": "padded", "patches": patches, "side": side}}


def _minimax(inner: Config, outer: Config, kind: str, hidden: int) -> Tower:
    shape, between = _shape(inner, **_merged(inner)), outer.count("projector_hidden_size", default=hidden)
    merged = hidden * shape["merge"] ** 2
    projectors = {"patch_projector": [shape["hidden"], between, hidden], "projector": [merged, between, hidden]}
    return {**shape, **projectors, "image": _grid(_MINIMAX_PIXELS)}


_READERS: dict[str, Callable[[Config, Config, str, int], Tower]] = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen2_5_omni_thinker"), _qwen2),
    **dict.fromkeys(("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen3_omni_moe_thinker"), _qwen3),
    **dict.fromkeys(("glm4v", "glm4v_moe"), _glm),
    "gemma3": _gemma3,
    "gemma4": _gemma4,
    "llama4": _llama4,
    "mllama": _mllama,
    "mistral3": _pixtral,
    "llava": _pixtral,
    **dict.fromkeys(("llava_next", "llava_onevision"), _next),
    **dict.fromkeys(("internvl_chat", "internvl", "interns1"), _internvl),
    **dict.fromkeys(("kimi_vl", "kimi_k25", "kimi_k3"), _kimi),
    "minimax_m3_vl": _minimax,
}
