"""Dense transformers with grouped-query attention (GQA) and a gated FFN in each layer."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL, SLIDING
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def layers(config: Config, attention: Part, mlp: Part, size: int | None = None, otherwise: list[str] | None = None) -> list[Layer]:
    """Identical layers except for their attention span: by layer_types, else by `otherwise`, else windowed where there is a window."""
    count = parts.depth(config)
    config.ignore("max_window_layers", "no_rope_layers", "no_rope_layer_interval")
    types = parts.layer_types(config, count) or otherwise or [FULL if size is None else SLIDING] * count
    return parts.stack(parts.spans(config, attention, types, size), [("", mlp)] * count)


def llama(config: Config) -> Plan:
    """Llama, Granite, SmolLM3, EXAONE 3: biases on all four projections or none, no QK norm."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return Plan(layers(config, attention, parts.dense(config, bias=config.flag("mlp_bias")), parts.window(config)))


def mistral(config: Config) -> Plan:
    """Mistral: no biases, an optional sliding window."""
    return Plan(layers(config, parts.gqa(config), parts.dense(config), parts.window(config)))


def qwen2(config: Config) -> Plan:
    """Qwen 2: implicit biases on Q, K and V; the first `max_window_layers` layers have full attention."""
    return Plan(layers(config, parts.gqa(config, "qkv"), parts.dense(config), parts.window(config), qwen_spans(config)))


def qwen_spans(config: Config) -> list[str] | None:
    """Attention spans of Qwen: windowed from layer `max_window_layers` on, if a window is enabled."""
    if parts.window(config) is None:
        return None
    count = parts.depth(config)
    first = config.count("max_window_layers", low=0)
    return [SLIDING if i >= first else FULL for i in range(count)]


def qwen3(config: Config) -> Plan:
    """Qwen 3: QK norm per head."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    return Plan(layers(config, attention, parts.dense(config), parts.window(config), qwen_spans(config)))


def mimo(config: Config) -> Plan:
    """MiMo: layers of Qwen 2 and an MTP layer."""
    attention = parts.gqa(config, parts.biased(config, "qkv", default=True))
    model_layers = layers(config, attention, parts.dense(config), parts.window(config), qwen_spans(config))
    return Plan(model_layers, predicts=model_layers[-1], heads=config.count(*parts.MTP, low=0, default=0))


def glm(config: Config) -> Plan:
    """GLM: biases on Q, K and V."""
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkv")), parts.dense(config)))


def glm4(config: Config) -> Plan:
    """GLM 4 0414: GLM with additional norms after attention and FFN."""
    return glm(config)._replace(fields={"norms": 4})


def phi3(config: Config) -> Plan:
    """Phi-3 and Phi-4."""
    parts.expect(config, attention_bias=False, mlp_bias=False, lm_head_bias=False)
    config.ignore("full_attn_mod", "interpolate_factor")
    return Plan(layers(config, parts.gqa(config), parts.dense(config), parts.window(config)))


def olmo2(config: Config) -> Plan:
    """OLMo 2: QK norm over all heads; norms after attention and FFN instead of before."""
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkvo"), "full"), parts.dense(config)))


def ernie(config: Config) -> Plan:
    """ERNIE 4.5 dense."""
    bias = config.flag("use_bias")
    return Plan(layers(config, parts.gqa(config, "qkvo" if bias else "none"), parts.dense(config, bias=bias)))


def hunyuan(config: Config) -> Plan:
    """Hunyuan dense: QK norm per head."""
    parts.expect(config, use_qk_norm=True, use_cla=False)
    return Plan(layers(config, parts.gqa(config, parts.biased(config, "qkvo"), "head"), parts.dense(config)))


def cohere(config: Config) -> Plan:
    """Cohere: parallel attention and FFN behind one norm without bias; Command R+ has QK norms with weights per head."""
    qk_norm = "full" if config.flag("use_qk_norm") else "none"
    attention = parts.gqa(config, parts.biased(config, "qkvo"), qk_norm)
    return Plan(layers(config, attention, parts.dense(config)), {"norms": 1, "parallel": True})


def stablelm(config: Config) -> Plan:
    """StableLM: norms with biases, one in a parallel layer; with qk_layernorm QK norms with weights per head."""
    qk_norm = "full" if config.flag("qk_layernorm") else "none"
    parallel = config.flag("use_parallel_residual")
    attention = parts.gqa(config, parts.biased(config, "qkv", "use_qkv_bias"), qk_norm)
    fields = {"norm_bias": True, **({"norms": 1, "parallel": True} if parallel else {})}
    return Plan(layers(config, attention, parts.dense(config)), fields)


def phi(config: Config) -> Plan:
    """Phi-1 and Phi-2: parallel attention and ungated FFN behind one norm, biases everywhere, on the LM head too."""
    parts.expect(config, qk_layernorm=False)
    mlp = parts.dense(config, plain=True, bias=True)
    return Plan(layers(config, parts.gqa(config, "qkvo"), mlp), {"norms": 1, "norm_bias": True, "parallel": True, "head_bias": True})


def arcee(config: Config) -> Plan:
    """Arcee: Llama with an ungated FFN."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return Plan(layers(config, attention, parts.dense(config, plain=True, bias=config.flag("mlp_bias"))))


def apertus(config: Config) -> Plan:
    """Apertus: QK norm per head, an ungated FFN whose activation has two numbers per layer."""
    parts.expect(config, mlp_bias=False, post_norm=False, qk_norm=True)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    model_layers = layers(config, attention, parts.dense(config, plain=True))
    return Plan(model_layers, remarks=(f"The two numbers of the activation (xIELU) in each layer, {2 * len(model_layers)}, are not counted.",))


def olmo(config: Config) -> Plan:
    """OLMo 1: Llama with norms that have no weights."""
    config.ignore("clip_qkv")
    plan = Plan(layers(config, parts.gqa(config, parts.biased(config, "qkvo")), parts.dense(config)), {"norms": 0})
    return plan._replace(remarks=(f"The final norm has no weights either: the count is {parts.hidden(config)} too high.",))


def seed_oss(config: Config) -> Plan:
    """Seed-OSS: biases on Q, K and V, on the output projection by a flag of its own."""
    parts.expect(config, mlp_bias=False)
    attention = parts.gqa(config, "qkvo" if config.flag("attention_out_bias") else parts.biased(config, "qkv", default=True))
    return Plan(layers(config, attention, parts.dense(config)))


def internlm(config: Config) -> Plan:
    """InternLM 2 and 3: Llama, with flags of its own for biases."""
    bias = "qkvo" if config.flag("bias") else parts.biased(config, "qkv", "qkv_bias")
    return Plan(layers(config, parts.gqa(config, bias), parts.dense(config, bias=config.flag("mlp_bias", default=config.flag("bias")))))


def starcoder2(config: Config) -> Plan:
    """StarCoder2: biases, an ungated FFN."""
    config.ignore("norm_type", "mlp_type")
    bias = config.flag("use_bias", default=True)
    attention = parts.gqa(config, "qkvo" if bias else "none")
    mlp = parts.dense(config, plain=True, bias=bias)
    return Plan(layers(config, attention, mlp, parts.window(config)), {"norm_bias": True})


def nemotron(config: Config) -> Plan:
    """Nemotron 4 and Minitron: ungated FFN, norms with biases."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    mlp = parts.dense(config, plain=True, bias=config.flag("mlp_bias"))
    return Plan(layers(config, attention, mlp), {"norm_bias": True})
