"""Result files of benchmark clients, recognised by their contents -> measured points."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError
from roofcalc.measurements.points import Loaded, Point, Problem
from roofcalc.measurements.results import clients, serving
from roofcalc.measurements.results.run import UNKNOWN, Figures, Run, points

MAX_BYTES = 1_000_000_000  # reports with every request, and its text, are large
SUFFIXES = (".json", ".jsonl", ".ndjson")
FORMATS = (
    "vllm bench serve --save-result, sglang.bench_serving --output-file, profile export of AIPerf or GenAI-Perf, GuideLLM, llama-bench -o json, "
    "InferenceX"
)
_READERS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Figures | list[Figures]]], ...] = (
    (clients.is_guidellm, clients.guidellm),
    (clients.is_llama_bench, clients.llama_bench),
    (serving.is_inferencex, serving.inferencex),
    (serving.is_serving, serving.serving),
    (clients.is_aiperf, clients.aiperf),
)


def is_result(path: str | Path) -> bool:
    """Whether a path names a result file or a folder of them, and not a CSV file of points."""
    path = Path(path)
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def load(path: str | Path, given: Run = UNKNOWN) -> Loaded:
    """The points of a result file, or of every result file in a folder, in the order of their names.

    Parameters
    ----------
    given : Run
        What is known of the run beyond the file; it goes before what the file says.

    Raises
    ------
    RoofcalcError
        A file cannot be read, no result is of a known format, or neither the file nor `given` names the model or the hardware.
    """
    path = Path(path)
    try:
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    except OSError as error:
        raise RoofcalcError(f"{path}: cannot be read: {error.strerror or error}") from None
    found: list[Point] = []
    problems: list[Problem] = []
    if not files:
        raise RoofcalcError(f"{path}: not a regular file, and a folder without results ({', '.join(SUFFIXES)})")
    for file in files:
        try:
            _read(file, given, found, problems)
        except RoofcalcError as error:
            problems.append(Problem(f"{file}:1", "; ".join(line.removeprefix(f"{file}: ") for line in error.lines)))
    if missing := [name for name in ("model", "hardware") if any(not getattr(point, name) for point in found)]:
        raise RoofcalcError(*(f"{path}: names no {name}; give --{name}" for name in missing))
    if not found:
        raise RoofcalcError(*map(str, problems), *([] if problems else [f"{path}: contains no results"]))
    reasons = Counter(point.notes for point in found if not point.comparable and point.notes)
    return Loaded(found, problems, [f"{number} not comparable: {reason}" for reason, number in reasons.items()])


def _read(file: Path, given: Run, found: list[Point], problems: list[Problem]) -> None:
    numbers = count(1)
    for line, item in _objects(file):
        place = f"{file}:{line}"
        reader = next((read for matches, read in _READERS if isinstance(item, dict) and matches(item)), None)
        if reader is None:
            problems.append(Problem(place, f"not a result of a known format ({FORMATS})"))
            continue
        figures = reader(item)
        for one in figures if isinstance(figures, list) else [figures]:
            name = f"{file.stem}-{next(numbers)}"
            made = list(points(one, place, name, given))
            found += made
            if not made:
                problems.append(Problem(place, "the result holds no throughput and no time above 0"))


def _objects(file: Path) -> Iterator[tuple[int, Any]]:
    """The objects of a JSON file, or of one with an object a line, and their lines (1 for all of a JSON file)."""
    text = yamlfile.read_text(file, MAX_BYTES)
    try:
        tree = json.loads(text)
    except RecursionError:
        raise RoofcalcError("nested too deeply") from None
    except ValueError as error:
        rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(rows) < 2 or not rows[0][1].lstrip().startswith("{"):
            raise RoofcalcError(f"not JSON: {error}") from None
        for number, line in rows:
            yield number, _line(line)
        return
    for item in tree if isinstance(tree, list) else [tree]:
        yield 1, item


def _line(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
