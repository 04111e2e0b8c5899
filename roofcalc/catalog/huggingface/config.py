"""Typed access to one JSON object of a configuration, which records the keys that were read.

Nothing is guessed: a missing key, a wrong type, two synonyms with different values, and an unread key that may affect the
architecture are errors that name the key.
"""

import re
from typing import Any, NoReturn, TypeVar

from roofcalc.errors import RoofcalcError

T = TypeVar("T")

MAX_SIZE = 1_000_000_000

# Keys that may affect shapes, counts or the KV cache.
_STRUCTURAL = re.compile(
    r"layer|head|expert|window|dim|rank|state|size|width|block|group|pattern|period|interval|freq|kernel|chunk|lora|share|bias|norm|tie"
    r"|ffn|mlp|moe|mamba|ssm|conv|attn|attention|embed|mtp|nextn|index|pool|compress|position|expan|quant"
)
# Keys that match but do not: training, sampling, rotary embedding, routing scores, scaling factors, software.
_HARMLESS = re.compile(
    r".*_token_(id|ids|index|len)|.*dropout.*|.*_pdrop|.*_eps|.*_epsilon|.*initializer.*|.*_init|.*_init_(std|scale|value)|init_.*|.*_multipliers?|.*_scaling"
    r"|.*_theta|rope_.*|.*rotary.*|.*mrope.*|indexer_rope_interleave|original_max_position_embeddings|initial_context_length"
    r"|.*(aux_loss|z_loss|jitter).*|output_(router_logits|attentions|hidden_states)|(moe_)?norm_topk_prob|norm_(expert_weight|min)|moe_norm_min|moe_renormalize"
    r"|n_group|topk_group|num_expert_group|use_grouped_topk|moe_(router|gate|routing)_(activation|scaling|score|dtype|fp32).*|.*softcapping|query_pre_attn_scalar"
    r"|.*(hidden_act|activation).*|chunk_size_feed_forward|.*no_repeat_ngram_size|num_beam_groups|tie_encoder_decoder|add_cross_attention"
    r"|pretraining_tp|ep_size|.*attn_implementation|_flash_attn.*|attention_(method|value_scale|softmax_in_fp32|logit_cap)|layernorm_.*(alpha|beta)"
    r"|rescale_prenorm_residual|time_step_(floor|max|min|limit)|(mamba_)?chunk_size|mamba_(dt_.*|ssm_cache_dtype)|use_mamba_?kernels|use_fast_kernels"
    r"|label2id|id2label|problem_type|is_encoder_decoder|bad_words_ids|.*embedding_multiplier.*|scale_(embedding|attn).*|reorder_and_upcast_attn|ignore_index"
)


class Config:
    """The values of a JSON object; `null` counts as absent.

    Parameters
    ----------
    values : dict
        The object.
    where : str
        Prefix of error messages: the file, and the keys down to the object.
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = {key: value for key, value in values.items() if value is not None}
        self.where = where
        self.read: set[str] = set()
        self.inner: list[Config] = []

    def refuse(self, sentence: str) -> NoReturn:
        """Raises a RoofcalcError."""
        raise RoofcalcError(f"{self.where}: {sentence}")

    def cannot(self, what: str) -> NoReturn:
        """Raises a RoofcalcError for a feature that catalog files cannot describe."""
        self.refuse(f"not supported: {what}")

    def has(self, name: str) -> bool:
        """Whether a key is present."""
        return name in self.values

    def ignore(self, *names: str) -> None:
        """Marks keys as read: they have no effect on this architecture."""
        self.read.update(names)

    def first(self, *names: str) -> tuple[str, Any]:
        """The first synonym that is present, and its value; ("", None) without any. Synonyms with different values are an error."""
        self.read.update(names)
        present = [(name, self.values[name]) for name in names if name in self.values]
        for name, value in present[1:]:
            if value != present[0][1]:
                self.refuse(f"{present[0][0]} {_show(present[0][1])} and {name} {_show(value)} contradict each other")
        return present[0] if present else ("", None)

    def _required(self, names: tuple[str, ...]) -> NoReturn:
        self.refuse(f"{names[0]} is missing" + (f" (also known as {', '.join(names[1:])})" if len(names) > 1 else ""))

    def count(self, *names: str, default: int | None = None, low: int = 1, high: int = MAX_SIZE) -> int:
        """An integer from `low` to `high`; required unless a default is given."""
        name, value = self.first(*names)
        if value is None:
            if default is None:
                self._required(names)
            return default
        return self._whole(name, value, low, high)

    def maybe(self, *names: str, low: int = 1) -> int | None:
        """An integer, or None where no synonym is present."""
        name, value = self.first(*names)
        return None if value is None else self._whole(name, value, low, MAX_SIZE)

    def flag(self, *names: str, default: bool = False) -> bool:
        """A boolean."""
        name, value = self.first(*names)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(f"{name}: expected true or false, got {_show(value)}")
        return value

    def text(self, *names: str) -> str | None:
        """A string, or None."""
        name, value = self.first(*names)
        if value is not None and not isinstance(value, str):
            self.refuse(f"{name}: expected text, got {_show(value)}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """A required number from `low` to `high`."""
        _, value = self.first(name)
        if value is None:
            self._required((name,))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.refuse(f"{name}: expected a number from {low:g} to {high:g}, got {_show(value)}")
        return float(value)

    def words(self, *names: str) -> list[str] | None:
        """A list of strings, or None."""
        return self._list(names, str, "words")

    def numbers(self, *names: str) -> list[int] | None:
        """A list of integers, or None."""
        return self._list(names, int, "whole numbers")

    def section(self, *names: str) -> "Config | None":
        """A nested object, whose keys are recorded too; None without one."""
        name, value = self.first(*names)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(f"{name}: expected an object, got {_show(value)}")
        inner = Config(value, f"{self.where}: {name}")
        self.inner.append(inner)
        return inner

    def sections(self, name: str) -> "list[Config]":
        """A required list of objects."""
        _, value = self.first(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(f"{name}: expected a list of objects, got {_show(value)}")
        return [Config(item, f"{self.where}: {name}[{i}]") for i, item in enumerate(value)]

    def per_layer(self, values: "list[T] | None", name: str, layers: int, spare: int = 0) -> "list[T] | None":
        """`values` if there is one per layer; up to `spare` more, for MTP layers, are cut off."""
        if values is None or len(values) == layers:
            return values
        if layers < len(values) <= layers + spare:
            return values[:layers]
        self.refuse(f"{name} has {len(values)} entries, but the model has {layers} layers")

    def unread_here(self) -> list[str]:
        """Keys that may affect the architecture and were not read, except false, 0 and empty values."""
        return [key for key, value in self.values.items() if value and key not in self.read and _structural(key)]

    def unread(self) -> list[str]:
        """The same, including nested objects."""
        return [*self.unread_here(), *(key for inner in self.inner for key in inner.unread())]

    def _whole(self, name: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(f"{name}: expected a whole number from {low} to {high}, got {_show(value)}")
        return value

    def _list(self, names: tuple[str, ...], kind: type[T], what: str) -> "list[T] | None":
        name, value = self.first(*names)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, kind) and not (kind is int and isinstance(item, bool)) for item in value):
            self.refuse(f"{name}: expected a list of {what}, got {_show(value)}")
        return value


def _structural(key: str) -> bool:
    """Whether a key may affect the architecture."""
    return bool(_STRUCTURAL.search(key)) and not _HARMLESS.fullmatch(key)


def _show(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
