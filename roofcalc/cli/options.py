"""Every option, declared once, under the heading where `--help` shows it."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from roofcalc.deployment.assumptions import CHOICES


class Option(NamedTuple):
    """An option or argument: the name that the API gives it, and what the shell calls it.

    What the command line's library needs to know of it is made when a command that has it is built.
    """

    name: str
    heading: str
    annotation: Callable[[], Any]
    default: Any = None

    @property
    def parameter(self) -> inspect.Parameter:
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=self.default, annotation=self.annotation())


def _option(name: str, heading: str, flags: str, help: str, kind: Any = str, metavar: str | None = None, many: bool = False) -> Option:
    def annotation() -> Any:
        shown = None if kind is bool else metavar
        offered = _COMPLETE["model"] if metavar == "MODEL" else _complete_words(metavar) if "|" in (metavar or "") else None
        info = typer.Option(*flags.split("|"), help=help, metavar=shown, rich_help_panel=heading, show_default=False, autocompletion=offered)
        hint = list[kind] | None if many else bool if kind is bool else kind | None
        return Annotated[hint, info]

    return Option(name, heading, annotation, False if kind is bool else None)


def _complete(kind: str) -> Callable[[str], list[str]]:
    """What the shell offers for a name; the catalog is imported only when it asks."""

    def offered(incomplete: str) -> list[str]:
        from roofcalc.cli import complete

        found: list[str] = getattr(complete, kind)(incomplete)
        return found

    return offered


def _complete_words(metavar: str | None) -> Callable[[str], list[str]]:
    """The words that an option takes, as its help shows them."""

    def offered(incomplete: str) -> list[str]:
        return [word for word in (metavar or "").split("|") if word.startswith(incomplete)]

    return offered


_COMPLETE = {"model": _complete("models"), "hardware": _complete("hardware")}


def _argument(name: str, help: str, required: bool = True, many: bool = False) -> Option:
    def annotation() -> Any:
        info = typer.Argument(help=help, metavar=name.upper(), show_default=False, autocompletion=_COMPLETE.get(name))
        one: Any = list[str] if many else str
        hint: Any = one if required else one | None
        return Annotated[hint, info]

    return Option(name, "", annotation, inspect.Parameter.empty if required else None)


def _one_of(name: str) -> str:
    return "|".join(CHOICES[name])


MODEL = _argument("model", "Catalog names, aliases, YAML files, config.json files or their folders; several with commas between.")
HARDWARE = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm); several with commas between.")
LINE = _argument("line", "The command line that starts an engine, in quotes: 'vllm serve MODEL --tensor-parallel-size 4'.")
OPTIONAL_HARDWARE = _argument("hardware", "[N x]device, systems or YAML files; may be left out.", required=False)

WORKLOAD = "Workload"
SEQ = _option(
    "seq",
    WORKLOAD,
    "--seq",
    "Contexts in tokens: 7661, 775,7661, 4k, 4Ki, 1k:64k:x2, 1k:8k:1k. [1k:128k:x2 up to the model's context]",
    metavar="TOKENS",
)
NEW = _option(
    "seq",
    WORKLOAD,
    "--seq",
    "New tokens of each sequence: 7661, 775,7661, 4k, 4Ki, 1k:64k:x2, 1k:8k:1k. [1k:128k:x2 up to the model's context]",
    metavar="TOKENS",
)
INTERACTIVITY = _option("interactivity", WORKLOAD, "--interactivity", "Least tok/s for each user; 0: no limit. [30]", metavar="TOK/S")
BATCH = _option("batch", WORKLOAD, "--batch", "Sequences in flight over the whole system. [1]", metavar="N")
BATCHES = _option("batch", WORKLOAD, "--batch", "Sequences in flight over the whole system. [1:256:x2]", metavar="N")
SOME_BATCHES = _option("batch", WORKLOAD, "--batch", "Constant batches of memory and speed. [1,8,64]", metavar="N")
VARIANT = _option(
    "variant",
    WORKLOAD,
    "--variant",
    "window=1024:5of6, chunk=8192:3of4, kv_heads=1, mla=512, top_k=2048, linear=lightning:7of8, shared:1of2, kv=fp8; several with commas.",
    metavar="CHANGE",
    many=True,
)
PHASE = _option("phase", WORKLOAD, "--phase", "A decode step, or a prefill. [decode]", metavar="decode|prefill")
PER_LAYER = _option("per_layer", WORKLOAD, "--per-layer", "One row per layer instead of equal layers together.", bool)
LAW = _option("law", WORKLOAD, "--law", "Scaling laws of the loss. [both]", metavar="hoffmann|besiroglu")
TRAIN_FLOP_RATIO = _option(
    "train_flop_ratio", WORKLOAD, "--train-flop-ratio", "Training FLOPs over the compute-optimal ones: 100, 1:1k:x10. [100]", metavar="RATIO"
)
PARAMS_RATIO = _option("params_ratio", WORKLOAD, "--params-ratio", "Parameters over the compute-optimal ones instead: 0.125.", metavar="FRACTION")
PARAMS = _option("params", WORKLOAD, "--params", "Parameters of the compute-optimal model: gives the break-even.", metavar="N")
OPTIMAL_TOKENS = _option("pretrain_tokens", WORKLOAD, "--pretrain-tokens", "Its training tokens. [the law's optimum]", metavar="TOKENS")

TTFT = _option("ttft", WORKLOAD, "--ttft", "Time to first token, in place of --interactivity.", metavar="SECONDS")
GENERATION = (
    _option("isl", WORKLOAD, "--isl", "Input tokens of whole generations, in place of --seq.", metavar="TOKENS"),
    _option("osl", WORKLOAD, "--osl", "Output tokens of whole generations.", metavar="TOKENS"),
    _option("kv_at", WORKLOAD, "--kv-at", "Where in a generation memory must hold its cache. [end]", metavar="end|mean"),
)
KV_AT = GENERATION[2]
CONTEXT = _option("seq", WORKLOAD, "--seq", "Contexts in tokens, each a question of its own. [8k]", metavar="TOKENS")
LADDER = _option(
    "batch",
    WORKLOAD,
    "--batch",
    "Sequences in flight over the whole system. [1, 2, 3, 4, 6, 8, 12, ... for each rank, and the most that fit]",
    metavar="N",
)
MAX_TTFT = _option("ttft", WORKLOAD, "--ttft", "Longest time to the first token.", metavar="SECONDS")
LOAD = (
    _option("mix", WORKLOAD, "--mix", "Requests of several kinds in place of --isl and --osl: lines of `isl:osl weight`.", metavar="FILE"),
    _option("requests_per_second", WORKLOAD, "--requests-per-second", "Load of the whole system, in place of --batch.", metavar="RATE"),
)
CHUNK = _option("chunk", WORKLOAD, "--chunk", "Largest prefill step. [the whole prompt]", metavar="TOKENS")
CACHED = _option("cached", WORKLOAD, "--cached", "Tokens of each sequence whose cache is there already. [0]", metavar="TOKENS")
SPECULATION = (
    _option("draft", WORKLOAD, "--draft", "Tokens drafted per step. [with --mtp: the model's heads]", metavar="TOKENS"),
    _option("acceptance", WORKLOAD, "--acceptance", "Rate at which each draft is accepted; never assumed.", float, "RATE"),
    _option("draft_model", WORKLOAD, "--draft-model", "A smaller model that drafts. [none: drafts cost nothing]", metavar="MODEL"),
    _option("mtp", WORKLOAD, "--mtp", "The model's own multi-token-prediction layer drafts.", bool),
)

QUERY = _option(
    "query", WORKLOAD, "--query", "Tokens of a query: 140:7661. Repeatable; costs are relative to the first.", metavar="PROMPT:OUTPUT", many=True
)
STREAMS = _option("streams", WORKLOAD, "--streams", "Answers to one query. [1,5]", metavar="N")
PREFIX = _option("prefix", WORKLOAD, "--prefix", "Tokens that the streams of a query share.", metavar="TOKENS")
SUFFIX = _option("suffix", WORKLOAD, "--suffix", "Tokens of each stream's own.", metavar="TOKENS")
ACCURACY = _option("accuracy", WORKLOAD, "--accuracy", "Chance that one answer is right.", metavar="CHANCE")
VERIFIER = _option("verifier", WORKLOAD, "--verifier", "A model that reads every answer, on machines of its own of the same kind.", metavar="MODEL")
RECALL = _option("recall", WORKLOAD, "--recall", "Chance that the verifier accepts a right answer. [1]", metavar="CHANCE")
FALSE_POSITIVE = _option("false_positive", WORKLOAD, "--false-positive", "Chance that it accepts a wrong one. [0]", metavar="CHANCE")
ROLLOUTS = (
    _option("problems", WORKLOAD, "--problems", "Different prompts. [10M]", metavar="N"),
    _option("rollouts", WORKLOAD, "--rollouts", "Trajectories of each problem. [3000]", metavar="N"),
    _option("tokens", WORKLOAD, "--tokens", "Of each trajectory's own. [8000]", metavar="TOKENS"),
    _option("prefix", WORKLOAD, "--prefix", "Tokens that the rollouts of a problem share. [0]", metavar="TOKENS"),
    _option("kept", WORKLOAD, "--kept", "Share of what was generated that is trained on. [1]", metavar="FRACTION"),
    _option("verifier_passes", WORKLOAD, "--verifier-passes", "Passes of the model itself over all that was generated. [1]", metavar="N"),
    _option("reward_model", WORKLOAD, "--reward-model", "A model that reads all that was generated. [none]", metavar="MODEL"),
    _option("forwards_per_backward", WORKLOAD, "--forwards-per-backward", "Forward passes in training for each backward pass. [1]", metavar="N"),
    _option("pretrain_tokens", WORKLOAD, "--pretrain-tokens", "Tokens of pre-training to compare with. [15.6e12, Llama 3's]", metavar="TOKENS"),
)
FASTER = _option("interactivity", WORKLOAD, "--interactivity", "Least tok/s for each rollout. [none: as many as fit]", metavar="TOK/S")
TOKENS = _option("tokens", WORKLOAD, "--tokens", "Of a generation. [1k:100k:x10]", metavar="TOKENS")
ERROR_RATE = _option("error_rate", WORKLOAD, "--error-rate", "Silent errors per device-hour. [2.8e-7, of Llama 3's training]", metavar="RATE")
FAILURE_RATE = _option("failure_rate", WORKLOAD, "--failure-rate", "Failures per device-hour. [1.9e-5, of Llama 3's training]", metavar="RATE")
VOTES = _option("streams", WORKLOAD, "--streams", "Generations of one vote. [5]", metavar="N")
MONEY = "Money"
USD_PER_HOUR = _option("usd_per_hour", MONEY, "--usd-per-hour", "Of one device. [the newest on-demand price of the table]", metavar="USD")
API = _option("api", MONEY, "--api", "APIs whose price stands beside: one, or one per query.", metavar="o1-preview|o1-mini|gpt-4o|gpt-4o-mini")
PRICE_IN = _option("price_in", MONEY, "--price-in", "An API's price per million input tokens, or one per query.", metavar="USD")
PRICE_OUT = _option("price_out", MONEY, "--price-out", "Per million output tokens, or one per query.", metavar="USD")

PRECISION = (
    _option(
        "weights",
        "Precision",
        "--weights",
        "fp8, int4, nvfp4 … (the blocks' linear layers), all=fp8 (every matrix), awq, gptq, w4a16, bnb-4bit, mlx-4bit, q4_k_m …, or classes: "
        "'mlp=fp8 attention=bf16' [native: the checkpoint's]",
        metavar="RECIPE",
    ),
    _option("kv", "Precision", "--kv", "Dtype of the KV cache. [auto: the checkpoint's, else its 16-bit type]", metavar="DTYPE"),
    _option("compute", "Precision", "--compute", "Format of linear operations. [what weights and activations ask for]", metavar="FORMAT"),
    _option("comm_dtype", "Precision", "--comm-dtype", "Dtype of all-reduces. [16-bit]", metavar="DTYPE"),
    _option(
        "dispatch_dtype",
        "Precision",
        "--dispatch-dtype",
        "Dtype of tokens sent to experts. [fp8 where experts compute in fp8 or narrower, else 16-bit]",
        metavar="DTYPE",
    ),
    _option("combine_dtype", "Precision", "--combine-dtype", "Dtype of tokens back from experts. [16-bit]", metavar="DTYPE"),
)
_DEGREES = {
    "tp": ("Tensor parallel degree.", "largest power of two that fits a domain and divides the heads"),
    "pp": ("Pipeline stages.", "what tp leaves over; 1 with experts or a latent cache"),
    "dp": ("Data parallel ranks.", "1; with experts or a latent cache what tp leaves over"),
    "ep": (
        "Expert parallel degree: 1 splits each expert over tp x dp ranks, tp x dp spreads them whole.",
        "tp x dp, where there are as many experts",
    ),
    "dcp": ("Tensor ranks that share the cache entries which each would hold.", "1"),
}
LAYOUT = tuple(_option(name, "Layout", f"--{name}", f"{what} [{usual}]", metavar="N") for name, (what, usual) in _DEGREES.items())
ASSUMPTIONS = (
    _option(
        "assume",
        "Assumptions",
        "--assume",
        "Preset, or several with commas between; each of the following overrides its part. [roofline]",
        metavar=_one_of("assume"),
    ),
    _option("engine", "Assumptions", "--engine", "In typical: the engine whose exposed time and kernels are meant. [all together]", metavar="NAME"),
    _option(
        "overlap",
        "Assumptions",
        "--overlap",
        "What runs at the same time. [op: each operation on its own roof; bound: full]",
        metavar=_one_of("overlap"),
    ),
    _option("network", "Assumptions", "--network", "Messages take their bytes' time, or none. [bandwidth]", metavar=_one_of("network")),
    _option("mbu", "Assumptions", "--mbu", "Achieved fraction of memory bandwidth. [1; typical: as measured]", float, "FRACTION"),
    _option("mfu", "Assumptions", "--mfu", "Achieved fraction of peak FLOP/s. [1; typical: as measured]", float, "FRACTION"),
    _option("link", "Assumptions", "--link", "Achieved fraction of link bandwidth. [1; typical: as measured]", float, "FRACTION"),
    _option("util", "Assumptions", "--util", "Fraction of memory that may be used. [1]", float, "FRACTION"),
    _option("reserve_gb", "Assumptions", "--reserve", "GB per device kept free. [0; typical: 2 to 6]", float, "GB"),
    _option(
        "capacity",
        "Assumptions",
        "--capacity",
        "Reading of the memory size. [nominal; bound: largest; typical: visible]",
        metavar=_one_of("capacity"),
    ),
    _option(
        "kv_policy",
        "Assumptions",
        "--kv-policy",
        "Windowed layers hold their window, or the whole context. [architectural]",
        metavar=_one_of("kv_policy"),
    ),
    _option("kv_block", "Assumptions", "--kv-block", "Round the context up to a multiple of N tokens for capacity. [1]", metavar="N"),
    _option("imbalance", "Assumptions", "--imbalance", "Load of the busiest expert rank over the mean. [1]", float, "RATIO"),
    _option("redundant_experts", "Assumptions", "--redundant-experts", "Copies of experts held beside those of each layer. [0]", metavar="N"),
    _option("activations", "Assumptions", "--activations", "Products by weights also move their inputs and outputs. [off; typical: on]", bool),
    _option("layer_overhead_us", "Assumptions", "--layer-overhead-us", "Exposed time of each layer. [0; typical: as calibrated]", float, "US"),
    _option("step_overhead_us", "Assumptions", "--step-overhead-us", "Exposed time of each step. [0; typical: as calibrated]", float, "US"),
)
SEARCH = "Search"
SIZES = _option("devices", SEARCH, "--devices", "Sizes of the system to look among: 8, 1:64:1. [the hardware as named]", metavar="N")
DISAGGREGATED = _option("disaggregated", SEARCH, "--disaggregated", "One pool reads prompts, another decodes; for --isl and --osl.", bool)
EVERY_POINT = _option("all", SEARCH, "--all", "Every point that fits, not only those that no other beats.", bool)
MACHINES = _argument(
    "hardware", "Devices, of which any number may be taken, or machines (8xh100-sxm, systems), taken whole; one or several.", many=True
)
SEARCHED_LAYOUT = tuple(_option(name, "Layout", f"--{name}", f"{what} [every legal one]", metavar="N") for name, (what, _) in _DEGREES.items())
LEAST = _option("least", SEARCH, "--least", "By what machines are ordered, the best first. [devices]", metavar="devices|usd")
HAD = _option("devices", SEARCH, "--devices", "Numbers of devices that can be had: 64, 8:64:8. [any]", metavar="N")
SPARE = _option("spare", SEARCH, "--spare", "Devices that may be lost, each with its replica. [0]", metavar="N")
WHAT_IF = (
    _option(
        "changes",
        "What-if",
        "--set",
        "Override a figure: hardware.memory.bandwidth_gb_s=4000; a range sweeps. Repeatable.",
        metavar="PATH=VALUE",
        many=True,
    ),
)
OUTPUT = (
    _option("format", "Output", "--format|-f", "How to print. [table, or what --output's name says]", metavar="table|csv|json|md"),
    _option("output", "Output", "--output|-o", "Write to a file: whole or not at all; - is standard output.", metavar="FILE"),
    _option("columns", "Output", "--columns", "Only these columns, in this order: their names, or the words of the header.", metavar="A,B"),
    _option("unit", "Output", "--unit", "Memory in tables: GB is 10^9 bytes, GiB 2^30; csv and json keep GB. [gb]", metavar="gb|gib"),
    _option("require", "Output", "--require", "Exit 3 unless every row satisfies it: 'max_batch>=64'. Repeatable.", metavar="CONDITION", many=True),
    _option("quiet", "Output", "--quiet|-q", "No notes.", bool),
)
OUTPUT_NAMES = tuple(option.name for option in OUTPUT)
TEXT_FORMAT = _option("format", "Output", "--format|-f", "How to print. [text, or what --output's name says]", metavar="text|md")
PICTURE = _option("output", "Output", "--output|-o", "Where to: .svg, .png or .pdf, whole or not at all; - prints SVG.", metavar="FILE")
PAGE = _option("output", "Output", "--output|-o", "Write the page to a file: whole or not at all; - is standard output.", metavar="FILE.html")

CHECK_FILE = _argument("file", "A YAML file of checks.")
JUNIT = _option("junit", "Output", "--junit", "Write the results as JUnit XML besides: whole or not at all.", metavar="FILE")

CATALOG = "Catalog"
MODEL_NAMES = _argument("model", "Catalog names, aliases or YAML files, one or several.", many=True)
HARDWARE_NAMES = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm), one or several.", many=True)
FILES = _argument("files", "YAML files, or directories of them. [the built-in catalogs and those of ROOFCALC_PATH]", required=False, many=True)
FAMILY = _option("family", CATALOG, "--family", "Only these families, as the entries name them; several with commas between.", metavar="A,B")
SORT = _option("sort", CATALOG, "--sort", "By this column; numbers from the largest down.", metavar="COLUMN")
YAML = _option("yaml", CATALOG, "--yaml", "One entry as a whole file, ready to copy and edit.", bool)
SEARCHED = _argument("search", "Words of a name, alias, title, family or maker.", required=False)
HARDWARE_FILTERS = (
    SEARCHED,
    _option("vendor", CATALOG, "--vendor", "Only by these makers, of the system or of its devices.", metavar="A,B"),
    FAMILY,
    _option("kind", CATALOG, "--kind", "Only devices, or only systems.", metavar="device|system"),
    _option("dtype", CATALOG, "--dtype", "Only with peaks in all these formats.", metavar="FORMAT"),
    _option("min_memory_gb", CATALOG, "--min-memory-gb", "Least nominal memory of all devices of an entry.", metavar="GB"),
    _option("systems", CATALOG, "--systems", "Systems only, with their hosts: CPU packages and memory for each device.", bool),
    SORT,
)
MODEL_FILTERS = (
    SEARCHED,
    FAMILY,
    _option("publisher", CATALOG, "--publisher|--vendor", "Only by these publishers; several with commas between.", metavar="A,B"),
    _option("kind", CATALOG, "--kind", "Only of these kinds.", metavar="dense|moe|hybrid|recurrent"),
    SORT,
)

EVIDENCE = "Evidence"
POINTS_FILE = _argument("file", "A CSV of measured points.")
SUMMARY = _option("summary", EVIDENCE, "--summary", "By hardware, kind of model and source instead of point by point.", bool)

FIT_NAMES = _argument("given", "A CSV of measured points; or a model and hardware, with --point.", many=True)
FIT = (
    _option(
        "point", EVIDENCE, "--point", "seq=7661,batch=72,interactivity=30, or isl and osl in place of seq. Repeatable.", metavar="FIGURES", many=True
    ),
    _option("fix", EVIDENCE, "--fix", "Parameters that stay: mbu=0.8,layer_us=20. Repeatable.", metavar="NAME=VALUE", many=True),
    _option("by", EVIDENCE, "--by", "One fit for each of these in a file. [one for all points]", metavar="hardware|model|kind|source"),
    _option("residuals", EVIDENCE, "--residuals", "The points beside the fit instead of what was fitted.", bool),
)
