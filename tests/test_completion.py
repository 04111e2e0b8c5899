"""What a shell offers on the Tab key: commands, models and hardware, through the shell's own protocol."""

import os
import subprocess
import sys

import pytest

from roofcalc.cli import complete


def offered(words: str, at: int) -> set[str]:
    """What bash is told for a line whose word number `at` is being typed."""
    environment = {**os.environ, "_ROOFCALC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    code = "import sys; sys.argv[0] = 'roofcalc'; from roofcalc.__main__ import main; main()"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("words", "at", "some"),
    [
        ("roofcalc ma", 1, {"max-batch"}),
        ("roofcalc max-batch llama-3.1-4", 2, {"llama-3.1-405b"}),
        ("roofcalc max-batch llama-3.1-405b 8xh100-s", 3, {"8xh100-sxm"}),
        ("roofcalc hardware sh", 2, {"show"}),
    ],
)
def test_the_shell_is_offered(words: str, at: int, some: set[str]) -> None:
    found = offered(words, at)
    assert some <= found and all(name.startswith(words.split()[at]) for name in found)


def test_lists_and_counts_are_continued() -> None:
    assert "qwen3-8b,llama-3.1-8b" in complete.models("qwen3-8b,llama-3.1-8")
    assert "h200-sxm,16xmi300x" in complete.hardware("h200-sxm,16xmi300")
    assert complete.models("no-such-model") == []
