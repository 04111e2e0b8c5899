"""The commands of the README and of the pages in docs run, and print what is shown; links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

README = Path(__file__).parent.parent.parent / "README.md"
PAGES = (README, *sorted((README.parent / "docs").glob("*.md")))
CONSOLE = [block for page in PAGES for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)]
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


def test_every_page_shows_what_is_printed() -> None:
    assert len(PAGES) > 1 and len(SHOWN) >= 8 and all(expected for _, expected in SHOWN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert links and all((page.parent / link.partition("#")[0]).is_file() for link in links)


def test_python_and_yaml_blocks_work(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        path = tmp_path / f"{yaml.safe_load(block)['name']}.yaml"
        path.write_text(block)
        assert "my-70b on h200-sxm" in printed(f"roofcalc max-batch {path} h200-sxm --weights all=fp8 --seq 8k")


def test_the_lines_that_add_a_device_and_a_model(tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").split("\n## Your own models and hardware\n")[1].split("\n## ")[0]
    (model,), (script,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL), re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (saved,) = re.findall(r"`(mine/models/\S+?\.yaml)`", section)
    (tmp_path / saved).parent.mkdir(parents=True)
    (tmp_path / saved).write_text(model)
    shim = tmp_path / "bin" / "roofcalc"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m roofcalc \"$@\"\n")
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(README.parent)}
    run = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr.count("1 file: 0 errors") == 2  # one device, one model
    # 8 x 96 GB less 2 bytes for each of 70.55e9 parameters, over 80 layers x 8 KV heads x 256 x 2 bytes x 8000 tokens
    assert int((768e9 - 2 * 70_553_706_496) / (80 * 8 * 256 * 2 * 8000)) == 239
    assert "my-70b on 8xmy-gpu" in run.stdout and " 239 " in run.stdout


def test_the_commands_that_set_up() -> None:
    text = README.read_text(encoding="utf-8")
    run = (README.parent / ".ci" / "run").read_text()
    assert len(re.findall(r"^.*-m pytest.*$", text, re.MULTILINE)) == 1 and "-m pytest" in run
    assert text.count("python3 -m venv .venv && .venv/bin/pip install") == 2
