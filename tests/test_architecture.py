"""The structure of the package: which modules exist, and that imports go one way (docs/architecture.md)."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (  # a package imports from its own row and the rows below
    ("cli",),
    ("commands",),
    ("report",),
    ("economics", "measurements"),
    ("solvers",),
    ("physics",),
    ("deployment",),
    ("catalog",),
    ("specs",),
    ("units",),
    ("errors",),
)
ROW = {name: row for row, names in enumerate(ORDER) for name in names}
TOP_LEVEL = {"__init__", "__main__", *ROW}
NEIGHBOURS = {("economics", "measurements"), ("measurements", "economics")}  # one row, but neither imports the other
OUTSIDE = ("tools", "tests")


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and file of every module of a package; a package goes by its own name."""
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names that a module imports, also within functions and `if TYPE_CHECKING`; relative imports resolved."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def problems(package: Path) -> list[str]:
    """What contradicts the architecture, one line each."""
    listed, found = list(modules(package)), []
    names = {name for name, _ in listed}
    for entry in sorted(package.iterdir()):
        stem = entry.stem if entry.suffix == ".py" else entry.name if entry.is_dir() and any(entry.rglob("*.py")) else None
        if stem is not None and stem not in TOP_LEVEL:
            found.append(f"{package.name}.{stem}: not a room of the architecture")
    for name, path in listed:
        parts = name.split(".")
        room = parts[1] if len(parts) > 1 else "__init__"
        for target in sorted(set(imports(name, path))):
            head, _, rest = target.partition(".")
            if head in OUTSIDE:
                found.append(f"{name}: imports {head}, which is not installed with the package")
            if head != package.name or room not in ROW or target not in names:
                continue
            other = rest.split(".")[0]
            if other in ROW and (ROW[other] < ROW[room] or (room, other) in NEIGHBOURS):
                found.append(f"{name}: imports {target}, against the order of the rooms")
    files = Counter(name for name, _ in listed)
    found += [f"{name}: both a module and a package" for name, count in files.items() if count > 1]
    stripped = Counter((name.rpartition(".")[0], name.rpartition(".")[2].strip("_").lower()) for name in names)
    found += [
        f"{parent}.{stem}: two modules whose names differ only in underscores or case" for (parent, stem), count in stripped.items() if count > 1
    ]
    return found


def test_imports_go_one_way_and_every_module_has_its_room() -> None:
    assert len(list(modules(ROOT / "roofcalc"))) > 100
    assert problems(ROOT / "roofcalc") == []


def test_the_order_is_the_documented_one() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip(" `/") for line in text.splitlines() if line.startswith("| `")]
    documented = [name.strip(" `/") for row in rows for name in row.split(",")]
    assert documented[: len(ROW)] == [name for names in ORDER for name in names]


@pytest.mark.parametrize(
    "file, text, problem",
    [
        (
            "physics/planted.py",
            "from roofcalc.commands.request import Request",
            "roofcalc.physics.planted: imports roofcalc.commands.request, against",
        ),
        ("physics/planted.py", "from ..solvers import workload", "roofcalc.physics.planted: imports roofcalc.solvers.workload, against"),
        ("specs/planted.py", "def late():\n    import roofcalc.catalog", "roofcalc.specs.planted: imports roofcalc.catalog, against"),
        ("errors.py", "from roofcalc import units", "roofcalc.errors: imports roofcalc.units, against"),
        ("economics/planted.py", "from roofcalc.measurements import fit", "roofcalc.economics.planted: imports roofcalc.measurements.fit"),
        ("planted.py", "", "roofcalc.planted: not a room"),
        ("planted/deeper/module.py", "", "roofcalc.planted: not a room"),
        ("report/explain.py", "", "roofcalc.report.explain: both a module and a package"),
        ("physics/_memory.py", "", "roofcalc.physics.memory: two modules whose names differ only in underscores"),
        ("commands/planted.py", "from tools.calibrate import runs", "roofcalc.commands.planted: imports tools"),
        ("commands/planted.py", "import tests.shell", "roofcalc.commands.planted: imports tests"),
    ],
)
def test_a_planted_module_is_found(file: str, text: str, problem: str, tmp_path: Path) -> None:
    for name, path in modules(ROOT / "roofcalc"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("")
        assert name
    planted = tmp_path / "roofcalc" / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    assert problems(tmp_path / "roofcalc") == []
    planted.write_text(text)
    (found,) = {line for line in problems(tmp_path / "roofcalc") if line.startswith(problem)}
    assert found


def test_where_to_look_names_what_exists() -> None:
    """`path: name` in docs/architecture.md is a file of the package and something defined in it; so are further names after it."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## Where to look")[1].split("\n## ")[0]
    path, checked = ROOT, 0
    for row in [line for line in section.splitlines() if line.startswith("| ")][1:]:
        for span in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1]):
            place, _, name = span.partition(": ")
            if "/" in place:
                path = ROOT / "roofcalc" / place
                assert path.exists(), place
            else:
                name = place
            if name:
                assert re.search(rf"^\s*(def {name}\(|class {name}\(|{name}( |:))", path.read_text(encoding="utf-8"), re.MULTILINE), (path, name)
            checked += 1
    assert checked > 20
