"""Functions and defaults by model_type."""

from collections.abc import Callable
from typing import NamedTuple

from roofcalc.catalog.huggingface import (
    classic,
    cross,
    dense,
    gemma,
    latent,
    linear,
    llama4,
    minimax,
    moe,
    nas,
    recurrent,
    shortconv,
    windowed_moe,
    windows,
)
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Plan


class Family(NamedTuple):
    """How configs of a model_type are converted.

    Attributes
    ----------
    read : callable
        Converts a config to layers.
    tied : bool or None
        Default of tie_word_embeddings; None: the config must give it.
    context, vocab : int or None
        Defaults of values that published files omit.
    endless : bool
        No attention, therefore no maximum context.
    """

    read: Callable[[Config], Plan]
    tied: bool | None = None
    context: int | None = None
    vocab: int | None = None
    endless: bool = False


# `tied` is the default of the configuration class in transformers, which saved files omit.
FAMILIES: dict[str, Family] = {
    # dense
    "llama": Family(dense.llama, tied=False),
    "mistral": Family(dense.mistral, tied=False),
    "ministral": Family(dense.mistral, tied=False),
    "ministral3": Family(dense.mistral, tied=False),
    "qwen2": Family(dense.qwen2, tied=False),
    "qwen3": Family(dense.qwen3, tied=False),
    "qwen3_vl_text": Family(dense.qwen3, tied=False),
    "mimo": Family(dense.mimo),
    "glm": Family(dense.glm, tied=False),
    "glm4": Family(dense.glm4, tied=False),
    "phi3": Family(dense.phi3, tied=False),
    "olmo2": Family(dense.olmo2, tied=False),
    "granite": Family(dense.llama, tied=False),
    "smollm3": Family(dense.llama, tied=True),
    "exaone": Family(dense.llama, tied=False),
    "ernie4_5": Family(dense.ernie, tied=True),
    "hunyuan_v1_dense": Family(dense.hunyuan, tied=False),
    "cohere": Family(dense.cohere, tied=True),
    "stablelm": Family(dense.stablelm, tied=False),
    "starcoder2": Family(dense.starcoder2, tied=True),
    "qwen2_vl_text": Family(dense.qwen2, tied=False),
    "qwen2_5_vl_text": Family(dense.qwen2, tied=False),
    "qwen2_5_omni_text": Family(dense.qwen2, tied=False),
    "glm4v_text": Family(dense.glm4, tied=False),
    "phi": Family(dense.phi, tied=False),
    "arcee": Family(dense.arcee, tied=False),
    "seed_oss": Family(dense.seed_oss, tied=False),
    "internlm2": Family(dense.internlm, tied=False),
    "internlm3": Family(dense.internlm, tied=False),
    "baichuan": Family(dense.llama, tied=False),
    "nemotron": Family(dense.nemotron, tied=False),
    "apertus": Family(dense.apertus, tied=False),
    "olmo": Family(dense.olmo, tied=False),
    "mllama_text_model": Family(cross.mllama, tied=False),
    # windows
    "gemma": Family(gemma.gemma, tied=True),
    "gemma2": Family(gemma.gemma2, tied=True),
    "gemma3_text": Family(gemma.gemma3, tied=True, context=131072, vocab=262208),
    "gemma3n_text": Family(gemma.gemma3n, tied=True),
    "gemma4_text": Family(gemma.gemma4, tied=True),
    "gemma4_unified_text": Family(gemma.gemma4, tied=True),
    "granite_swa": Family(windowed_moe.granite_swa, tied=True),
    "gpt_oss": Family(windows.gpt_oss, tied=False),
    "cohere2": Family(windows.cohere2, tied=True),
    "exaone4": Family(windows.exaone4, tied=False),
    "exaone4_5_text": Family(windows.exaone4, tied=False),
    "olmo3": Family(windows.olmo3, tied=False),
    "mimo_v2": Family(windows.mimo_v2, tied=False),
    "mimo_v2_flash": Family(windows.mimo_v2, tied=False),
    "step3_text": Family(windows.step3, tied=False),
    "step3p5": Family(windows.step3p5, tied=False),
    # experts
    "mixtral": Family(moe.mixtral, tied=False),
    "qwen2_moe": Family(moe.qwen2_moe, tied=False),
    "qwen3_moe": Family(moe.qwen3_moe, tied=False),
    "qwen3_vl_moe_text": Family(moe.qwen3_moe),
    "glm4_moe": Family(moe.glm4_moe, tied=False),
    "glm4v_moe_text": Family(moe.glm4_moe, tied=False),
    "dots1": Family(moe.dots1, tied=False),
    "qwen3_omni_moe_text": Family(moe.qwen3_moe, tied=False),
    "granitemoe": Family(moe.granitemoe, tied=False),
    "granitemoeshared": Family(moe.granitemoe, tied=False),
    "olmoe": Family(moe.olmoe, tied=False),
    "phimoe": Family(moe.phimoe, tied=False),
    "ernie4_5_moe": Family(moe.ernie_moe, tied=True),
    "hunyuan": Family(moe.hunyuan_moe),
    "hunyuan_v1_moe": Family(moe.hunyuan_moe, tied=False),
    "bailing_moe": Family(moe.bailing, tied=False),
    "bailing_moe_v2": Family(moe.bailing, tied=False),
    "exaone_moe": Family(moe.exaone_moe, tied=False),
    "hy_v3": Family(moe.hy_v3, tied=False),
    "sarvam_moe": Family(moe.sarvam_moe, tied=False),
    "solar_open": Family(moe.solar_open, tied=False),
    "ernie4_5_vl_moe_text": Family(moe.ernie_vl, tied=True),
    "afmoe": Family(windowed_moe.afmoe, tied=False),
    "laguna": Family(windowed_moe.laguna, tied=False),
    "mellum": Family(windowed_moe.mellum, tied=False),
    "granitemoe_swa": Family(windowed_moe.granitemoe_swa, tied=False),
    "cohere2_moe": Family(windowed_moe.cohere2_moe, tied=True),
    "minimax_m2": Family(minimax.minimax_m2, tied=False),
    "minimax_m3": Family(minimax.minimax_m3, tied=False),
    "minimax_m3_vl_text": Family(minimax.minimax_m3, tied=False),
    "arctic": Family(moe.arctic),
    "grok-1": Family(moe.grok1),
    "dbrx": Family(moe.dbrx, tied=False),
    "llama4_text": Family(llama4.llama4, tied=False),
    # latent attention
    "deepseek_v2": Family(latent.deepseek_v2, tied=False),
    "deepseek_v3": Family(latent.deepseek_v3, tied=False),
    "kimi_k2": Family(latent.deepseek_v3, tied=False),
    "glm4_moe_lite": Family(latent.deepseek_v3, tied=False),
    "deepseek_v32": Family(latent.deepseek_v32, tied=False),
    "glm_moe_dsa": Family(latent.deepseek_v32, tied=False),
    "deepseek_v4": Family(latent.deepseek_v4, tied=False),
    "longcat_flash": Family(latent.longcat, tied=False),
    "mistral4": Family(latent.mistral4, tied=False),
    "sarvam_mla": Family(latent.sarvam_mla, tied=False),
    "minicpm3": Family(latent.dense_mla, tied=True),
    "youtu": Family(latent.dense_mla, tied=True),
    "hy_v4": Family(latent.hy_v4, tied=False),
    # linear attention
    "qwen3_next": Family(linear.qwen3_next, tied=False),
    "qwen3_5_text": Family(linear.qwen3_next, tied=False),
    "qwen3_5_moe_text": Family(linear.qwen3_next, tied=False),
    "minimax": Family(minimax.minimax_text, tied=False),
    "minimax_text_01": Family(minimax.minimax_text),
    "kimi_linear": Family(linear.kimi_linear, tied=False),
    "bailing_hybrid": Family(linear.bailing_hybrid, tied=False),
    # recurrent states
    "mamba": Family(recurrent.pure1, tied=True, endless=True),
    "falcon_mamba": Family(recurrent.pure1, tied=True, endless=True),
    "mamba2": Family(recurrent.pure2, tied=False, endless=True),
    "jamba": Family(recurrent.jamba, tied=False),
    "falcon_h1": Family(recurrent.falcon_h1, tied=False),
    "bamba": Family(recurrent.bamba, tied=False),
    "granitemoehybrid": Family(recurrent.granite_hybrid, tied=False),
    "nemotron_h": Family(recurrent.nemotron_h, tied=False),
    "zamba2": Family(recurrent.zamba2, tied=True),
    # short convolutions
    "lfm2": Family(shortconv.lfm2, tied=True),
    "lfm2_moe": Family(shortconv.lfm2_moe, tied=True),
    # searched architectures
    "nemotron-nas": Family(nas.nemotron_nas),
    # the GPT era
    "gpt2": Family(classic.gpt2, tied=True),
    "gpt_bigcode": Family(classic.gpt2, tied=True),
    "gptj": Family(classic.gptj, tied=False),
    "gpt_neox": Family(classic.gpt_neox, tied=False),
    "opt": Family(classic.opt, tied=True),
    "bloom": Family(classic.bloom, tied=True, context=2048),
    "mpt": Family(classic.mpt, tied=True),
    "falcon": Family(classic.falcon, tied=True, context=2048),
}

# The type of a whole model -> that of its text part, where its object does not name one itself.
WRAPPERS: dict[str, str] = {
    "cohere2_vision": "cohere2",
    "deepseek_vl_v2": "deepseek_v2",
    "ernie4_5_moe_vl": "ernie4_5_vl_moe_text",
    "ernie4_5_vl_moe": "ernie4_5_vl_moe_text",
    "exaone4_5": "exaone4",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "gemma4_unified": "gemma4_unified_text",
    "glm4v": "glm4v_text",
    "glm4v_moe": "glm4v_moe_text",
    "internvl": "qwen2",
    "internvl_chat": "qwen2",
    "interns1": "qwen3_moe",
    "kimi_k25": "kimi_k2",
    "kimi_k3": "kimi_linear",
    "kimi_vl": "deepseek_v3",
    "lfm2_vl": "lfm2",
    "llama4": "llama4_text",
    "llava": "llama",
    "llava_next": "llama",
    "llava_onevision": "qwen2",
    "minimax_m3": "minimax_m3",
    "minimax_m3_vl": "minimax_m3_vl_text",
    "minicpmv4_6": "qwen3_5_text",
    "minicpmv4_7": "qwen3_5_text",
    "mistral3": "mistral",
    "mllama": "mllama_text_model",
    "nemotron_h_omni": "nemotron_h",
    "qwen2_5_omni_thinker": "qwen2_5_omni_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen2_vl": "qwen2_vl_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_omni_moe_thinker": "qwen3_omni_moe_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "step3_vl": "step3_text",
    "step3p7": "step3p5",
}
