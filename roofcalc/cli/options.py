"""Every option, declared once, under the heading where `--help` shows it."""

import inspect
from typing import Annotated, Any, NamedTuple

import typer

from roofcalc.assumptions import CHOICES


class Option(NamedTuple):
    """An option or argument: the name that the API gives it, and what the shell calls it."""

    name: str
    heading: str
    parameter: inspect.Parameter


def _option(name: str, heading: str, flags: str, help: str, kind: Any = str, metavar: str | None = None, many: bool = False) -> Option:
    shown = None if kind is bool else metavar
    info = typer.Option(*flags.split("|"), help=help, metavar=shown, rich_help_panel=heading, show_default=False)
    hint = list[kind] | None if many else bool if kind is bool else kind | None
    default = False if kind is bool else None
    return Option(name, heading, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, info]))


def _argument(name: str, help: str, required: bool = True) -> Option:
    info = typer.Argument(help=help, metavar=name.upper(), show_default=False)
    default = inspect.Parameter.empty if required else None
    hint: Any = str if required else str | None
    return Option(name, "", inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, info]))


def _one_of(name: str) -> str:
    return "|".join(CHOICES[name])


MODEL = _argument("model", "Catalog names, aliases, YAML files, config.json files or their folders; several with commas between.")
HARDWARE = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm); several with commas between.")

WORKLOAD = "Workload"
SEQ = _option(
    "seq",
    WORKLOAD,
    "--seq",
    "Contexts in tokens: 7661, 775,7661, 4k, 4Ki, 1k:64k:x2, 1k:8k:1k. [1k:128k:x2 up to the model's context]",
    metavar="TOKENS",
)
INTERACTIVITY = _option("interactivity", WORKLOAD, "--interactivity", "Least tok/s for each user. [30]", metavar="TOK/S")
BATCH = _option("batch", WORKLOAD, "--batch", "Sequences in flight over the whole system. [1]", metavar="N")
BATCHES = _option("batch", WORKLOAD, "--batch", "Sequences in flight over the whole system. [1:256:x2]", metavar="N")

PRECISION = (
    _option(
        "weights",
        "Precision",
        "--weights",
        "Dtype of every weight matrix: bf16, fp8, int4-g128, nvfp4, q4_k_m … [native: the checkpoint's]",
        metavar="DTYPE",
    ),
    _option("kv", "Precision", "--kv", "Dtype of the KV cache. [the checkpoint's 16-bit type]", metavar="DTYPE"),
    _option("compute", "Precision", "--compute", "Format of linear operations. [what weights and activations ask for]", metavar="FORMAT"),
    _option("comm_dtype", "Precision", "--comm-dtype", "Dtype of all-reduces. [16-bit]", metavar="DTYPE"),
)
LAYOUT = (
    _option("tp", "Layout", "--tp", "Tensor parallel degree. [largest power of two that fits a domain and divides the heads]", metavar="N"),
    _option("pp", "Layout", "--pp", "Pipeline stages. [what tp leaves over]", metavar="N"),
    _option("dp", "Layout", "--dp", "Data parallel replicas. [1]", metavar="N"),
)
ASSUMPTIONS = (
    _option("assume", "Assumptions", "--assume", "Preset; each of the following overrides its part. [roofline]", metavar=_one_of("assume")),
    _option(
        "overlap",
        "Assumptions",
        "--overlap",
        "What runs at the same time. [op: each operation on its own roof; bound: full]",
        metavar=_one_of("overlap"),
    ),
    _option("network", "Assumptions", "--network", "Messages take their bytes' time, or none. [bandwidth]", metavar=_one_of("network")),
    _option("mbu", "Assumptions", "--mbu", "Achieved fraction of memory bandwidth. [1]", float, "FRACTION"),
    _option("mfu", "Assumptions", "--mfu", "Achieved fraction of peak FLOP/s. [1]", float, "FRACTION"),
    _option("link", "Assumptions", "--link", "Achieved fraction of link bandwidth. [1]", float, "FRACTION"),
    _option("util", "Assumptions", "--util", "Fraction of memory that may be used. [1]", float, "FRACTION"),
    _option("reserve_gb", "Assumptions", "--reserve", "GB per device kept free. [0]", float, "GB"),
    _option("capacity", "Assumptions", "--capacity", "Reading of the memory size. [nominal; bound: largest]", metavar=_one_of("capacity")),
    _option(
        "kv_policy",
        "Assumptions",
        "--kv-policy",
        "Windowed layers hold their window, or the whole context. [architectural]",
        metavar=_one_of("kv_policy"),
    ),
    _option("kv_block", "Assumptions", "--kv-block", "Round the context up to a multiple of N tokens for capacity. [1]", metavar="N"),
)
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
    _option("columns", "Output", "--columns", "Only these columns, in this order.", metavar="A,B"),
    _option("require", "Output", "--require", "Exit 3 unless every row satisfies it: 'max_batch>=64'. Repeatable.", metavar="CONDITION", many=True),
    _option("quiet", "Output", "--quiet|-q", "No notes.", bool),
)
OUTPUT_NAMES = tuple(option.name for option in OUTPUT)
