"""What depends on the interpreter: `-OO`, and modules and functions of one name in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPLAINED = (
    ("max-batch", "llama-3.1-8b", "h100-sxm", "--seq", "4k"),
    ("prefill", "deepseek-v3", "8xh200", "--seq", "4k", "--batch", "4", "--assume", "typical"),
)


@pytest.mark.parametrize("arguments", EXPLAINED, ids=" ".join)
def test_explain_works_without_docstrings(arguments: tuple[str, ...]) -> None:
    plain, stripped = (
        subprocess.run([sys.executable, *flags, "-m", "roofcalc", "explain", *arguments], capture_output=True, text=True, cwd=ROOT)
        for flags in ((), ("-OO",))
    )
    assert stripped.returncode == 0, stripped.stderr[-500:]
    assert stripped.stdout == plain.stdout != ""


@pytest.mark.parametrize(
    "code",
    [
        "import roofcalc.report.explain.step as s; assert s.__name__ == 'roofcalc.report.explain.step'",
        "import roofcalc as rc, roofcalc.commands.prefill; assert callable(rc.prefill) and callable(roofcalc.commands.prefill.prefill)",
        "import roofcalc.commands.prefill as p, roofcalc as rc; assert p.__name__ == 'roofcalc.commands.prefill' and rc.prefill is p.prefill",
        "import roofcalc as rc, roofcalc.physics.prefill, roofcalc.commands.explain, roofcalc.report.explain; assert callable(rc.explain)",
        "import roofcalc as rc; assert all(getattr(rc, name) is not None for name in rc.__all__) and set(dir(rc)) == set(rc.__all__)",
    ],
)
def test_modules_and_functions_of_one_name_do_not_collide(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_a_version() -> None:
    code = "import re, roofcalc; assert re.fullmatch(r'\\d+\\.\\d+\\.\\d+\\S*', roofcalc.__version__), roofcalc.__version__"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
