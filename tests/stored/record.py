"""Writes answers.json: `python -m tests.stored.record` stores what every line of COMMANDS answers now.

Run it only where a change of figures is meant, read the difference, and say it in the changelog.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from tests.shell import RUNNER
from tests.stored.commands import COMMANDS

FILE = Path(__file__).with_name("answers.json")
_NUMBER = re.compile(r"(?<![\w.\-])\d[\d,]*\.?\d*(?:e[+-]?\d+)?(?![\w\-])")


def answer(line: str) -> dict[str, Any]:
    """What a command answers: its exit code, and its CSV or, of a text, the numbers in it."""
    from roofcalc.cli.app import app

    text = line.startswith("explain ")
    result = RUNNER.invoke(app, shlex.split(line) + ([] if text else ["-f", "csv"]))
    if text:
        lines = [one.split("=")[-1] for one in result.stdout.splitlines() if " = " in one]
        return {"exit": result.exit_code, "numbers": [n for one in lines for n in _NUMBER.findall(one)]}
    return {"exit": result.exit_code, "csv": result.stdout}


if __name__ == "__main__":
    FILE.write_text(json.dumps({line: answer(line) for line in COMMANDS}, indent=0, ensure_ascii=False) + "\n")
