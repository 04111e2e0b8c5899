"""The wheel carries the catalogs and works outside the checkout; the sdist carries what its own tests read."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from roofcalc import __version__
from tests.tiers import NIGHTLY

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_both_catalogs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("hardware", "models"):
        for path in (ROOT / kind).rglob("*.yaml"):
            assert f"roofcalc/catalogs/{path.relative_to(ROOT).as_posix()}" in names
    assert "roofcalc/catalogs/hardware/prices.csv" in names
    assert "roofcalc/py.typed" in names and any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith("tests") for name in names)


def test_the_sdist_holds_what_its_tests_read(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--sdist", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    kept = ["README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", ".ci/run", "hardware/prices.csv"]
    read = [path for folder in ("models", "hardware", "tests", "tools", "docs", "roofcalc") for path in (ROOT / folder).rglob("*.*")]
    wanted = {path.relative_to(ROOT).as_posix() for path in read if path.is_file() and "__pycache__" not in path.parts}
    assert {*kept, *wanted} <= names


def test_the_wheel_asks_for_little(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"roofcalc-{__version__}.dist-info/METADATA").decode()
        scripts = archive.read(f"roofcalc-{__version__}.dist-info/entry_points.txt").decode()
    needed = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra)", metadata, re.MULTILINE)
    assert sorted(needed) == ["numpy", "pyyaml", "rich", "typer"] and "Requires-Python: >=3.11\n" in metadata
    assert "roofcalc = roofcalc.__main__:main" in scripts


def test_what_describes_the_project_agrees_with_it() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (__version__, project["license"])
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {__version__}" in changes
    models, hardware = (len(list((ROOT / kind).rglob("*.yaml"))) for kind in ("models", "hardware"))
    said = re.search(r"More than (\d+) models and (\d+) devices and systems", changes)
    assert said and int(said[1]) < models and int(said[2]) < hardware


def lowest() -> list[str]:
    """The oldest of each package that the project says it works with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(r">=([\d.]+).*", r"==\1", needed) for needed in project["dependencies"]]


def python_of(version: str) -> str:
    """An interpreter of that version, skipping where none is at hand that makes environments."""
    found = shutil.which(f"python{version}")
    if found:
        asked = {**os.environ, "PYENV_VERSION": version}  # of several that pyenv holds
        answer = subprocess.run([found, "-c", "import venv, ensurepip, sys; print(sys.executable)"], capture_output=True, text=True, env=asked)
        if answer.returncode == 0:
            return answer.stdout.strip()
    pytest.skip(f"no Python {version} is installed here")


VERSIONS = ["this", "this, lowest", "3.11", "3.12", "3.13", "3.14"] if NIGHTLY else ["this"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_installed_wheel_answers_outside_the_checkout(version: str, wheel: Path, tmp_path: Path) -> None:
    if version == "this, lowest" and sys.version_info >= (3, 13):
        pytest.skip("the oldest NumPy has no wheel for this Python")
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip("this one")
    made_by = sys.executable if version.startswith("this") else python_of(version)
    subprocess.run([made_by, "-m", "venv", str(tmp_path / "env")], check=True, capture_output=True)
    python = tmp_path / "env" / "bin" / "python"
    wanted = [str(wheel), *(lowest() if version == "this, lowest" else ())]
    line = [python, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(line, capture_output=True, text=True)
    if version != "this" and "No matching distribution found" in installed.stderr:
        pytest.skip(installed.stderr.strip().splitlines()[-1])  # nothing to be had for that Python, or no longer
    assert installed.returncode == 0, installed.stderr
    question = "max-batch llama-405b 8xh100 --weights all=fp8 --seq 7661,775 --network ideal"
    line = f"{question} --columns batch_interactivity -f csv -q".split(" ")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run([tmp_path / "env" / "bin" / "roofcalc", *line], capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert (result.returncode, result.stdout, result.stderr) == (0, "batch_interactivity\n123\n505\n", "")
    (tmp_path / "mix.txt").write_text("1000:200 0.7\n4000:100 0.3\n")
    for line in ("frontier llama-3.1-8b h100-sxm", "plan llama-3.1-8b h100-sxm --mix mix.txt", "report llama-3.1-8b h100-sxm --seq 1k -o a.html"):
        more = subprocess.run([tmp_path / "env" / "bin" / "roofcalc", *line.split(), "-q"], capture_output=True, text=True, cwd=tmp_path, env=clean)
        assert (more.returncode, more.stderr) == (0, ""), line
    plot = [str(tmp_path / "env" / "bin" / "roofcalc"), "plot", "memory", "llama-3.1-8b", "h100-sxm", "-o", "a.svg"]
    drawn = subprocess.run(plot, capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert (drawn.returncode, drawn.stderr) == (2, "error: charts need matplotlib: pip install 'roofcalc[plot]'\n")
    where = subprocess.run(
        [python, "-c", "from roofcalc.catalog import lookup; print(lookup.built_in('models'))"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean,
    )
    assert where.stdout.strip().startswith(str(tmp_path)) and where.stdout.strip().endswith("roofcalc/catalogs/models")
