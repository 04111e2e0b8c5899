"""`roofcalc validate`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import LOGGED_STARTS, POINTS_FILE, SUMMARY
from roofcalc.commands.validate import broken, validate

COMMAND = command(
    "validate",
    validate,
    (POINTS_FILE, SUMMARY, LOGGED_STARTS),
    "Measured points of a CSV beside bound, roofline and typical. Exit code 3 where a point is faster than the bound: then the point, "
    "the catalog or the bound is wrong. Only the columns model, hardware, metric and value are needed; an empty cell is unknown. "
    "With --memory the CSV holds logged starts of engines.",
    ("roofcalc validate measured.csv --summary", "roofcalc validate measured.csv -f csv --columns id,measured,roofline,roofline_ratio,why_not"),
    broken,
    3,
)
