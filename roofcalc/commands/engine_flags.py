"""Flags of engines' command lines: which option of roofcalc each stands for, how its value is read and written, and which have no effect here.

vLLM (`vllm serve`), SGLang (`sglang.launch_server`), TensorRT-LLM (`trtllm-serve`) and llama.cpp (`llama-server`). Of the flags for one
option the first is the one that is written (`roofcalc.commands.serve_line`); these were checked against
github.com/vllm-project/vllm/blob/99d7eb5d6a51/vllm/engine/arg_utils.py (0.11), github.com/sgl-project/sglang/blob/004813e1dd46/docs/
advanced_features/server_arguments.md (0.5), github.com/NVIDIA/TensorRT-LLM/blob/00209af149e7/tensorrt_llm/commands/serve.py (1.2) and
github.com/ggml-org/llama.cpp/blob/00dc8057ab28/tools/server/README.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from roofcalc.errors import RoofcalcError

Value = Callable[[str], Any]


class Flag(NamedTuple):
    """What a flag means here.

    Attributes
    ----------
    option : str
        Name of the option in the API, or one of "model", "seq", "slots", "split", "ep", "dp_attention", "draft",
        "cpu_moe", "n_cpu_moe", "override_tensor", "cpu_offload_gib", "adapters", "adapter_count", "adapter_rank"; empty where it has none.
    value : callable
        Reads the text that follows.
    switch : bool
        No value follows.
    why : str
        For a flag that matters and is not calculated: what it would change.
    written : mapping, optional
        The engine's word for each value of the option that it takes; None: the value itself.
    """

    option: str = ""
    value: Value = str
    switch: bool = False
    why: str = ""
    written: Mapping[str, str] | None = None


def tokens(text: str) -> int | None:
    """A number of tokens: `32768`, `32k` (thousand), `32K` (1024); None for `auto`, -1 and 0."""
    if text.lower() in ("auto", "-1", "0"):
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", text)
    if match is None:
        raise RoofcalcError(f"{text!r}: expected a number of tokens")
    unit = {"": 1, "k": 1000, "K": 1024, "m": 10**6, "M": 2**20, "g": 10**9, "G": 2**30}[match.group(2)]
    return round(float(match.group(1)) * unit)


def step_tokens(text: str) -> int:
    """A number of tokens above 0."""
    found = tokens(text)
    if found is None:
        raise RoofcalcError(f"{text!r}: expected a number of tokens above 0")
    return found


def count(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
        raise RoofcalcError(f"{text!r}: expected a whole number above 0")
    return int(text)


def gpu_layers(text: str) -> int | None:
    """A number of layers above 0; None for all of them."""
    if text.lower() in ("all", "auto", "-1"):
        return None
    if text == "0":
        raise RoofcalcError("0: a model that the CPUs run alone is not calculated; the least is 1, the output layer")
    return count(text)


def gibibytes(text: str) -> float:
    """A number of GiB."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text):
        raise RoofcalcError(f"{text!r}: expected a number of GiB")
    return float(text)


def fraction(text: str) -> float:
    """A number above 0 and up to 1."""
    if not re.fullmatch(r"\d{0,9}\.?\d{1,17}", text) or not 0 < float(text) <= 1:
        raise RoofcalcError(f"{text!r}: expected a fraction above 0 and up to 1")
    return float(text)


_CACHE = {"auto": None, "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "f16": "fp16", "float32": "fp32", "f32": "fp32", "fp4_e2m1": "mxfp4"}


def cache_dtype(text: str) -> str | None:
    """Dtype of the KV cache; None for the checkpoint's own."""
    name = text.lower()
    return "fp8" if name.startswith("fp8") else _CACHE.get(name, name)


_QUANTISATION = {
    **dict.fromkeys(("awq_marlin", "awq"), "awq"),
    **dict.fromkeys(("gptq_marlin", "gptq_marlin_24", "gptq_bitblas", "gptq", "marlin"), "gptq"),
    **dict.fromkeys(("fp8", "fbgemm_fp8", "ptpc_fp8", "w8a8_fp8", "modelopt", "modelopt_fp8"), "fp8"),
    **dict.fromkeys(("modelopt_fp4", "modelopt_mixed", "nvfp4", "petit_nvfp4"), "nvfp4"),
    **dict.fromkeys(("bitsandbytes", "bnb"), "nf4"),
    **dict.fromkeys(("w8a8_int8", "int8"), "w8a8"),
    **dict.fromkeys(("experts_int8", "moe_wna16"), "experts=int8"),
    "mxfp4": "mxfp4",
}


_AS_THE_FILES_SAY = ("auto", "none", "auto-round", "compressed-tensors", "gguf", "inc", "quark", "torchao")


def quantisation(text: str) -> str | None:
    """A weights recipe; None where the checkpoint's own files decide."""
    name = text.lower()
    if name not in _QUANTISATION and name not in _AS_THE_FILES_SAY:
        known = ", ".join(sorted((*_QUANTISATION, *_AS_THE_FILES_SAY)))
        raise RoofcalcError(f"{text!r}: not known here: leave it out, or give --weights; known: {known}")
    return _QUANTISATION.get(name)


def speculation(text: str) -> dict[str, Any]:
    """vLLM's JSON for speculative decoding."""
    try:
        given = json.loads(text)
    except ValueError:
        raise RoofcalcError(f'{text!r}: expected JSON, such as {{"method": "ngram", "num_speculative_tokens": 3}}') from None
    return given if isinstance(given, dict) else {}


_VLLM_CACHE = {"fp8": "fp8", "bf16": "bfloat16"}
_SGLANG_CACHE = {"fp8": "fp8_e4m3", "bf16": "bf16", "mxfp4": "fp4_e2m1"}
_LLAMA_CACHE = {"fp16": "f16", "fp32": "f32", **{name: name for name in ("bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")}}
_AT_START = {"fp8": "fp8"}  # recipes that an engine applies to a 16-bit checkpoint while it loads it
_DRAFTED = "what drafts accept is not in a command line: --draft with --acceptance, and --drafter, --draft-model or --mtp"
_VLLM = {
    **dict.fromkeys(("--model", "--model-tag"), Flag("model")),
    **dict.fromkeys(("--tensor-parallel-size", "-tp"), Flag("tp", count)),
    **dict.fromkeys(("--pipeline-parallel-size", "-pp"), Flag("pp", count)),
    **dict.fromkeys(("--data-parallel-size", "-dp"), Flag("dp", count)),
    **dict.fromkeys(("--decode-context-parallel-size", "-dcp"), Flag("dcp", count)),
    **dict.fromkeys(("--enable-expert-parallel", "-ep"), Flag("ep", switch=True)),
    "--max-model-len": Flag("seq", tokens),
    "--gpu-memory-utilization": Flag("util", fraction),
    "--kv-cache-dtype": Flag("kv", cache_dtype, written=_VLLM_CACHE),
    **dict.fromkeys(("--quantization", "-q"), Flag("weights", quantisation, written={**_AT_START, "nf4": "bitsandbytes"})),
    "--max-num-seqs": Flag("max_seqs", count),
    "--max-num-batched-tokens": Flag("max_batched_tokens", step_tokens),
    "--block-size": Flag("kv_block", count),
    "--speculative-config": Flag("draft", speculation, why=_DRAFTED),
    "--num-speculative-tokens": Flag(why=_DRAFTED),
    "--speculative-model": Flag(why=_DRAFTED),
    "--cpu-offload-gb": Flag("cpu_offload_gib", gibibytes),
    "--kv-cache-memory-bytes": Flag(why="the cache size follows from --util"),
    "--num-gpu-blocks-override": Flag(why="the cache size follows from --util"),
    "--enable-lora": Flag("adapters", switch=True),
    "--max-loras": Flag("adapter_count", count),
    "--max-lora-rank": Flag("adapter_rank", count),
    "--hf-overrides": Flag(why="name a config.json, or give --set model.…"),
    "--rope-scaling": Flag(why="name a config.json, or give --set model.context=…"),
}
_SGLANG = {
    **dict.fromkeys(("--model-path", "--model"), Flag("model")),
    **dict.fromkeys(("--tp", "--tp-size", "--tensor-parallel-size"), Flag("tp", count)),
    **dict.fromkeys(("--pp", "--pp-size", "--pipeline-parallel-size"), Flag("pp", count)),
    **dict.fromkeys(("--dp", "--dp-size", "--data-parallel-size"), Flag("dp", count)),
    **dict.fromkeys(("--ep", "--ep-size", "--expert-parallel-size"), Flag("ep", count)),
    **dict.fromkeys(("--enable-ep-moe", "--enable-deepep-moe"), Flag("ep", switch=True)),
    "--enable-dp-attention": Flag("dp_attention", switch=True),
    "--context-length": Flag("seq", tokens),
    "--mem-fraction-static": Flag("util", fraction),
    "--kv-cache-dtype": Flag("kv", cache_dtype, written=_SGLANG_CACHE),
    "--quantization": Flag("weights", quantisation, written=_AT_START),
    "--max-running-requests": Flag("max_seqs", count),
    "--chunked-prefill-size": Flag("max_batched_tokens", tokens),
    "--page-size": Flag("kv_block", count),
    "--cpu-offload-gb": Flag("cpu_offload_gib", gibibytes),
    "--max-total-tokens": Flag(why="the cache size follows from --util"),
    "--speculative-algorithm": Flag(why=_DRAFTED),
    "--speculative-num-steps": Flag(why=_DRAFTED),
    "--speculative-eagle-topk": Flag(why=_DRAFTED),
    "--speculative-num-draft-tokens": Flag(why=_DRAFTED),
    "--speculative-draft-model-path": Flag(why=_DRAFTED),
    "--enable-lora": Flag("adapters", switch=True),
    "--max-loras-per-batch": Flag("adapter_count", count),
    "--max-lora-rank": Flag("adapter_rank", count),
}
_TRTLLM = {
    **dict.fromkeys(("--model", "--model-path"), Flag("model")),
    **dict.fromkeys(("--tp-size", "--tp", "--tensor-parallel-size"), Flag("tp", count)),
    **dict.fromkeys(("--pp-size", "--pp", "--pipeline-parallel-size"), Flag("pp", count)),
    **dict.fromkeys(("--ep-size", "--ep", "--moe-expert-parallel-size"), Flag("ep", count)),
    "--max-seq-len": Flag("seq", tokens),
    "--max-batch-size": Flag("max_seqs", count),
    "--max-num-tokens": Flag("max_batched_tokens", step_tokens),
    **dict.fromkeys(("--kv-cache-free-gpu-memory-fraction", "--free-gpu-memory-fraction"), Flag("util", fraction)),
    "--kv-cache-dtype": Flag("kv", cache_dtype, written={}),  # the file of --config is documented for it
    "--extra-llm-api-options": Flag(why="the file's options are not read"),
    "--config": Flag(why="the file's options are not read"),
}
_LLAMA = {
    **dict.fromkeys(("--model", "-m"), Flag("model")),
    **dict.fromkeys(("--hf-repo", "-hf", "-hfr"), Flag("model")),
    **dict.fromkeys(("--hf-file", "-hff"), Flag("model")),
    **dict.fromkeys(("--ctx-size", "-c"), Flag("seq", tokens)),
    **dict.fromkeys(("--parallel", "-np"), Flag("slots", tokens)),
    **dict.fromkeys(("--cache-type-k", "-ctk"), Flag("kv", cache_dtype, written=_LLAMA_CACHE)),
    **dict.fromkeys(("--cache-type-v", "-ctv"), Flag("kv_values", cache_dtype, written=_LLAMA_CACHE)),
    **dict.fromkeys(("--split-mode", "-sm"), Flag("split")),
    **dict.fromkeys(("--ubatch-size", "-ub"), Flag("max_batched_tokens", step_tokens)),
    **dict.fromkeys(("--n-gpu-layers", "--gpu-layers", "-ngl"), Flag("gpu_layers", gpu_layers)),
    **dict.fromkeys(("--cpu-moe", "-cmoe"), Flag("cpu_moe", switch=True)),
    **dict.fromkeys(("--n-cpu-moe", "-ncmoe"), Flag("n_cpu_moe", count)),
    **dict.fromkeys(("--override-tensor", "-ot"), Flag("override_tensor")),
    "--numa": Flag(why="the sockets' memory is not read from the flag: give --host numa=on with distribute"),
    **dict.fromkeys(("--no-kv-offload", "-nkvo"), Flag(switch=True, why="the cache in the host's memory is not calculated")),
    **dict.fromkeys(("--model-draft", "-md", "--spec-draft-hf", "-hfd", "--draft-max", "--draft"), Flag(why=_DRAFTED)),
    **dict.fromkeys(("--spec-type", "--spec-draft-n-max"), Flag(why=_DRAFTED)),
    **dict.fromkeys(("--lora",), Flag(why="the rank is in the adapter's file: give --lora rank=16")),
}
TABLES = {"vllm": _VLLM, "sglang": _SGLANG, "tensorrt-llm": _TRTLLM, "llama.cpp": _LLAMA}
TITLES = {"vllm": "vLLM", "sglang": "SGLang", "tensorrt-llm": "TensorRT-LLM", "llama.cpp": "llama.cpp"}

# what the shell calls options of the API, where it is another name; and the nearest option where there is none of its own
_SHELL = {
    "cpu_moe": "--offload experts=cpu",
    "n_cpu_moe": "--offload experts=cpu:N",
    "override_tensor": "--offload experts=cpu or experts=cpu:N",
    "cpu_offload_gib": "--offload weights=host:GB",
    "slots": "--batch",
    "kv_values": "--kv",
    "dp_attention": "--dp",
    "split": "--tp or --pp",
    "draft": "--draft with --acceptance",
    **dict.fromkeys(("adapters", "adapter_count", "adapter_rank"), "--lora rank=16,count=40"),
}


def engine_flag(engine: str, option: str) -> tuple[str, Flag]:
    """How an engine's command line writes an option: the first flag of its table that stands for it.

    Raises
    ------
    KeyError
        The engine has no flag for it.
    """
    for name, flag in TABLES[engine].items():
        if flag.option == option:
            return name.replace("-", "_").replace("__", "--", 1) if engine == "tensorrt-llm" else name, flag
    raise KeyError(option)


def shell_name(option: str) -> str:
    """The option of the command line that a flag's option has."""
    if option == "model":
        return "MODEL, the first argument"
    return _SHELL.get(option, f"--{option.replace('_', '-')}")


def plain(flag: str) -> str:
    """A flag with hyphens, without its value: TensorRT-LLM takes underscores too."""
    name = flag.partition("=")[0]
    return name.replace("_", "-") if name.startswith("--") else name


def hint(name: str) -> str | None:
    """What an engine's flag is called here, for whoever gives it to a command of ours; None for other words."""
    wanted = plain(name)
    for engine, table in TABLES.items():
        flag = table.get(wanted)
        if flag is None:
            continue
        ours = shell_name(flag.option) if flag.option else ""
        here = f"here {ours}" if ours else f"not calculated here: {flag.why}" if flag.why else "without effect here"
        return f"{wanted} is a flag of {TITLES[engine]}; {here} (`roofcalc from 'COMMAND LINE' HARDWARE` takes a whole start)"
    return None
