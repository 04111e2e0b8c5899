"""What a shell offers on the Tab key: commands, models and hardware, through the shell's own protocol."""

import os
import re
import subprocess
import sys

import pytest

from roofcalc.cli import complete


def offered(words: str, shell: str = "bash") -> set[str]:
    """What a shell is told for a line whose last word is being typed."""
    asked = {
        "bash": {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": words},
        "fish": {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    environment = {**os.environ, "_ROOFCALC_COMPLETE": f"complete_{shell}", **asked[shell]}
    code = "import sys; sys.argv[0] = 'roofcalc'; from roofcalc.__main__ import main; main()"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return set(re.findall(r'[^\s"()\']+', run.stdout))


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("roofcalc ma", {"max-batch"}),
        ("roofcalc max-batch llama-3.1-4", {"llama-3.1-405b"}),
        ("roofcalc max-batch llama-3.1-405b 8xh100-s", {"8xh100-sxm"}),
        ("roofcalc frontier llama-3.1-4", {"llama-3.1-405b"}),
        ("roofcalc plan llama-3.1-8b h100-sxm h200-", {"h200-sxm"}),
        ("roofcalc plan llama-3.1-8b h100-sxm --least u", {"usd"}),
        ("roofcalc max-batch llama-3.1-8b h100-sxm --draft-model llama-3.1-4", {"llama-3.1-405b"}),
        ("roofcalc hardware sh", {"show"}),
    ],
)
def test_the_shell_is_offered(words: str, some: set[str]) -> None:
    found = offered(words)
    assert some <= found and all(name.startswith(words.split()[-1]) for name in found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_offered_commands_and_names(shell: str) -> None:
    assert "frontier" in offered("roofcalc fr", shell)
    assert "8xh100-sxm" in offered("roofcalc plan llama-3.1-8b 8xh100-s", shell)


def test_lists_and_counts_are_continued() -> None:
    assert "qwen3-8b,llama-3.1-8b" in complete.models("qwen3-8b,llama-3.1-8")
    assert "h200-sxm,16xmi300x" in complete.hardware("h200-sxm,16xmi300")
    assert complete.models("no-such-model") == []
