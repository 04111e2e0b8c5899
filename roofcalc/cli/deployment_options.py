"""Options of a deployment: precision, parallel layout, assumptions, host memory, what-ifs."""

from roofcalc.cli.option import Option
from roofcalc.deployment.assumptions import CHOICES


def _choices(name: str) -> str:
    return "|".join(CHOICES[name])


_PRECISION = "Precision"
PRECISION = (
    Option(
        "weights",
        "--weights",
        _PRECISION,
        "fp8, int4, nvfp4, ... (the blocks' linear layers), all=fp8 (every matrix), awq, gptq, w4a16, bnb-4bit, mlx-4bit, q4_k_m, ..., "
        "or by class of tensors: 'mlp=fp8 attention=bf16'.",
        "native: as in the checkpoint",
        metavar="RECIPE",
    ),
    Option("kv", "--kv", _PRECISION, "Dtype of the KV cache.", "auto: the checkpoint's, else its 16-bit type", metavar="DTYPE"),
    Option("compute", "--compute", _PRECISION, "Compute format of GEMMs.", "from the dtypes of weights and activations", metavar="FORMAT"),
    Option("comm_dtype", "--comm-dtype", _PRECISION, "Dtype of all-reduces.", "16-bit", metavar="DTYPE"),
    Option(
        "dispatch_dtype",
        "--dispatch-dtype",
        _PRECISION,
        "Dtype of the MoE dispatch all-to-all.",
        "fp8 where experts compute in fp8 or less, else 16-bit",
        metavar="DTYPE",
    ),
    Option("combine_dtype", "--combine-dtype", _PRECISION, "Dtype of the MoE combine all-to-all.", "16-bit", metavar="DTYPE"),
)

_LAYOUT = "Layout"
LAYOUT = tuple(
    Option(name, f"--{name}", _LAYOUT, help, default, metavar="N")
    for name, help, default in (
        ("tp", "Tensor-parallel degree.", "largest power of two that fits a scale-up domain and divides the heads"),
        ("pp", "Pipeline-parallel degree.", "devices / tp; 1 for MoE or MLA models"),
        ("dp", "Data-parallel degree of attention.", "1; devices / tp for MoE or MLA models"),
        (
            "ep",
            "Expert-parallel degree: 1 shards each expert over tp x dp ranks, tp x dp places whole experts.",
            "tp x dp, if there are as many experts",
        ),
        ("dcp", "Decode context parallelism: tensor-parallel ranks over which otherwise replicated KV entries are sharded.", "1"),
    )
)
SEARCHED_LAYOUT = tuple(option._replace(default="all valid degrees") for option in LAYOUT)

_ASSUMPTIONS = "Assumptions"
ASSUMPTIONS = (
    Option(
        "assume",
        "--assume",
        _ASSUMPTIONS,
        "Assumption preset, or several; the options below override single values.",
        "roofline",
        metavar=_choices("assume"),
    ),
    Option(
        "engine",
        "--engine",
        _ASSUMPTIONS,
        "Inference engine whose memory rules apply, and with typical its overheads and attention kernel: vllm, sglang, tensorrt-llm, "
        "llama.cpp, mlx, or with a release (vllm-0.16); none.",
        "none; typical: the newest vllm, llama.cpp for GGUF weights, mlx on Apple devices",
        metavar="NAME",
    ),
    Option("max_batched_tokens", "--max-batched-tokens", _ASSUMPTIONS, "Tokens of the engine's largest step.", "the engine's", metavar="TOKENS"),
    Option("max_seqs", "--max-seqs", _ASSUMPTIONS, "Sequences of one replica at a time; caps the batch.", "the engine's, no cap", metavar="N"),
    Option(
        "overlap",
        "--overlap",
        _ASSUMPTIONS,
        "Which of compute, memory traffic and communication overlap.",
        "op: per operation; bound: full",
        metavar=_choices("overlap"),
    ),
    Option("network", "--network", _ASSUMPTIONS, "Bandwidth-limited collectives, or free ones (ideal).", "bandwidth", metavar=_choices("network")),
    Option(
        "mbu",
        "--mbu",
        _ASSUMPTIONS,
        "Achieved fraction of memory bandwidth; in typical of operations that it limits.",
        "1; typical: kernel models",
        float,
        "FRACTION",
    ),
    Option(
        "mfu",
        "--mfu",
        _ASSUMPTIONS,
        "Achieved fraction of peak FLOP/s; in typical of operations that it limits.",
        "1; typical: kernel models",
        float,
        "FRACTION",
    ),
    Option("link", "--link", _ASSUMPTIONS, "Achieved fraction of link bandwidth.", "1; typical: kernel models", float, "FRACTION"),
    Option("util", "--util", _ASSUMPTIONS, "Usable fraction of device memory.", "1; with an engine: its default", float, "FRACTION"),
    Option("reserve_gb", "--reserve", _ASSUMPTIONS, "Memory per device kept free, in GB.", "0; typical without an engine: 2 to 6", float, "GB"),
    Option(
        "capacity",
        "--capacity",
        _ASSUMPTIONS,
        "Which memory size to use: nominal by the vendor, visible to the driver, in GiB, the largest of these, or as an engine's runtime reports it.",
        "nominal; bound: largest; with an engine: engine",
        metavar=_choices("capacity"),
    ),
    Option(
        "kv_policy",
        "--kv-policy",
        _ASSUMPTIONS,
        "Sliding-window layers store their window, what the engine stores, or the whole context (full, also reserved); minimal: their "
        "window, and keys that serve as values once.",
        "architectural; bound: minimal; with an engine: engine",
        metavar=_choices("kv_policy"),
    ),
    Option(
        "prefill",
        "--prefill",
        _ASSUMPTIONS,
        "Prompts of other requests: before decode steps on the same devices, in chunks batched with decode steps, or on other devices; "
        "with --isl and --osl.",
        "colocated; typical: chunked",
        metavar=_choices("prefill"),
    ),
    Option(
        "kv_block", "--kv-block", _ASSUMPTIONS, "KV block size: round each sequence up to a multiple of N tokens.", "1; the engine's", metavar="N"
    ),
    Option("imbalance", "--imbalance", _ASSUMPTIONS, "Load of the busiest expert rank relative to the mean.", "1", float, "RATIO"),
    Option(
        "routing",
        "--routing",
        _ASSUMPTIONS,
        "How tokens choose experts: by uniform chance; all the same ones, which no routing can beat (skewed); or by the number or share of "
        "tokens of each expert in FILE.",
        "uniform; bound: skewed",
        metavar="uniform|skewed|measured:FILE",
    ),
    Option("redundant_experts", "--redundant-experts", _ASSUMPTIONS, "Redundant expert copies per layer.", "0", metavar="N"),
    Option("activations", "--activations", _ASSUMPTIONS, "Count the memory traffic of GEMM inputs and outputs.", "off; typical: on", bool),
    Option("no_activations", "--no-activations", _ASSUMPTIONS, "Do not count it, where the preset does.", kind=bool),
    Option("layer_overhead_us", "--layer-overhead-us", _ASSUMPTIONS, "Fixed overhead per layer, in us.", "0; typical: calibrated", float, "US"),
    Option("step_overhead_us", "--step-overhead-us", _ASSUMPTIONS, "Fixed overhead per step, in us.", "0; typical: calibrated", float, "US"),
    Option("collective_latency_us", "--collective-latency-us", _ASSUMPTIONS, "Latency per collective, in us.", "0; typical: calibrated", float, "US"),
    Option(
        "profile",
        "--profile",
        _ASSUMPTIONS,
        "Efficiencies that `roofcalc fit --save-profile` wrote, in place of the preset's; options of their own go before them.",
        metavar="FILE",
    ),
)

_HOST = "Host memory"
HOST = (
    Option(
        "offload",
        "--offload",
        _HOST,
        "What lies in the host's memory: experts=cpu (the CPUs compute them), experts=host (streamed), weights=host:GB per device (streamed); "
        "experts=cpu:20: in the first 20 layers that have experts; kv=host:GB, kv=nvme:GB: caches of earlier requests.",
        metavar="WHAT=WHERE",
    ),
    Option("gpu_layers", "--gpu-layers", _HOST, "Layers on the devices, as llama.cpp counts them; the CPUs compute the rest.", "all", metavar="N"),
    Option(
        "host",
        "--host",
        _HOST,
        "Figures of the host: cpu=NAME, count=2, memory_gb=768, memory_gb_s=920, tflop_s=5, link_gb_s=63, nvme_gb_s=12; the "
        "fractions of these that are reached: mbu, expert_mbu, mfu, stream; numa=on where each socket computes what lies in its own "
        "memory, else off; comma-separated.",
        "the catalog's, where it has them",
        metavar="NAME=VALUE",
    ),
)

WHAT_IF = (
    Option(
        "changes",
        "--set",
        "What-if",
        "Override a catalog value: hardware.memory.bandwidth_gb_s=4000; lists and ranges sweep. Repeatable.",
        metavar="PATH=VALUE",
        many=True,
    ),
)
