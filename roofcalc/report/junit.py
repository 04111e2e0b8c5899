"""JUnit XML, which CI systems display: testsuites, testsuite, testcase, failure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


class Case(NamedTuple):
    """A test case: group, name, duration, and a line per failure."""

    group: str
    name: str
    seconds: float
    failures: tuple[str, ...]


def lines(suite: str, cases: Sequence[Case]) -> Iterator[str]:
    """The XML document, line by line."""
    totals = {"tests": str(len(cases)), "failures": str(sum(bool(case.failures) for case in cases)), "errors": "0"}
    totals["time"] = f"{sum(case.seconds for case in cases):.3f}"
    root = ElementTree.Element("testsuites", totals)
    one = ElementTree.SubElement(root, "testsuite", {"name": _text(suite), **totals, "skipped": "0"})
    for case in cases:
        test = ElementTree.SubElement(one, "testcase", {"classname": _text(case.group), "name": _text(case.name), "time": f"{case.seconds:.3f}"})
        if case.failures:
            failure = ElementTree.SubElement(test, "failure", {"message": _text(case.failures[0]), "type": "check"})
            failure.text = _text("\n".join(case.failures))
    ElementTree.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield ElementTree.tostring(root, encoding="unicode")


def _text(text: str) -> str:
    return _NOT_XML.sub("?", text)
