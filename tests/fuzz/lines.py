"""Whole command lines: every command's own arguments and options, with fitting and odd values."""

from typing import Any

from hypothesis import strategies as st

from roofcalc.cli.app import app
from tests.fuzz.odd import NUMBERS, RANGES, TEXTS

MODELS = ("llama-3.1-8b", "gemma-3-1b", "deepseek-v3", "qwen3-30b-a3b", "falcon-h1-34b", "mamba2-2.7b", "llama-3.1-8b,gemma-3-1b")
HARDWARE = ("h100-sxm", "8xh100-sxm", "2xl40s", "gb200-nvl72", "tpu-v5p", "b200-sxm", "h100-sxm,l40s")
FITTING: dict[str, tuple[str, ...]] = {
    "model": MODELS,
    "hardware": HARDWARE,
    "seq": ("1k", "1k,2k", "7661", "1k:4k:x2"),
    "batch": ("1", "1,8", "1:8:x2"),
    "query": ("140:775", "1k:1k"),
    "weights": ("fp8", "bf16", "int4", "native"),
    "kv": ("fp8", "bf16"),
    "changes": ("hardware.memory.bandwidth_gb_s=2000:4000:1000", "model.context=4096"),
    "variant": ("window=1024:5of6", "kv_heads=1,kv=fp8", "mla=512", "linear=lightning:7of8"),
    "prefix": ("1k", "0,1k"),
    "suffix": ("1k",),
    "acceptance": ("0.7", "0", "1"),
    "draft": ("1", "4"),
    "draft_model": ("gemma-3-1b",),
    "verifier": ("gemma-3-1b",),
    "accuracy": ("0.6",),
    "format": ("csv", "json", "md", "table", "text"),
    "output": ("out.csv", "out.md", "new.yaml", "-", ".", "nowhere/x.csv", "/dev/full", "/dev/null", "", "a" * 300),
    "path": ("config.json", ".", "nowhere"),
    "file": ("checks.yaml", "points.csv", "mix.txt", ".", "nowhere"),
    "given": ("points.csv", "llama-3.1-8b", "mix.txt"),
    "mix": ("mix.txt", "points.csv", ".", "nowhere"),
    "point": ("seq=7661,batch=72,interactivity=30", "isl=1k,osl=500,batch=8,interactivity=50", "seq=1k"),
    "devices": ("1", "8", "1,2,4", "2:8:x2", "64"),
    "spare": ("0", "1", "8"),
    "least": ("devices", "usd"),
    "layouts": ("usual", "all"),
    "max_latency": ("5", "0.1"),
    "serve": ("vllm", "sglang", "trtllm-serve", "llama-server", "docker-vllm"),
    "isl": ("1k", "1k,4k"),
    "osl": ("200",),
    "requests_per_second": ("1", "20", "0.01"),
    "files": ("mine.yaml", ".", "nowhere.yaml"),
    "tp": ("1", "2", "1,2"),
    "ep": ("1", "8"),
}
NEEDED = {"vote": ("--prefix", "1k", "--suffix", "1k"), "cost": ("--query", "1k:500")}
_SIMPLE = ("0.5", "1", "2", "8", "1k", "0.9")


def commands() -> dict[tuple[str, ...], list[Any]]:
    """Every command's words and its parameters."""
    import typer

    found: dict[tuple[str, ...], list[Any]] = {}

    def visit(command: Any, words: tuple[str, ...]) -> None:
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                visit(command.get_command(None, name), (*words, name))
        else:
            found[words] = list(command.params)

    visit(typer.main.get_command(app), ())
    return found


@st.composite
def _value(draw: st.DrawFn, name: str, odd: bool) -> str:
    """Mostly one that fits; else, where it may be odd, a number, a range or a word that may not."""
    how = draw(st.integers(0, 9)) if odd else 0
    if how < 6:
        return draw(st.sampled_from(FITTING.get(name, _SIMPLE)))
    if how < 8:
        return draw(st.sampled_from((*NUMBERS, *RANGES)))
    if how < 9 or name in ("output", "path", "files"):  # a file that is written, or a place that is looked through, is chosen with care
        return draw(st.sampled_from(FITTING["output"] if name == "output" else FITTING["files"] if name in ("path", "files") else TEXTS))
    return draw(st.text(max_size=12))


@st.composite
def command_lines(draw: st.DrawFn, every: dict[tuple[str, ...], list[Any]]) -> list[str]:
    """A command with its arguments, and up to five of its options; one line in three has no odd value."""
    odd = draw(st.integers(0, 2)) > 0
    words = draw(st.sampled_from(sorted(every)))
    arguments = [one for one in every[words] if one.param_type_name == "argument"]
    options = [one for one in every[words] if one.param_type_name == "option"]
    line = [draw(_value(one.name, odd)) for one in arguments if one.required or draw(st.booleans())]
    line += NEEDED.get(words[0], ())
    if any(one.name == "seq" for one in options):
        line += ["--seq", "1k"]  # else the default contexts: more work, the same code
    for _ in range(draw(st.integers(0, 5))):
        option = draw(st.sampled_from(options))
        line += [draw(st.sampled_from(option.opts))] + ([] if option.is_flag else [draw(_value(option.name, odd))])
    how = draw(st.integers(0, 19))
    if how == 0:
        line.insert(draw(st.integers(0, len(line))), draw(st.sampled_from(TEXTS)))
    elif how == 1 and line:
        line.pop(draw(st.integers(0, len(line) - 1)))
    elif how == 2:
        line = line[::-1]
    return [*words, *line]
