"""Command lines and files that are wrong somewhere: each is answered or refused in a clear line, never with a traceback.

The same cases each time, 500 or, with `pytest --nightly`, 10,000; `ROOFCALC_FUZZ=100000 pytest tests/process/test_fuzz.py`
runs as many others.
"""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st

from roofcalc.catalog import lookup
from tests.fuzz import files, lines
from tests.fuzz.odd import NUMBERS, RANGES
from tests.fuzz.outcome import COUNTED, cases, held

ROOT = Path(__file__).parent.parent.parent
POINTS = ROOT / "tests" / "measurements" / "measured.csv"
CONFIGS = ROOT / "tests" / "catalog" / "huggingface" / "configs"
MODELS = (
    "llama-3.1-8b",
    "gemma-3-1b",
    "deepseek-v3",
    "qwen3-30b-a3b",
    "falcon-h1-34b",
    "mamba2-2.7b",
    "deepseek-v3.2",
    "gemma-3n-e4b",
    "gpt-oss-20b",
)
DEVICES = ("h100-sxm", "l40s", "tpu-v5p", "b200-sxm", "mi300x", "gb200")
SYSTEMS = ("gb200-nvl72", "dgx-h100")


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder to work in, and a catalog of a few entries, so that a wrong name costs no walk through all."""
    work, small = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("catalogs")
    for kind, names in (("models", MODELS), ("hardware", (*DEVICES, *SYSTEMS))):
        (small / kind).mkdir()
        for name in names:
            (found,) = (ROOT / kind).rglob(f"{name}.yaml")
            shutil.copy(found, small / kind)
    for kind in ("models", "hardware"):
        for file in (ROOT / kind).glob("*.csv"):
            shutil.copy(file, small / kind)
    shutil.copy(CONFIGS / "qwen3-8b.json", work / "config.json")
    shutil.copy(small / "models" / "llama-3.1-8b.yaml", work / "mine.yaml")
    shutil.copy(ROOT / "tests" / "examples" / "checks" / "serving.yaml", work / "checks.yaml")
    (work / "points.csv").write_text("\n".join(POINTS.read_text(encoding="utf-8").splitlines()[:4]), encoding="utf-8")
    (work / "mix.txt").write_text("1000:200 0.7\n4000:50 0.3\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "built_in", lambda kind: small / kind)
        patch.chdir(work)
        yield work


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hands the number of cases by exit code to the terminal summary."""
    before = COUNTED.copy()
    yield
    request.node.user_properties.extend((COUNTED - before).items())


def values(kind: str, names: tuple[str, ...]) -> list[str]:
    """Entries of the catalog as JSON text, each with the name of the file that it is written to."""
    found = [yaml.safe_load(next((ROOT / kind).rglob(f"{name}.yaml")).read_text(encoding="utf-8")) for name in names]
    return [json.dumps({**one, "name": "given"}, default=str) for one in found]


def test_models() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.yaml").write_bytes(drawn[0])
        held(drawn[1])

    lines = (
        ["models", "show", "given.yaml", "-f", "csv"],
        ["models", "show", "given.yaml", "--yaml"],
        ["max-batch", "given.yaml", "h100-sxm", "--seq", "1k"],
        ["prefill", "given.yaml", "h100-sxm", "--seq", "1k"],
        ["models", "check", "given.yaml"],
    )
    cases(0.21, st.tuples(files.yaml_bytes(values("models", MODELS)), st.sampled_from(lines)), case)


def test_devices() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.yaml").write_bytes(drawn[0])
        held(drawn[1])

    lines = (
        ["hardware", "show", "given.yaml", "-f", "json"],
        ["hardware", "show", "given.yaml", "--yaml"],
        ["max-batch", "llama-3.1-8b", "2xgiven.yaml", "--seq", "1k"],
        ["interactivity", "deepseek-v3", "16xgiven.yaml", "--seq", "1k", "--batch", "8"],
        ["hardware", "check", "given.yaml"],
    )
    cases(0.15, st.tuples(files.yaml_bytes(values("hardware", DEVICES)), st.sampled_from(lines)), case)


def test_systems() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.yaml").write_bytes(drawn[0])
        held(drawn[1])

    lines = (["hardware", "show", "given.yaml"], ["max-batch", "llama-3.1-8b", "given.yaml", "--seq", "1k"], ["hardware", "check", "given.yaml"])
    cases(0.08, st.tuples(files.yaml_bytes(values("hardware", SYSTEMS)), st.sampled_from(lines)), case)


def test_configurations() -> None:
    def case(content: bytes) -> None:
        Path("given.json").write_bytes(content)
        held(["models", "import", "given.json", "-q"])

    wholes = [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.json"))]
    cases(0.17, files.json_bytes(wholes), case)


def test_checks() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.yaml").write_bytes(drawn[0])
        held(drawn[1])

    plan = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "seq": "1k", "batch": 8, "mix": None}
    one = {"name": "a", "command": "plan", "arguments": {**plan}, "column": "devices", "op": "<=", "value": 2}
    two = {"command": "memory", "arguments": {"model": "gemma-3-1b", "hardware": "l40s", "seq": [1000, 2000]}, "column": "fits_memory"}
    three = {"command": "validate", "arguments": {"file": "points.csv"}, "column": "ratio", "op": "~", "value": 1, "tolerance": 0.5}
    wholes = [json.dumps({"checks": [{"name": "b", "op": "==", "value": True, "rows": "any", **last}, one]}) for last in (two, three)]
    cases(0.05, st.tuples(files.yaml_bytes(wholes), st.sampled_from((["check", "given.yaml"], ["check", "given.yaml", "--junit", "a.xml"]))), case)


def test_points() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.csv").write_bytes(drawn[0])
        held(drawn[1])

    with POINTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    lines = (
        ["validate", "given.csv"],
        ["validate", "given.csv", "--summary"],
        ["fit", "given.csv"],
        ["fit", "given.csv", "--residuals", "--fix", "mbu=0.8"],
    )
    cases(0.05, st.tuples(files.csv_bytes(rows), st.sampled_from(lines)), case)


def test_mixes() -> None:
    def case(drawn: tuple[bytes, list[str]]) -> None:
        Path("given.txt").write_bytes(drawn[0])
        held(["plan", "llama-3.1-8b", "h100-sxm", "--mix", "given.txt", *drawn[1]])

    cases(
        0.03, st.tuples(files.mix_bytes(), st.sampled_from((["--batch", "8"], ["--requests-per-second", "2"], ["--spare", "1", "-f", "csv"]))), case
    )


def test_searches() -> None:
    every = {words: parameters for words, parameters in lines.commands().items() if words[-1] in ("frontier", "plan")}
    cases(0.03, lines.command_lines(every), held)


def test_numbers_and_ranges() -> None:
    options = (
        *(
            "--seq",
            "--interactivity",
            "--tp",
            "--pp",
            "--dp",
            "--mbu",
            "--mfu",
            "--link",
            "--util",
            "--reserve",
            "--kv-block",
            "--imbalance",
            "--isl",
        ),
        *("--osl", "--chunk", "--draft", "--acceptance", "--ep", "--dcp", "--redundant-experts"),
    )
    texts = st.one_of(
        st.sampled_from((*NUMBERS, *RANGES)),
        st.lists(st.sampled_from((*NUMBERS, ":", ",", "x", "k", "Ki", "e", "-", ".", "_")), max_size=6).map("".join),
        st.text("0123456789.,:xkKiMGe+-_ naf", max_size=12),
        st.floats().map(repr),
        st.integers().map(str),
    )
    cases(0.13, st.tuples(st.sampled_from(options), texts), lambda drawn: held(["max-batch", "deepseek-v3", "8xh100-sxm", *drawn]))


def test_command_lines() -> None:
    cases(0.1, lines.command_lines(lines.commands()), held)
