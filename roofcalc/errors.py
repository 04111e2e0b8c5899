"""User-facing errors: one exception type, one message line per problem, and the helpers that phrase such lines."""

from collections.abc import Collection

# Options whose flag is not simply their Python name with hyphens.
_FLAGS = {"serve": "--for", "changes": "--set", "reserve_gb": "--reserve"}


class RoofcalcError(Exception):
    """Wrong user input (a name, a number, a file or a combination of options), reported in one or more lines.

    Attributes
    ----------
    lines : tuple of str
        One complete message per problem, each once: what is wrong, where, and what would be accepted.
    """

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(dict.fromkeys(lines))
        super().__init__("\n".join(self.lines))


def printable(text: str) -> str:
    """`text` on one line that is safe to print: control, zero-width and bidirectional characters are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def flag(option: str) -> str:
    """The command-line flag of an option, from its Python name: `kv_policy` -> `--kv-policy`, `reserve_gb` -> `--reserve`."""
    return _FLAGS.get(option, f"--{option.replace('_', '-')}")


def option_name(flag: str) -> str:
    """The Python name of an option, from its flag with or without the leading `--`: `--kv-policy` -> `kv_policy`, `set` -> `changes`."""
    spelled = "--" + flag.removeprefix("--").replace("_", "-")
    return next((name for name, special in _FLAGS.items() if special == spelled), spelled[2:].replace("-", "_"))


def invalid_choice(label: str, value: object, choices: Collection[str]) -> RoofcalcError:
    """The error for a value outside a fixed list: `--kv-policy: invalid choice 'foo' (choose from architectural, reserved)`.

    Parameters
    ----------
    label
        What the value was given for: usually a flag, such as "--kv-policy".
    value
        The rejected value.
    choices
        The accepted values, in the order in which to list them; a close match is suggested.
    """
    spelled = {choice.lower(): choice for choice in choices}
    close = [spelled[name] for name in nearest(str(value).lower(), spelled)]
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return RoofcalcError(f"{label}: invalid choice {value!r} (choose from {', '.join(choices)}){hint}")


def nearest(word: str, known: Collection[str], count: int = 3) -> list[str]:
    """The known names closest to `word`, best first: by spelling, otherwise those that contain it."""
    import difflib

    close = difflib.get_close_matches(word, known, n=count, cutoff=0.6)
    if not close and len(word) > 1:
        close = [name for name in known if word in name][:count]
    return close


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean a or b?`, or an empty string if no known name is close."""
    close = nearest(word, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""
