"""The wheel carries the catalogs and works outside the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


def test_an_installed_wheel_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    question = "max-batch llama-405b 8xh100 --weights fp8 --seq 7661,775 --network ideal"
    line = f"{question} --columns batch_interactivity -f csv -q".split(" ")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run([tmp_path / "env" / "bin" / "roofcalc", *line], capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert (result.returncode, result.stdout, result.stderr) == (0, "batch_interactivity\n123\n505\n", "")
    where = subprocess.run(
        [python, "-c", "from roofcalc import catalog; print(catalog.built_in('models'))"], capture_output=True, text=True, cwd=tmp_path, env=clean
    )
    assert where.stdout.strip().startswith(str(tmp_path)) and where.stdout.strip().endswith("roofcalc/catalogs/models")
