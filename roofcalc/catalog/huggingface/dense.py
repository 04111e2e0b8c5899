"""Dense transformers: grouped-query attention and one gated network in each layer, with their small differences."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL, SLIDING
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def layers(config: Config, attention: Part, mlp: Part, size: int | None = None, otherwise: list[str] | None = None) -> list[Layer]:
    """Every layer alike but for its span: as listed, else as `otherwise` says, else windowed wherever there is a window."""
    count = parts.depth(config)
    config.ignore("max_window_layers", "no_rope_layers", "no_rope_layer_interval")
    types = parts.layer_types(config, count) or otherwise or [FULL if size is None else SLIDING] * count
    return parts.stack(parts.spans(config, attention, types, size), [("", mlp)] * count)


def llama(config: Config) -> Plan:
    """Llama, Granite, SmolLM3, EXAONE 3: all four projections biased together or none, no norm on queries and keys."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return Plan(layers(config, attention, parts.dense(config, bias=config.flag("mlp_bias")), parts.window(config)))


def mistral(config: Config) -> Plan:
    return Plan(layers(config, parts.gqa(config), parts.dense(config), parts.window(config)))


def qwen2(config: Config) -> Plan:
    """Queries, keys and values are biased though no field says so; the first `max_window_layers` stay full."""
    return Plan(layers(config, parts.gqa(config, "qkv"), parts.dense(config), parts.window(config), qwen_spans(config)))


def qwen_spans(config: Config) -> list[str] | None:
    """Where a window is on, it serves from layer `max_window_layers` on."""
    if parts.window(config) is None:
        return None
    count = parts.depth(config)
    first = config.count("max_window_layers", low=0)
    return [SLIDING if i >= first else FULL for i in range(count)]


def qwen3(config: Config) -> Plan:
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    return Plan(layers(config, attention, parts.dense(config), parts.window(config), qwen_spans(config)))


def mimo(config: Config) -> Plan:
    """Qwen 2's layers and a prediction layer."""
    attention = parts.gqa(config, parts.biased(config, "qkv", default=True))
    own = layers(config, attention, parts.dense(config), parts.window(config), qwen_spans(config))
    return Plan(own, predicts=own[-1], heads=config.count(*parts.MTP, low=0, default=0))


def glm(config: Config) -> Plan:
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkv")), parts.dense(config)))


def glm4(config: Config) -> Plan:
    """GLM with norms after each part too."""
    return glm(config)._replace(fields={"norms": 4})


def phi3(config: Config) -> Plan:
    parts.expect(config, attention_bias=False, mlp_bias=False, lm_head_bias=False)
    config.ignore("full_attn_mod", "interpolate_factor")
    return Plan(layers(config, parts.gqa(config), parts.dense(config), parts.window(config)))


def olmo2(config: Config) -> Plan:
    """Norms over all queries and all keys; norms after the parts instead of before."""
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkvo"), "full"), parts.dense(config)))


def ernie(config: Config) -> Plan:
    bias = config.flag("use_bias")
    return Plan(layers(config, parts.gqa(config, "qkvo" if bias else "none"), parts.dense(config, bias=bias)))


def hunyuan(config: Config) -> Plan:
    parts.expect(config, use_qk_norm=True, use_cla=False)
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkvo"), "head"), parts.dense(config)))


def cohere(config: Config) -> Plan:
    """Attention beside the network behind one norm without bias; Command R+ has norms of every head's own."""
    qk_norm = "full" if config.flag("use_qk_norm") else "none"
    attention = parts.gqa(config, parts.biased(config, "qkvo"), qk_norm)
    return Plan(layers(config, attention, parts.dense(config)), {"norms": 1, "parallel": True})


def stablelm(config: Config) -> Plan:
    """Norms with biases; a parallel layer has one. With qk_layernorm every head has norms of its own."""
    qk_norm = "full" if config.flag("qk_layernorm") else "none"
    parallel = config.flag("use_parallel_residual")
    attention = parts.gqa(config, parts.biased(config, "qkv", "use_qkv_bias"), qk_norm)
    fields = {"norm_bias": True, **({"norms": 1, "parallel": True} if parallel else {})}
    return Plan(layers(config, attention, parts.dense(config)), fields)


def starcoder2(config: Config) -> Plan:
    config.ignore("norm_type", "mlp_type")
    bias = config.flag("use_bias", default=True)
    attention = parts.gqa(config, "qkvo" if bias else "none")
    mlp = parts.dense(config, plain=True, bias=bias)
    return Plan(layers(config, attention, mlp, parts.window(config)), {"norm_bias": True})


def nemotron(config: Config) -> Plan:
    """Nemotron 4 and Minitron: a plain network, norms with biases."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    mlp = parts.dense(config, plain=True, bias=config.flag("mlp_bias"))
    return Plan(layers(config, attention, mlp), {"norm_bias": True})
