"""Catalogs of any size, made of the built-in entries under other names: to see what a catalog's size costs a start."""

import re
from pathlib import Path

from roofcalc.catalog import lookup

KINDS: tuple[lookup.Kind, ...] = ("models", "hardware")


def fill(place: Path, files: int) -> None:
    """`files` entries in `place`, half of them models: `models-7` with the aliases `models-alias-7` and a repository's name."""
    for kind in KINDS:
        texts = [path.read_text(encoding="utf-8") for path in lookup.entries(kind).values()]
        whole = [text for text in texts if not re.search("^(like|device):", text, re.MULTILINE)]
        folder = place / kind / "many"
        folder.mkdir(parents=True)
        for n in range(files // 2):
            text = re.sub(r"^name:.*\n|^aliases:.*\n(?:[ #-].*\n)*", "", whole[n % len(whole)], flags=re.MULTILINE)
            head = f"name: {kind}-{n}\naliases: [{kind}-alias-{n}, Some-Publisher/{kind}-{n}-instruct, other-{kind}-{n}]\n"
            (folder / f"{kind}-{n}.yaml").write_text(head + text, encoding="utf-8")
