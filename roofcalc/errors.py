"""What goes wrong by the user's hand: one exception, one line for each thing to put right."""


class RoofcalcError(Exception):
    """A wrong name, number, file or combination, told in one line or several.

    Attributes
    ----------
    lines : tuple of str
        One finished sentence for each thing that is wrong: what, where, and what would be right.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def printable(text: str) -> str:
    """`text` on one line that a terminal shows as it is: control characters, marks without width and turns of direction as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def nearest(word: str, known: "list[str] | tuple[str, ...]", count: int = 3) -> list[str]:
    """The names most like `word`, best first: by spelling, else those that contain it."""
    import difflib

    close = difflib.get_close_matches(word, known, n=count, cutoff=0.6)
    if not close and len(word) > 1:
        close = [name for name in known if word in name][:count]
    return close


def did_you_mean(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """`; did you mean a or b?`, or nothing where no known name is near."""
    close = nearest(word, known)
    return f"; did you mean {' or '.join(close)}?" if close else ""
