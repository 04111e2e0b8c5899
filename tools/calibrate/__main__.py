"""`python -m tools.calibrate fit-kernels FOLDER` fits kernels.yaml; `… judge FOLDER [--format csv]` judges it by tables of timed kernels."""

import argparse
import sys
from pathlib import Path

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels import profile


def _fit_kernels(arguments: argparse.Namespace) -> None:
    from tools.calibrate.write import fit_all, written

    output = arguments.output or profile.FILE
    head = profile.FILE.read_text(encoding="utf-8")
    lines = fit_all(arguments.folder, profile.fits(), report=lambda line: print(line, file=sys.stderr, flush=True))
    if len(lines) == 1:
        raise RoofcalcError(f"{arguments.folder}: no table of timed kernels.")
    output.write_text(written(head, lines), encoding="utf-8")
    print(f"{output}: {output.stat().st_size} bytes", file=sys.stderr)


def _judge(arguments: argparse.Namespace) -> None:
    from tools.calibrate.judge import as_csv, as_table, judge, left_out_lines

    table = profile.fits()
    lines = judge(arguments.folder, table, aside=arguments.aside, without=arguments.unknown_device)
    for line in left_out_lines(arguments.folder):
        print(line, file=sys.stderr)
    print(as_csv(lines) if arguments.format == "csv" else as_table(lines), end="")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m tools.calibrate", description="Fit and judge kernel time models.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser("fit-kernels", help="fit the constants of kernels.yaml on a folder of tables (minutes)")
    fit.add_argument("folder", type=Path, metavar="FOLDER")
    fit.add_argument("--output", type=Path, help="write here instead of the packaged file")
    fit.set_defaults(run=_fit_kernels)
    judge = commands.add_parser("judge", help="judge the packaged constants by a folder of tables")
    judge.add_argument("folder", type=Path, metavar="FOLDER")
    judge.add_argument("--format", choices=("table", "csv"), default="table")
    judge.add_argument("--aside", action="store_true", help="only the fifth of the shapes that no fit has seen")
    judge.add_argument("--unknown-device", action="store_true", help="predict each device from the others, as if the file did not know it")
    judge.set_defaults(run=_judge)
    return root


def main(words: list[str] | None = None) -> int:
    """Run one command; 2 and one line on stderr where the input is wrong."""
    arguments = parser().parse_args(words)
    try:
        if not arguments.folder.is_dir():
            raise RoofcalcError(f"{arguments.folder}: not a folder.")
        arguments.run(arguments)
    except RoofcalcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
