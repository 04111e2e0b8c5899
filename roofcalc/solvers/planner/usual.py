"""The layouts that are usually run, in two classes: within a scale-up domain, and over several.

Tensor ranks communicate in every layer, so that they stay within a domain and are a power of two; pipeline stages lie between domains,
for models that one domain does not hold; capacity beyond that comes from replicas. Sources: the layouts that vLLM
(docs.vllm.ai/en/stable/serving/parallelism_scaling.html) and Megatron-LM (arXiv 2104.04473, section 3.2) recommend.
"""

from __future__ import annotations

from collections.abc import Collection

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Layout, expert_counts, legal_tp
from roofcalc.specs.device import Hardware

DOMAIN, DOMAINS, OTHER = range(3)  # classes of layouts; a plan takes the first that has one which meets the demand


def domain_of(hardware: Hardware) -> int:
    """Devices of a scale-up domain; of devices that meet over PCIe, whose domain is as large as is asked for, a power of two."""
    own = (hardware.system and hardware.system.link) or hardware.device.link
    return hardware.domain if hardware.link == own else 1 << (hardware.domain.bit_length() - 1)


def widest(deployment: Deployment) -> int:
    """The most tensor and data ranks of a usual pipeline stage: all of a domain with experts, else the widest tensor group.

    `deployment` is on as many devices as a replica has, since the domain of devices on PCIe depends on their number.
    """
    model, domain = deployment.model, domain_of(deployment.hardware)
    if expert_counts(model):
        return domain
    draft = deployment.draft.deployment if deployment.draft else None
    models = [model, draft.model] if draft else [model]
    degrees: list[int] = [1 << power for power in range(domain.bit_length())]
    return max(degree for degree in degrees if all(degree in legal_tp(one, degree) for one in models))


def layout_class(layout: Layout, domain: int, most: int, given: Collection[str] = ()) -> int:
    """The class of a layout: DOMAIN, DOMAINS or OTHER.

    Parameters
    ----------
    layout : Layout
    domain : int
        Devices of a scale-up domain.
    most : int
        As `widest` gives it.
    given : collection of str
        Degrees that the user gave; they are not restricted.
    """
    width = layout.tp * layout.dp
    if "tp" not in given and not (_is_power_of_two(layout.tp) and layout.tp <= domain):
        return OTHER
    shaped = _is_power_of_two(width) or width == domain or not {"tp", "dp"}.isdisjoint(given)
    if width <= domain and shaped and (layout.pp == 1 or "pp" in given):
        return DOMAIN
    return DOMAINS if width == most or (layout.pp == 1 and width % most == 0) or "dp" in given else OTHER


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0
