"""Devices that are not NVIDIA's."""

from typing import Any

import pytest
import yaml

from roofcalc import yamlfile
from roofcalc.errors import RoofcalcError
from roofcalc.hardware import Link
from roofcalc.schema import build


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{gb_s: 450, domain: 8, wrap: 4}", "wrap: only a torus closes into rings"),
        ("{gb_s: 448, pair_gb_s: 64, domain: 8, wrap: 4}", "wrap: only a torus closes into rings"),
        ("{gb_s: 200, domain: 16, topology: torus, axes: [4, 4], wrap: 16}", "wrap: no axis is as long as 16"),
        ("{gb_s: 200, domain: 16, topology: torus, axes: [4, 4], wrap: 0}", "wrap: expected a number from 1"),
    ],
)
def test_wraps_that_cannot_be(text: str, complaint: str) -> None:
    value: dict[str, Any] = yaml.safe_load(text)
    lines: yamlfile.Lines = {(): "link.yaml:1"}
    with pytest.raises(RoofcalcError, match=complaint):
        build(Link, value, lines, "link.yaml")


def test_a_wrap_within_the_axes() -> None:
    value: dict[str, Any] = yaml.safe_load("{gb_s: 600, domain: 8960, topology: torus, axes: [16, 20, 28], wrap: 28}")
    lines: yamlfile.Lines = {(): "link.yaml:1"}
    assert build(Link, value, lines, "link.yaml").wrap == 28
