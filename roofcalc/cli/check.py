"""`roofcalc check`."""

from pathlib import Path

from roofcalc.cli.command import command
from roofcalc.cli.options import CHECK_FILE, JUNIT
from roofcalc.commands.check import results, table
from roofcalc.errors import RoofcalcError
from roofcalc.report import junit as report
from roofcalc.report.table import Table
from roofcalc.report.writers import write


def _check(file: str, junit: str | None = None) -> Table:
    found = results(file)
    if junit is not None:
        if not junit:
            raise RoofcalcError("junit: a file's name is missing")
        suite = Path(file).stem
        write(report.lines(suite, [report.Case(f"{suite}.{one.command}", one.name, one.seconds, one.failures) for one in found]), Path(junit))
    return table(found)


COMMAND = command(
    "check",
    _check,
    (CHECK_FILE, JUNIT),
    "Runs the checks of a YAML file: `checks:` is a list, each with a name, a command, its arguments, a column, an op, a value, and where "
    "wanted a tolerance and rows (all, any, first). Exit code 3 where one fails.",
    ("roofcalc check serving.yaml", "roofcalc check serving.yaml --junit serving.xml -f csv"),
)
