"""The command line that serves an answer with an engine (`--for`): the inverse of `roofcalc.commands.engine_start`.

The flags are those of `roofcalc.commands.engine_flags`; what an engine cannot do is a note. `from` reads the line again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.catalog import checkpoints, lookup
from roofcalc.commands.engine_flags import TITLES, engine_flag
from roofcalc.commands.serve import Target
from roofcalc.deployment import engines
from roofcalc.deployment.deployment import Deployment, cache_dtype
from roofcalc.deployment.engines import GIB
from roofcalc.deployment.parallelism import expert_counts
from roofcalc.errors import RoofcalcError
from roofcalc.specs.record import replace
from roofcalc.specs.weight_recipes import NATIVE, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NVIDIA = "NVIDIA"
_STARTS = {
    "vllm": "vllm serve {model}",
    "sglang": "python3 -m sglang.launch_server --model-path {model}",
    "tensorrt-llm": "trtllm-serve {model}",
    "llama.cpp": "llama-server {model}",
}
_CACHE = "-v ~/.cache/huggingface:/models -e HF_HOME=/models -e HF_TOKEN"
# an image's entrypoint starts the server, or the words that follow do; each listens on all addresses
_IMAGES = {  # docs.vllm.ai/en/stable/deployment/docker.html, docs.sglang.io/get_started/install.html, ghcr.io/ggml-org/llama.cpp
    "vllm": f"docker run --gpus {{gpus}} --ipc=host -p 8000:8000 {_CACHE} vllm/vllm-openai:latest --model {{model}}",
    "sglang": f"docker run --gpus {{gpus}} --shm-size 32g --ipc=host -p 30000:30000 {_CACHE} lmsysorg/sglang:latest "
    "python3 -m sglang.launch_server --model-path {model} --host 0.0.0.0 --port 30000",
    "tensorrt-llm": f"docker run --gpus {{gpus}} --ipc=host -p 8000:8000 {_CACHE} nvcr.io/nvidia/tensorrt-llm/release:1.2.1 "
    "trtllm-serve {model} --host 0.0.0.0",
    "llama.cpp": "docker run --gpus {gpus} -p 8080:8080 -v ~/.cache/llama.cpp:/models -e LLAMA_CACHE=/models ghcr.io/ggml-org/llama.cpp:server-cuda "
    "{model} --host 0.0.0.0 --port 8080",
}
_FORMATS = {"llama.cpp": ("gguf",)}
_SAFETENSORS = ("safetensors", "awq", "gptq")
EAGLE_HEAD = "EAGLE-HEAD"  # stands for a head trained for the model, whose address is not known here
_VLLM_METHODS = {"model": "draft_model", "mtp": "mtp", "eagle": "eagle3"}
_SGLANG_ALGORITHMS = {"model": "STANDALONE", "mtp": "EAGLE", "eagle": "EAGLE3"}
_PLAIN = ("bf16", "fp16", "fp32")
_TUNED = ("-instruct", "-it", "-chat")


class ServeLines(NamedTuple):
    """The lines of one deployment; `chunk` is the largest prefill step that was asked for, if any."""

    target: Target
    deployment: Deployment
    chunk: float | None = None

    def of(self, length: NDArray[Any], batch: NDArray[Any]) -> NDArray[Any]:
        """A line for each row; None where nothing is served.

        Parameters
        ----------
        length : array
            Tokens of the longest sequence.
        batch : array
            Sequences in flight over the deployment.
        """
        engine, deployment = self.target.engine, self.deployment
        start, flags = self._start(), " ".join(filter(None, _words(engine, deployment, self.chunk)))
        ranks = 1 if _shares_a_scheduler(engine, deployment) else deployment.layout.dp
        seqs = np.ceil(np.asarray(batch, dtype=float) / ranks)
        lines = [
            " ".join(part for part in (start, flags, *_of_row(engine, int(tokens), int(each))) if part) if each >= 1 else None
            for tokens, each in zip(np.broadcast_to(length, seqs.shape).tolist(), np.nan_to_num(seqs).tolist(), strict=True)
        ]
        return np.array(lines, dtype=object)

    def _start(self) -> str:
        engine, deployment = self.target.engine, self.deployment
        starts = _IMAGES if self.target.docker else _STARTS
        return starts[engine].format(model=_model(engine, deployment)[0], gpus=_per_node(deployment))

    def notes(self) -> Iterator[str]:
        """What the line does not say, and what the engine cannot do."""
        engine, deployment = self.target.engine, self.deployment
        yield from _model(engine, deployment)[1]
        yield from _limits(engine, deployment)
        vendor = deployment.hardware.device.vendor
        if vendor != _NVIDIA and engine == "tensorrt-llm":
            yield f"{TITLES[engine]} runs on devices of {_NVIDIA} alone, not on {deployment.hardware.device.name}"
        elif vendor != _NVIDIA and self.target.docker:
            yield f"the image is for devices of {_NVIDIA}; {deployment.hardware.device.name} needs one of its vendor"
        if deployment.hardware.count > _per_node(deployment):
            yield f"{deployment.hardware.name}: several nodes; start the engine on each as its guide for several nodes says"
        rules = deployment.rules.name if deployment.rules else engines.NONE
        if rules != engine and engines.split(rules)[0] != engine:
            yield f"calculated without the memory rules of {TITLES[engine]}, which may hold less (--engine {engine})"


def _per_node(deployment: Deployment) -> int:
    """Devices of a deployment in one box."""
    hardware = deployment.hardware
    box = hardware.system.count if hardware.system else max(hardware.domain, 1)
    return min(hardware.count, max(box, 1))


def _shares_a_scheduler(engine: str, deployment: Deployment) -> bool:
    """Whether an engine counts sequences over all data ranks: SGLang's data-parallel attention divides them."""
    return engine == "llama.cpp" or (engine == "sglang" and bool(expert_counts(deployment.model)))


def _recipe(deployment: Deployment) -> str:
    """The recipe of the weights; NATIVE too where it is the checkpoint's own dtype by name."""
    native = replace(deployment, weights=NATIVE)
    return NATIVE if deployment.weights in (NATIVE, native.weights_label) else deployment.weights


def _model(engine: str, deployment: Deployment) -> tuple[str, list[str]]:
    """The checkpoint as the engine takes it, and notes on it."""
    model, recipe, gguf = deployment.model, _recipe(deployment), engine == "llama.cpp"
    row = checkpoints.published(model.name, deployment.weights_label if gguf else recipe, _FORMATS.get(engine, _SAFETENSORS))
    if row is not None and _leads_back(f"{row.repo_id}:{row.kind}" if gguf else row.repo_id, deployment):
        return (f"-hf {row.repo_id}:{row.kind}" if gguf else row.repo_id), []
    if gguf:
        kind = deployment.weights_label
        file = f"{model.name}.gguf" if kind == NATIVE else f"{model.name}-{kind.upper()}.gguf".replace(" ", "-")
        known = kind == NATIVE or parse(kind).gguf or kind in _PLAIN
        why = "no published one is known here" if known else f"GGUF files have no weights {kind}"
        return f"-m {shlex.quote(file)}", [f"{file} stands for a file of these weights; {why}"]
    names = [alias for alias in model.aliases if "/" in alias]
    tuned = [name for name in names if name.split("/")[0] == names[0].split("/")[0] and name.lower().endswith(_TUNED)]
    base = (tuned or names or [model.name])[0]
    if recipe == NATIVE or _written(engine, "weights", recipe) is not None:
        return base, [] if names else [f"{base} stands for the checkpoint, whose address is not known here"]
    own = shlex.quote(f"{model.name}-{recipe.replace(' ', '-')}")
    unknown = f"no published one is known here, and {TITLES[engine]} does not make it at its start"
    return own, [f"{own} stands for a checkpoint with weights {recipe}; {unknown}"]


def _leads_back(repository: str, deployment: Deployment) -> bool:
    """Whether the name means the same model and weights here."""
    try:
        found = lookup.find("models", repository)
    except RoofcalcError:
        return False
    return found.name == deployment.model.name and (lookup.weights(repository) or NATIVE) in (_recipe(deployment), deployment.weights_label)


def _written(engine: str, option: str, value: str) -> str | None:
    """The flag that sets an option to a value, as words; None where the engine has none."""
    try:
        name, flag = engine_flag(engine, option)
    except KeyError:
        return None
    if flag.written is None:
        return f"{name} {value}"
    return f"{name} {flag.written[value]}" if value in flag.written else None


def _words(engine: str, deployment: Deployment, chunk: float | None) -> Iterator[str]:
    """The flags that all rows of a deployment share."""
    assumed, layout = deployment.assumptions, deployment.layout
    yield from _layout_words(engine, deployment)
    recipe = _recipe(deployment)
    if recipe != NATIVE and _model(engine, deployment)[0] in deployment.model.aliases:
        yield _written(engine, "weights", recipe) or ""
    if deployment.kv != cache_dtype(deployment.model, None):
        for option in ("kv", "kv_values") if engine == "llama.cpp" else ("kv",):
            if written := _written(engine, option, deployment.kv.name):
                yield written
    rules = deployment.rules
    if rules is None or rules.name.startswith(engine):
        util = assumed.util if assumed.util is not None or rules is None else rules.util
        if util is not None and (rules is not None or util < 1):
            yield _written(engine, "util", f"{util:g}") or ""
        if deployment.kv_block not in ((1,) if rules is None else (rules.block, rules.latent_block)):
            yield _written(engine, "kv_block", str(deployment.kv_block)) or ""
    step = assumed.max_batched_tokens or chunk
    if step:
        yield _written(engine, "max_batched_tokens", f"{step:.0f}") or ""
    yield from _offload_words(engine, deployment)
    yield from _adapter_words(engine, deployment)
    if deployment.draft and layout.pp == 1:
        yield from _draft_words(engine, deployment)


def _adapter_words(engine: str, deployment: Deployment) -> Iterator[str]:
    """Adapters, where the engine has flags for their number and rank."""
    if (lora := deployment.lora) and (switch := _written(engine, "adapters", "")):
        yield switch.strip()
        yield _written(engine, "adapter_count", str(lora.count)) or ""
        yield _written(engine, "adapter_rank", str(lora.rank)) or ""


def _layout_words(engine: str, deployment: Deployment) -> Iterator[str]:
    layout, experts = deployment.layout, bool(expert_counts(deployment.model))
    if engine == "llama.cpp":
        if layout.tp > 1:
            yield f"{engine_flag(engine, 'split')[0]} tensor"
        return
    degrees = {"tp": layout.tp, "pp": layout.pp, "dp": layout.dp, "dcp": layout.dcp}
    if engine in ("sglang", "tensorrt-llm") and experts:  # attention ranks share the tensor group of the experts
        degrees["tp"] *= layout.dp
    for name, degree in degrees.items():
        if degree > 1 and (written := _written(engine, name, str(degree))):
            yield written
    if engine == "sglang" and layout.dp > 1 and experts:
        yield engine_flag(engine, "dp_attention")[0]
    if layout.ep > 1:
        name, flag = engine_flag(engine, "ep")
        yield name if flag.switch else f"{name} {layout.ep}"


def _offload_words(engine: str, deployment: Deployment) -> Iterator[str]:
    """What stays in the host's memory; `_limits` names what an engine has no flag for."""
    offload = deployment.offload
    if offload is None:
        return
    if offload.weights_gb and engine in ("vllm", "sglang"):
        yield f"{engine_flag(engine, 'cpu_offload_gib')[0]} {offload.weights_gb * 1e9 / GIB:g}"
    if engine == "llama.cpp" and offload.experts == "cpu":
        layers = offload.expert_layers
        yield engine_flag(engine, "cpu_moe")[0] if layers is None else f"{engine_flag(engine, 'n_cpu_moe')[0]} {layers}"
    if engine == "llama.cpp" and offload.gpu_layers is not None:
        yield f"{engine_flag(engine, 'gpu_layers')[0]} {offload.gpu_layers}"


def _draft_words(engine: str, deployment: Deployment) -> Iterator[str]:
    """Speculative decoding: a smaller model, the model's own layers, an EAGLE head, or n-grams of the prompt."""
    draft = deployment.draft
    assert draft is not None
    count, by = draft.tokens, draft.drafter
    name = EAGLE_HEAD if by == "eagle" else None
    if by == "model" and draft.deployment is not None:
        name = _model("vllm" if engine == "llama.cpp" else engine, draft.deployment)[0]
    if engine == "vllm":
        config: dict[str, Any] = {"method": _VLLM_METHODS.get(by, "ngram"), "num_speculative_tokens": count}
        config |= {"model": name} if name else {} if by == "mtp" else {"prompt_lookup_max": 4}
        yield f"{engine_flag(engine, 'draft')[0]} {shlex.quote(json.dumps(config))}"
    elif engine == "sglang" and by not in _SGLANG_ALGORITHMS:
        yield f"--speculative-algorithm NGRAM --speculative-num-draft-tokens {count}"
    elif engine == "sglang":
        yield f"--speculative-algorithm {_SGLANG_ALGORITHMS[by]}"
        yield f"--speculative-num-steps {count} --speculative-eagle-topk 1 --speculative-num-draft-tokens {count + 1}"
        yield f"--speculative-draft-model-path {name}" if name else ""
    elif engine == "llama.cpp" and by == "mtp":
        yield f"--spec-type draft-mtp --spec-draft-n-max {count}"
    elif engine == "llama.cpp" and by == "model" and draft.deployment is not None:
        file = _model(engine, draft.deployment)[0]
        yield f"{file.replace('-hf ', '--spec-draft-hf ').replace('-m ', '--model-draft ')} --spec-draft-n-max {count}"


def _of_row(engine: str, length: int, seqs: int) -> Iterator[str]:
    """The flags that follow from a row: its longest sequence, and sequences at once."""
    if engine == "llama.cpp":  # slots share one context
        yield f"{engine_flag(engine, 'seq')[0]} {length * seqs} {engine_flag(engine, 'slots')[0]} {seqs}"
        return
    yield f"{engine_flag(engine, 'seq')[0]} {length} {engine_flag(engine, 'max_seqs')[0]} {seqs}"


def _limits(engine: str, deployment: Deployment) -> Iterator[str]:
    """What the engine cannot do, or not by flags."""
    layout, title = deployment.layout, TITLES[engine]
    kv = deployment.kv.name
    if layout.dcp > 1 and engine != "vllm":
        yield f"{title} has no decode context parallelism: dcp {layout.dcp} is left out, and less fits"
    if engine == "llama.cpp":
        lacking = [name for name in ("dp", "ep") if getattr(layout, name) > 1]
        if lacking or (layout.tp > 1 and layout.pp > 1):
            yield f"{title} splits by layers or by matrices, not both, and has no data or expert parallelism: it runs another layout than the row's"
    if engine == "tensorrt-llm" and layout.dp > 1 and not expert_counts(deployment.model):
        yield f"{title}: a start is one replica; start it {layout.dp} times for the {layout.dp} data-parallel ranks"
    elif engine == "tensorrt-llm" and layout.dp > 1:
        yield f"{title}: data-parallel attention is no flag; `enable_attention_dp: true` in the file of --config"
    if deployment.kv != cache_dtype(deployment.model, None) and _written(engine, "kv", kv) is None:
        how = f"`kv_cache_config: {{dtype: {kv}}}` in the file of --config" if engine == "tensorrt-llm" else "its cache stays in 16 bit"
        yield f"{title} has no flag for a {kv} cache: {how}"
    if deployment.offload is not None and not any(_offload_words(engine, deployment)):
        yield f"{title}: --offload {deployment.offload.label or ''} has no flag and is left out"
    if engine == "tensorrt-llm" and deployment.draft:
        yield f"{title}: speculative decoding is no flag; `speculative_config` in the file of --config"
    if engine == "llama.cpp" and deployment.draft and deployment.draft.drafter not in ("model", "mtp"):
        yield f"{title}: drafts by {deployment.draft.drafter} have flags of their own (--spec-type), which are left out"
    elif engine != "tensorrt-llm" and deployment.draft and deployment.draft.drafter == "eagle":
        yield f"{EAGLE_HEAD} stands for a head that was trained for the model"
    if deployment.weights_label.startswith("all="):
        yield f"{title} keeps embedding and LM head in 16 bit: without all= is what it runs"
    if deployment.assumptions.util == 1.0 and engine != "llama.cpp" and deployment.rules is None:
        yield f"all memory counts in the row; the line leaves {title} its own fraction"
