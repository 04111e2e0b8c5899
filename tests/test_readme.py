"""The README's commands run, and print what it shows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

README = Path(__file__).parent.parent / "README.md"
CONSOLE = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
SHOWN = [tuple(part.partition("\n")[::2]) for block in CONSOLE for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]


def printed(line: str) -> str:
    """What a shell shows: standard error and output as they come."""
    words = shlex.split(line)
    assert words[0] == "roofcalc"
    run = [sys.executable, "-c", "from roofcalc.__main__ import main; main()", *words[1:]]
    return subprocess.run(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", timeout=60).stdout


@pytest.mark.parametrize(("line", "expected"), SHOWN, ids=[line for line, _ in SHOWN])
def test_console_blocks_show_what_is_printed(line: str, expected: str) -> None:
    assert printed(line).rstrip("\n") == expected.rstrip("\n")


def test_the_readme_shows_the_main_job() -> None:
    assert len(SHOWN) >= 8 and all(expected for _, expected in SHOWN)


def test_python_and_yaml_blocks_work(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        path = tmp_path / f"{yaml.safe_load(block)['name']}.yaml"
        path.write_text(block)
        assert "my-70b on h200-sxm" in printed(f"roofcalc max-batch {path} h200-sxm --weights fp8 --seq 8k")


def test_the_commands_that_set_up() -> None:
    text = README.read_text(encoding="utf-8")
    run = (README.parent / ".ci" / "run").read_text()
    assert len(re.findall(r"^.*-m pytest.*$", text, re.MULTILINE)) == 1 and "-m pytest" in run
    assert text.count("python3 -m venv .venv && .venv/bin/pip install") == 2
