"""`python -m tools.calibrate fit` fits typical.yaml on whole runs.

`… fit-kernels FOLDER` fits kernels.yaml; `… judge FOLDER [--format csv]` judges it by tables of timed kernels.
"""

import argparse
import sys
from pathlib import Path

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels import profile


def _fit_kernels(arguments: argparse.Namespace) -> None:
    from tools.calibrate.write import fit_all, head_of, written

    output = arguments.output or profile.FILE
    head = head_of(profile.FILE.read_text(encoding="utf-8"))
    lines = fit_all(arguments.folder, profile.parsed(head, profile.FILE.name), report=lambda line: print(line, file=sys.stderr, flush=True))
    if len(lines) == 1:
        raise RoofcalcError(f"{arguments.folder}: no table of timed kernels.")
    output.write_text(written(head, lines), encoding="utf-8")
    print(f"{output}: {output.stat().st_size} bytes", file=sys.stderr)


def _judge(arguments: argparse.Namespace) -> None:
    from tools.calibrate.judge import as_csv, as_table, judge, left_out_lines

    table = profile.fits()
    lines = judge(arguments.folder, table, aside=arguments.aside)
    for line in left_out_lines(arguments.folder):
        print(line, file=sys.stderr)
    print(as_csv(lines) if arguments.format == "csv" else as_table(lines), end="")


def _leave_out(arguments: argparse.Namespace) -> None:
    from tools.calibrate.judge import judge
    from tools.calibrate.write import fit_all, head_of, written

    head = head_of(profile.FILE.read_text(encoding="utf-8"))
    known = profile.parsed(head, profile.FILE.name)
    print("kind,group,count,median_ln,p90_ln,bias")
    for device in arguments.devices or sorted(known.devices):
        lines = fit_all(arguments.folder, known, lambda line: None, without=device)
        try:
            found = judge(arguments.folder, profile.parsed(written(head, lines), "the fit"), device=device)
        except RoofcalcError:
            continue  # a device without rows
        for line in found:
            if line.group in ("all", "m<=1024"):
                name = device if line.group == "all" else f"{device} {line.group}"
                print(f"{line.kind},{name},{line.count},{line.median_ln:.4f},{line.p90_ln:.4f},{line.bias:.4f}", flush=True)


def _fit_runs(arguments: argparse.Namespace) -> None:
    from roofcalc.deployment import calibrated
    from tools.calibrate.fit_runs import POINTS, fit

    output = arguments.output or calibrated.PATH
    text = fit(tuple(arguments.points) or POINTS, report=lambda line: print(line, file=sys.stderr, flush=True))
    output.write_text(text, encoding="utf-8")
    print(f"{output}: {output.stat().st_size} bytes", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m tools.calibrate", description="Fit and judge kernel time models.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser("fit-kernels", help="fit the constants of kernels.yaml on a folder of tables (minutes)")
    fit.add_argument("folder", type=Path, metavar="FOLDER")
    fit.add_argument("--output", type=Path, help="write here instead of the packaged file")
    fit.set_defaults(run=_fit_kernels)
    whole = commands.add_parser("fit", help="fit typical.yaml on whole runs, with errors of runs left out (minutes)")
    whole.add_argument("points", nargs="*", type=Path, metavar="POINTS", help="files of measured points; default: those of tests/measurements")
    whole.add_argument("--output", type=Path, help="write here instead of the packaged file")
    whole.set_defaults(run=_fit_runs, folder=None)
    judge = commands.add_parser("judge", help="judge the packaged constants by a folder of tables")
    judge.add_argument("folder", type=Path, metavar="FOLDER")
    judge.add_argument("--format", choices=("table", "csv"), default="table")
    judge.add_argument("--aside", action="store_true", help="only the fifth of the shapes that no fit has seen")
    judge.set_defaults(run=_judge)
    leave = commands.add_parser("leave-out", help="fit without each device in turn and predict it from the others (a fit for each device)")
    leave.add_argument("folder", type=Path, metavar="FOLDER")
    leave.add_argument("devices", nargs="*", metavar="DEVICE")
    leave.set_defaults(run=_leave_out)
    return root


def main(words: list[str] | None = None) -> int:
    """Run one command; 2 and one line on stderr where the input is wrong."""
    arguments = parser().parse_args(words)
    try:
        if arguments.folder is not None and not arguments.folder.is_dir():
            raise RoofcalcError(f"{arguments.folder}: not a folder.")
        arguments.run(arguments)
    except RoofcalcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
