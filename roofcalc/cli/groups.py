"""Commands with subcommands: `hardware`, `models`, `plot` and `explain`."""

from collections.abc import Callable
from typing import NamedTuple

from roofcalc.cli import options as o
from roofcalc.cli.commands import CATALOG, COMMANDS, PRESENTATION, CommandSpec


class GroupSpec(NamedTuple):
    """A group: its heading in `roofcalc --help`, what it is, and the subcommands, built when the group is invoked."""

    panel: str
    summary: str
    commands: Callable[[], dict[str, CommandSpec]]


def _hardware() -> dict[str, CommandSpec]:
    return {
        "list": CommandSpec(
            CATALOG,
            "List devices and systems.",
            "roofcalc.commands.catalog_list.hardware:hardware_list",
            o.HARDWARE_FILTERS,
            "List the devices and systems of the catalogs, optionally filtered.",
            (
                "roofcalc hardware list",
                "roofcalc hardware list --vendor nvidia --kind device --dtype fp8 --min-memory-gb 80 --sort bandwidth",
                "roofcalc hardware list --systems",
            ),
        ),
        "show": CommandSpec(
            CATALOG,
            "Show peaks, memory, links, ridge points and sources.",
            "roofcalc.cli.adapters:hardware_show",
            (o.HARDWARE_NAMES, o.YAML),
            "Show peaks, bandwidth, memory sizes, links, ridge points and sources of one entry, or of several side by side.",
            ("roofcalc hardware show h100-sxm", "roofcalc hardware show 8xh100-sxm 8xmi300x -f csv", "roofcalc hardware show h100-sxm --yaml"),
        ),
        "check": CommandSpec(
            CATALOG,
            "Check catalog files, built-in or your own.",
            "roofcalc.commands.catalog_lint:lint_hardware",
            (o.FILES,),
            "Check schema, units, plausibility, names and sources of catalog files. Exit code 2 if there is an error. An entry's "
            "`unusual: {field: reason}` accepts a figure that is correct although implausible.",
            ("roofcalc hardware check", "roofcalc hardware check -f csv --columns file,problem"),
            failed="roofcalc.commands.catalog_lint:failed",
        ),
    }


def _models() -> dict[str, CommandSpec]:
    return {
        "list": CommandSpec(
            CATALOG,
            "List models.",
            "roofcalc.commands.catalog_list.models:models_list",
            o.MODEL_FILTERS,
            "List the models of the catalogs, optionally filtered.",
            ("roofcalc models list", "roofcalc models list --kind dense --sort params"),
        ),
        "show": CommandSpec(
            CATALOG,
            "Show layers, parameter counts, KV bytes per token and sources.",
            "roofcalc.cli.adapters:models_show",
            (o.MODEL_NAMES, o.YAML),
            "Show layers, counted and published parameters, KV cache bytes per token and sources of one model, or of several side by side.",
            ("roofcalc models show llama-3.1-405b", "roofcalc models show qwen3-8b qwen3-32b -f json", "roofcalc models show llama-3.3-70b --yaml"),
        ),
        "check": CommandSpec(
            CATALOG,
            "Check catalog files, built-in or your own.",
            "roofcalc.commands.catalog_lint:lint_models",
            (o.FILES,),
            "Check schema, counted against published parameters, names and sources of catalog files. Exit code 2 if there is an error.",
            ("roofcalc models check", "roofcalc models check -f csv --columns file,problem"),
            failed="roofcalc.commands.catalog_lint:failed",
        ),
        "import": CommandSpec(
            CATALOG,
            "Convert a Hugging Face config.json to a catalog file.",
            "roofcalc.cli.adapters:models_import",
            (o.CONFIG, o.MODEL_NAME),
            "Convert a Hugging Face config.json to a catalog file, complete except for its sources.",
            ("roofcalc models import Llama-3.1-8B/config.json", "roofcalc models import Llama-3.1-8B -o my-llama.yaml"),
            result="yaml",
        ),
    }


def _plots() -> dict[str, CommandSpec]:
    from roofcalc.report.plots.kinds import KINDS

    return {
        name: COMMANDS[name]._replace(
            summary=kind.title,
            help=f"{kind.title} The results of `roofcalc {name}` as a chart.",
            examples=(f"roofcalc plot {name} {kind.example} -o {name}.svg",),
            result="plot",
            options=(*COMMANDS[name].options, *((o.MEASURED_POINTS,) if name == "frontier" else ())),
        )
        for name, kind in KINDS.items()
        if name in COMMANDS
    }


_EXPLAINED = {
    "max-batch": (
        "Largest batch, by memory and by speed.",
        "roofcalc explain max-batch llama-3.1-405b 8xh100-sxm --weights fp8 --seq 7661 --interactivity 30",
    ),
    "interactivity": ("Step time, operation by operation.", "roofcalc explain interactivity deepseek-v3 8xh200-sxm --seq 16k --batch 64"),
    "memory": ("Memory of one device.", "roofcalc explain memory gemma-3-27b h100-sxm --seq 128k -f md"),
    "prefill": ("Time to first token.", "roofcalc explain prefill deepseek-v3 8xh200-sxm --seq 10k --cached 100k"),
}
_EXPLAIN_OPTIONS = {
    "max-batch": (o.SEQ, o.INTERACTIVITY, *o.GENERATION, o.CHUNK, o.ARRIVALS, *o.CACHING),
    "interactivity": (o.SEQ, o.BATCHES, *o.GENERATION, o.CHUNK, o.ARRIVALS, *o.CACHING),
    "memory": (o.SEQ, o.BATCH, o.SHARED_PREFIX),
    "prefill": (o.NEW_TOKENS, o.CACHED, o.BATCH, *o.CACHING),
}


def _explanations() -> dict[str, CommandSpec]:
    return {
        name: CommandSpec(
            PRESENTATION,
            summary,
            "roofcalc.commands.explain:explain",
            (o.MODEL, o.HARDWARE, *_EXPLAIN_OPTIONS[name], *o.TENANTS, *o.PRECISION, *o.LAYOUT, *o.ASSUMPTIONS, *o.HOST, *o.WHAT_IF),
            f"Every formula behind `roofcalc {name}`, with the numbers of this request filled in.",
            (example,),
            result="text",
            arguments=(name,),
        )
        for name, (summary, example) in _EXPLAINED.items()
    }


GROUPS: dict[str, GroupSpec] = {
    "explain": GroupSpec(PRESENTATION, "Show every formula with numbers filled in.", _explanations),
    "plot": GroupSpec(PRESENTATION, "Plot a command's results (SVG, PNG, PDF).", _plots),
    "hardware": GroupSpec(CATALOG, "Catalog of devices and systems: list, show, check.", _hardware),
    "models": GroupSpec(CATALOG, "Catalog of models: list, show, check, import.", _models),
}
