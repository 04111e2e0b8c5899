"""Embeds a chart's SVG in a page: without style attributes, which the content security policy forbids, and in the page's text colour."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from roofcalc.report.plots.style import GRID, INK, PAPER, QUIET

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_CLASSES = {INK: "ink", QUIET: "quiet", GRID: "grid", PAPER: "paper"}  # classes whose colours follow the page's light or dark scheme
_LEFT_OUT = {"metadata", "style"}


def inline(svg: bytes, prefix: str, title: str) -> str:
    """An SVG document as an element of a page.

    Parameters
    ----------
    prefix : str
        Begins the element's ids, so that two charts of a page do not share any.
    title : str
        What the picture shows, for those who cannot see it.
    """
    root = ET.fromstring(svg)
    wanted = set(_references(root))
    for parent in list(root.iter()):
        for child in [one for one in parent if _name(one) in _LEFT_OUT]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _name(element)
        attributes, element.attrib = dict(element.attrib), {}
        attributes |= dict(_properties(attributes.pop("style", "")))
        for name, value in attributes.items():
            _put(element, name, value, prefix, wanted)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title, "stroke-linejoin": "round", "stroke-linecap": "butt"}
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _put(element: ET.Element, name: str, value: str, prefix: str, wanted: set[str]) -> None:
    if name == f"{{{_XLINK}}}href":
        element.set("href", f"#{prefix}{value.removeprefix('#')}")
    elif name == "id":
        if value in wanted:
            element.set("id", prefix + value)
    elif value.startswith("url(#"):
        element.set(name, f"url(#{prefix}{value[5:]}")
    elif name == "font-family":
        pass  # the page sets it
    else:
        element.set(name, " ".join(value.split()))
        if name in ("fill", "stroke") and value.lower() in _CLASSES:
            classes = f"{element.get('class', '')} {name}-{_CLASSES[value.lower()]}"
            element.set("class", classes.strip())


def _properties(style: str) -> Iterator[tuple[str, str]]:
    for part in style.split(";"):
        name, colon, value = part.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _references(root: ET.Element) -> Iterator[str]:
    """Ids that are referred to."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == f"{{{_XLINK}}}href":
                yield value.removeprefix("#")
            elif value.startswith("url(#"):
                yield value[5:].removesuffix(")")


def _name(element: ET.Element) -> str:
    return str(element.tag).removeprefix(f"{{{_SVG}}}")
