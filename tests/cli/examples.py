"""The examples in every command's help, run in a folder that has the files which they name."""

from pathlib import Path

from roofcalc.cli.commands import COMMANDS
from roofcalc.cli.groups import GROUPS
from tests.catalog.huggingface.fixtures import CONFIGS
from tests.shell import run

TESTS = Path(__file__).parent.parent


def commands() -> list[str]:
    """Every command and subcommand."""
    return [*COMMANDS, *(f"{name} {sub}" for name, group in GROUPS.items() for sub in group.commands())]


def draws(command: str) -> bool:
    """Whether a command draws charts, which takes ten times as long as anything else."""
    return command == "report" or command.startswith("plot ")


def run_examples(command: str, folder: Path) -> None:
    """Runs the examples of a command's help; the working directory must be `folder`.

    Raises
    ------
    AssertionError
        One ends with another exit code than 0, or there is none.
    """
    put_files(folder)
    for example in examples(command):
        assert run(example.removeprefix("roofcalc ")).exit_code == 0, example


def put_files(folder: Path) -> None:
    """Puts the files there that examples name."""
    head, *points = (TESTS / "measurements" / "measured.csv").read_text().splitlines()
    (folder / "measured.csv").write_text("\n".join([head, *points[::8]]) + "\n")
    (folder / "Llama-3.1-8B").mkdir()  # a download, as `models import` takes one
    (folder / "Llama-3.1-8B" / "config.json").write_bytes((CONFIGS / "llama-3.1-8b.json").read_bytes())
    (folder / "serving.yaml").write_bytes((TESTS / "examples" / "checks" / "serving.yaml").read_bytes())


def examples(command: str) -> list[str]:
    """The examples of a command's help."""
    result = run(f"{command} --help")
    assert result.exit_code == 0
    found = [line.strip() for line in result.stdout.split("Examples:")[1].splitlines() if line.strip()]
    assert found and all(one.startswith(f"roofcalc {command}") for one in found)
    return found
