"""The commands of the README and of the pages in docs run, and print what is shown; links lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml

from tools.examples import PAGES, ROOT, examples, printed, script_output

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
SHOWN = [example for text in TEXTS.values() for example in examples(text)]


@pytest.mark.parametrize(("line", "expected"), SHOWN, ids=[line for line, _ in SHOWN])
def test_console_blocks_show_what_is_printed(line: str, expected: str) -> None:
    assert printed(line).rstrip("\n") == expected.rstrip("\n")


def test_every_page_shows_what_is_printed() -> None:
    assert len(PAGES) > 10 and len(SHOWN) >= 20 and all(expected for _, expected in SHOWN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page.name]) if "://" not in link]
    assert links and all((page.parent / link.partition("#")[0]).is_file() for link in links)


def test_every_page_is_linked_from_the_readme() -> None:
    assert {page.name for page in PAGES if page.parent.name == "docs"} == set(re.findall(r"\]\(docs/([^)#\s]+)\)", README))


def test_the_readme_is_short_and_counts_the_catalogs() -> None:
    assert len(README.splitlines()) <= 200
    models, hardware = (len(list((ROOT / kind).rglob("*.yaml"))) for kind in ("models", "hardware"))
    assert f"{models} models and {hardware} devices and systems" in " ".join(README.split())


def test_the_errors_of_typical_are_those_of_its_file() -> None:
    """Runs, median and 90th percentile of whole sources left out in docs/evidence.md, and the runs in the README, as calibration wrote them."""
    file = yaml.safe_load((ROOT / "roofcalc" / "deployment" / "typical.yaml").read_text(encoding="utf-8"))
    runs, _, median, p90, *_ = file["errors"]["*"]
    page, readme = (" ".join(TEXTS[name].split()) for name in ("evidence.md", "README.md"))
    (row,) = re.findall(r"\| all \| ([\d,]+) \|.*?\|.*?\|.*?\| (\d+) %, (\d+) % \|", page)
    assert row == (f"{runs:,}", f"{100 * median:.0f}", f"{100 * p90:.0f}")
    assert f"constants fitted to {runs} runs" in readme


def test_python_and_yaml_blocks_work(tmp_path: Path) -> None:
    code = [block for text in TEXTS.values() for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
    entries = [block for text in TEXTS.values() for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    models = [block for block in entries if "name" in yaml.safe_load(block)]
    assert code and models
    for block in code:
        exec(block, {})
    (vision,) = [block for block in entries if block not in models]  # a part of a model's file
    seeing = tmp_path / "seeing.yaml"
    seeing.write_text(models[0].replace("my-70b", "seeing") + vision)
    assert "seeing on h200-sxm" in printed(f"roofcalc prefill {seeing} h200-sxm --weights all=fp8 --seq 1k --images 1@1024x1024")
    for block in models:
        path = tmp_path / f"{yaml.safe_load(block)['name']}.yaml"
        path.write_text(block)
        assert "my-70b on h200-sxm" in printed(f"roofcalc max-batch {path} h200-sxm --weights all=fp8 --seq 8k")


def test_the_lines_that_add_a_device_and_a_model(tmp_path: Path) -> None:
    page = TEXTS["your-own-models-and-hardware.md"]
    (model, *_), (script,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL), re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (saved,) = re.findall(r"`(mine/models/\S+?\.yaml)`", page)
    (tmp_path / saved).parent.mkdir(parents=True)
    (tmp_path / saved).write_text(model)
    code, shown = script_output(f"set -e\n{script}", tmp_path)
    assert code == 0, shown
    assert shown.count("1 file: 0 errors") == 2  # one device, one model
    # 8 x 96 GB less 2 bytes for each of 70.55e9 parameters, over 80 layers x 8 KV heads x 256 x 2 bytes x 8000 tokens
    assert int((768e9 - 2 * 70_553_706_496) / (80 * 8 * 256 * 2 * 8000)) == 239
    assert "my-70b on 8xmy-gpu" in shown and " 239 " in shown


def test_the_commands_that_set_up() -> None:
    run = (ROOT / ".ci" / "run").read_text()
    assert len(re.findall(r"^.*-m pytest.*$", README, re.MULTILINE)) == 1 and "-m pytest" in run
    assert README.count("python3 -m venv .venv && .venv/bin/pip install") == 2
