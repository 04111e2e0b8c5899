"""Output shown in the README and in docs/*.md: `python -m tools.examples` runs the commands and writes what they print.

In a `console` block every line after `$ ` is a command. A `text` block is the output of the `sh` block before it, a script.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
_SCRIPT = re.compile(r"```sh\n(?P<script>[^`]*)```\n\n```text\n(?P<output>[^`]*)```")
_COMMAND = re.compile(r"^\$ ", re.MULTILINE)


def examples(text: str) -> list[tuple[str, str]]:
    """The commands of a page's console blocks, and the output shown below each."""
    parts = [part for block in _BLOCK.findall(text) for part in _COMMAND.split(block) if part]
    return [(line, output) for line, _, output in (part.partition("\n") for part in parts)]


def printed(line: str) -> str:
    """Standard error and output of a command, in the order of a shell."""
    words = shlex.split(line)
    assert words[0] == "roofcalc"
    run = [sys.executable, "-m", *words]
    result = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", timeout=60)
    return result.stdout.rstrip("\n") + "\n"


def script_output(script: str, folder: Path) -> tuple[int, str]:
    """Exit code of a shell script that calls `roofcalc`, run in an empty folder, and its standard error and output."""
    command = folder / "bin" / "roofcalc"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m roofcalc \"$@\"\n", encoding="utf-8")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", timeout=120
    )
    return result.returncode, result.stdout


def current(text: str) -> str:
    """The page with the present output of its commands and scripts."""

    def block(match: re.Match[str]) -> str:
        lines = [part.partition("\n")[0] for part in _COMMAND.split(match[0]) if part]
        return "".join(f"$ {line}\n{printed(line)}" for line in lines)

    def after_script(match: re.Match[str]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            return match[0].replace(match["output"], script_output(match["script"], Path(folder))[1])

    return _SCRIPT.sub(after_script, _BLOCK.sub(block, text))


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(current(page.read_text(encoding="utf-8")), encoding="utf-8")
