"""One JSON object of a configuration: typed look-ups that remember which keys were read.

Nothing is guessed: a missing key, a wrong type, two names of one figure that disagree, and a key that shapes the model
but was not read are errors that name the key.
"""

import re
from typing import Any, NoReturn, TypeVar

from roofcalc.errors import RoofcalcError

T = TypeVar("T")

MAX_SIZE = 1_000_000_000

# What may change a shape, a count or a cache.
_STRUCTURAL = re.compile(
    r"layer|head|expert|window|dim|rank|state|size|width|block|group|pattern|period|interval|freq|kernel|chunk|lora|share|bias|norm|tie"
    r"|ffn|mlp|moe|mamba|ssm|conv|attn|attention|embed|mtp|nextn|index|pool|compress|position|expan|quant"
)
# What matches that and changes none: training, sampling, rotation of positions, routing scores, scaling factors, software.
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
    """A JSON object's values, `null` counted as absent.

    Parameters
    ----------
    values : dict
        The object.
    where : str
        How errors name it: the file, and the way down to the object.
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = {key: value for key, value in values.items() if value is not None}
        self.where = where
        self.read: set[str] = set()
        self.inner: list[Config] = []

    def refuse(self, sentence: str) -> NoReturn:
        raise RoofcalcError(f"{self.where}: {sentence}")

    def cannot(self, what: str) -> NoReturn:
        """Stops at an architecture that the schema has no words for."""
        self.refuse(f"{what} cannot be described yet")

    def has(self, name: str) -> bool:
        return name in self.values

    def ignore(self, *names: str) -> None:
        """Marks keys as known to change nothing here."""
        self.read.update(names)

    def first(self, *names: str) -> tuple[str, Any]:
        """The first of a figure's names that is there, and its value; ("", None) without one. Those that disagree are an error."""
        self.read.update(names)
        found = [(name, self.values[name]) for name in names if name in self.values]
        for name, value in found[1:]:
            if value != found[0][1]:
                self.refuse(f"{found[0][0]} {_show(found[0][1])} and {name} {_show(value)} contradict one another")
        return found[0] if found else ("", None)

    def _required(self, names: tuple[str, ...]) -> NoReturn:
        self.refuse(f"{names[0]} is missing" + (f" (also known as {', '.join(names[1:])})" if len(names) > 1 else ""))

    def count(self, *names: str, default: int | None = None, low: int = 1, high: int = MAX_SIZE) -> int:
        """A whole number from `low` to `high`."""
        name, value = self.first(*names)
        if value is None:
            if default is None:
                self._required(names)
            return default
        return self._whole(name, value, low, high)

    def maybe(self, *names: str, low: int = 1) -> int | None:
        """A whole number, or None where no name is there."""
        name, value = self.first(*names)
        return None if value is None else self._whole(name, value, low, MAX_SIZE)

    def flag(self, *names: str, default: bool = False) -> bool:
        name, value = self.first(*names)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(f"{name}: expected true or false, got {_show(value)}")
        return value

    def text(self, *names: str) -> str | None:
        name, value = self.first(*names)
        if value is not None and not isinstance(value, str):
            self.refuse(f"{name}: expected text, got {_show(value)}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        _, value = self.first(name)
        if value is None:
            self._required((name,))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.refuse(f"{name}: expected a number from {low:g} to {high:g}, got {_show(value)}")
        return float(value)

    def words(self, *names: str) -> list[str] | None:
        """A list of words, or None."""
        return self._list(names, str, "words")

    def numbers(self, *names: str) -> list[int] | None:
        """A list of whole numbers, or None."""
        return self._list(names, int, "whole numbers")

    def section(self, *names: str) -> "Config | None":
        """An object inside this one, its keys watched too."""
        name, value = self.first(*names)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(f"{name}: expected an object, got {_show(value)}")
        inner = Config(value, f"{self.where}: {name}")
        self.inner.append(inner)
        return inner

    def sections(self, name: str) -> "list[Config]":
        """A list of objects."""
        _, value = self.first(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(f"{name}: expected a list of objects, got {_show(value)}")
        return [Config(item, f"{self.where}: {name}[{i}]") for i, item in enumerate(value)]

    def per_layer(self, values: "list[T] | None", name: str, layers: int, spare: int = 0) -> "list[T] | None":
        """`values` if they name each layer once; up to `spare` more, of prediction layers, are cut off."""
        if values is None or len(values) == layers:
            return values
        if layers < len(values) <= layers + spare:
            return values[:layers]
        self.refuse(f"{name} names {len(values)} layers, but the model has {layers}")

    def unread_here(self) -> list[str]:
        """Keys that shape a model and were not looked at; what is false, 0 or empty is off."""
        return [key for key, value in self.values.items() if value and key not in self.read and _structural(key)]

    def unread(self) -> list[str]:
        """The same, in the objects inside too."""
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
    """Whether a key that nobody read may change the model."""
    return bool(_STRUCTURAL.search(key)) and not _HARMLESS.fullmatch(key)


def _show(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
