"""A configuration -> plain values of a catalog file: sizes, dtypes, blocks and layers. Pure: reads no files."""

import re
from typing import Any, NamedTuple, NoReturn

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import blocks
from roofcalc.catalog.huggingface.quantisation import dtypes
from roofcalc.catalog.huggingface.table import FAMILIES, WRAPPERS, Family
from roofcalc.catalog.huggingface.towers import vision
from roofcalc.catalog.huggingface.unsupported import reason
from roofcalc.errors import did_you_mean
from roofcalc.specs.schema import build
from roofcalc.specs.vision import Vision

_INNER = ("text_config", "llm_config", "language_config")
_TIES = ("tie_word_embeddings", "tie_embedding")
_EITHER = (
    *("dtype", "torch_dtype"),
    *("quantization_config", "quantization", "compression_config", "expert_dtype"),
)
_TOWERS = ("vision_config", "audio_config", "vit_config", "audio_encoder_config")
_FLAT = ("qwen2_vl", "qwen2_5_vl", "step3p7", "ernie4_5_moe_vl")  # older files have the sizes of the text model at the top
_OF_TOWERS = re.compile(
    r"(image|video|vision|visual|audio|mm|media|projector|multi_modal|multimodal|spatial|understand|img|patch|boi|eoi|use_unified_vision|dynamic_image|force_image|"
    r"max_dynamic_patch|min_dynamic_patch|select_layer|use_backbone_lora|use_llm_lora|pad2square|pixel_shuffle|downsample)_?.*"
)

ENDLESS = 1_048_576  # context of models without a maximum: the longest of most other models


def convert(values: dict[str, Any], where: str, name: str, quantisation: dict[str, Any] | None = None) -> dict[str, Any]:
    """The catalog values of the model described by a config.json, in the order of a catalog file.

    Parameters
    ----------
    values, quantisation : dict
        Contents of config.json, and of hf_quant_config.json if there is one.
    where : str
        Prefix of error messages.
    name : str
        Name of the model.

    Raises
    ------
    RoofcalcError
        An unknown model_type; a missing, malformed or contradictory figure; or an unknown key that may affect the architecture.
    """
    outer = Config(values, where)
    config, kind, towers, outer_remarks = _text_part(outer)
    family = _family(config, kind)
    config.ignore("model_type", *_INNER)
    vocab, hidden = _rows(config, family), parts.hidden(config)
    plan = family.read(config)
    dtype, remarks, stated = dtypes(config, plan, kind, hidden, quantisation)
    context, unlimited = _context(config, family)
    tied = _tied(config, kind, family)
    _stop_at_unread(config, kind)
    named, layers, predicts = blocks(plan)
    result: dict[str, Any] = {"name": name, "sources": [], "context": context, "vocab": vocab, "hidden": hidden}
    if tied:
        result["tied"] = True
    result.update(plan.fields, dtype=dtype, blocks=named, layers=layers)
    tower = vision(outer, outer.values["model_type"], hidden)
    if tower is not None:
        shape = build(Vision, tower, {}, where)
        result |= {"vision": tower, "excluded": {"vision": shape.elements, **plan.fields.get("excluded", {})}}
    if predicts:
        result["mtp"] = {"layers": predicts, "heads": plan.heads}
    unverified = [*(["context"] if unlimited else []), *([] if stated else ["dtype"])]
    if unverified:
        result["unverified"] = unverified
    remarks = [*plan.remarks, *outer_remarks, *remarks]
    remarks += [f"A recurrent model has no maximum context; {ENDLESS} is used."] if unlimited else []
    remarks += [] if stated else ["The config does not give a dtype; bf16 is assumed."]
    remarks += ["The vision tower is counted by its matrices."] if tower is not None else []
    missing = [name for name in towers if tower is None or "vision" not in name]
    remarks += [f"Not counted: {', '.join(missing)}."] if missing else []
    if remarks:
        result["notes"] = " ".join(remarks)
    return result


class _TextPart(NamedTuple):
    """The object with the sizes of the language model, its type, the encoders of a multimodal model, and remarks."""

    config: Config
    kind: str
    towers: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def _text_part(outer: Config) -> _TextPart:
    kind = outer.text("model_type") or outer.refuse("model_type is missing: not a Hugging Face model configuration")
    inner = outer.section(*_INNER)
    if inner is None:
        if kind not in WRAPPERS or WRAPPERS[kind] == kind:
            return _TextPart(outer, kind)
        if kind not in _FLAT or not any(outer.has(name) for name in parts.DEPTH):
            outer.refuse(f"model_type {kind!r} needs a text_config")
        outer.ignore(*(key for key in outer.values if key in _TOWERS or _OF_TOWERS.fullmatch(key)))
        return _TextPart(outer, WRAPPERS[kind], _towers(outer))
    if kind not in WRAPPERS:
        _refuse_type(outer, kind)
    for name in _EITHER:
        if outer.has(name):
            if inner.values.setdefault(name, outer.values[name]) != outer.values[name]:
                outer.refuse(f"{name} outside and inside text_config contradict each other")
            outer.ignore(name)
    remark = _tie_of_the_whole(outer, inner)
    outer.ignore(*(key for key, value in outer.values.items() if inner.values.get(key) == value))  # repeated outside (DeepSeek-OCR)
    unknown = [key for key in outer.unread_here() if key not in _TOWERS and not _OF_TOWERS.fullmatch(key)]
    if unknown:
        outer.refuse(f"model_type {kind!r}: unknown keys: {', '.join(unknown)}")
    return _TextPart(inner, inner.text("model_type") or WRAPPERS[kind], _towers(outer), remark)


def _tie_of_the_whole(outer: Config, inner: Config) -> tuple[str, ...]:
    """Takes tie_word_embeddings from outside text_config: the class of the whole model holds the LM head and ties it by its own config.

    transformers 5.24, modeling_utils.py: get_expanded_tied_weights_keys.
    """
    name, whole = outer.first(*_TIES)
    other, part = inner.first(*_TIES)
    if whole is None:
        return ()
    for one in _TIES:
        inner.values.pop(one, None)
    inner.values[_TIES[0]] = whole
    differs = part is not None and part != whole
    return (f"{name} outside text_config applies; {other} inside differs.",) if differs else ()


def _towers(outer: Config) -> tuple[str, ...]:
    return tuple(f"the {name.split('_')[0].replace('vit', 'vision')} tower" for name in _TOWERS if outer.has(name))


def _family(config: Config, kind: str) -> Family:
    if kind not in FAMILIES:
        _refuse_type(config, kind)
    return FAMILIES[kind]


def _refuse_type(config: Config, kind: str) -> NoReturn:
    if known := reason(kind):
        config.refuse(f"model_type {kind!r} is not supported: {known}")
    config.refuse(f"unknown model_type {kind!r}{did_you_mean(kind, [*FAMILIES, *WRAPPERS])}")


def _rows(config: Config, family: Family) -> int:
    """Rows of the embedding: the vocabulary size, padded to the multiple that the config gives."""
    vocab, multiple = config.count("vocab_size", default=family.vocab), config.count("pad_vocab_size_multiple", default=1)
    return -(-vocab // multiple) * multiple


def _context(config: Config, family: Family) -> tuple[int, bool]:
    """The maximum context, and whether it is a substitute for an unlimited one."""
    given = parts.context(config) or family.context
    given = _extended(config, given)
    if given is None and not family.endless:
        config.refuse(f"{parts.CONTEXT[0]} is missing (also known as {', '.join(parts.CONTEXT[1:])})")
    return given or ENDLESS, given is None


def _extended(config: Config, given: int | None) -> int | None:
    """The context with rope scaling, as engines derive it: factor x original for YaRN; other kinds state the extended context themselves.

    vLLM, vllm/config (the derivation of max_model_len): "longrope" and "llama3" do not scale.
    """
    for name in ("rope_scaling", "rope_parameters"):
        rope = config.values.get(name)
        if isinstance(rope, dict) and isinstance(rope.get("full_attention"), dict):
            rope = rope["full_attention"]
        if not isinstance(rope, dict) or rope.get("rope_type", rope.get("type")) not in ("yarn", "linear", "dynamic"):
            continue
        scaling = Config(rope, f"{config.where}: {name}")
        kind = scaling.text("rope_type", "type")
        original = scaling.maybe("original_max_position_embeddings") or (given if kind == "yarn" else None)
        if original is not None and scaling.has("factor"):
            return round(original * scaling.number("factor", 1e-3, 1e6))
    return given


def _tied(config: Config, kind: str, family: Family) -> bool:
    """Whether embedding and LM head share weights, by the config or else by the type."""
    if not config.has("tie_word_embeddings") and not config.has("tie_embedding") and family.tied is None:
        config.refuse(f"tie_word_embeddings is missing, and model_type {kind!r} does not imply it")
    return config.flag("tie_word_embeddings", "tie_embedding", default=bool(family.tied))


def _stop_at_unread(config: Config, kind: str) -> None:
    unread = config.unread()
    if unread:
        config.refuse(f"model_type {kind!r}: unknown keys: {', '.join(unread)}")
