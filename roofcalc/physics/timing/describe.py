"""Which constants time an operation or a message in `typical`, as `roofcalc explain` prints them."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.ops.operation import Attended, Grouped, Message, Operation, Product, Updated
from roofcalc.physics.timing import attention, messages, products
from roofcalc.physics.timing.devices import Chosen


def of_operation(deployment: Deployment, operation: Operation) -> str:
    """The constants of an operation's kernel, with their source; the units stand in the names."""
    shape = operation.shape
    if shape is None:
        return "none: the roofline, with the factors of GEMMs"
    if isinstance(shape, Product):
        if products.runs_beside(deployment, operation.tensor):
            return "none: beside the routed experts, the time on the roofline and no launch"
        part = f" (the share {shape.cols}/{shape.fused} of a GEMM with {shape.fused} columns)" if shape.fused else ""
        return words(products.gemm_constants(deployment, operation.tensor)[0]) + part
    if isinstance(shape, Grouped):
        return words(products.expert_constants(deployment, operation.tensor)[0])
    if isinstance(shape, Attended):
        return words(attention.constants(deployment, shape.cache, operation.prompt))
    assert isinstance(shape, Updated)
    return words(attention.state_constants(deployment, operation.prompt))


def of_message(deployment: Deployment, message: Message) -> list[str]:
    """The constants of the kernels that can carry a message inside a scale-up domain, of which the fastest counts."""
    inside = min(message.group, deployment.hardware.domain)
    if message.kind == "send" or inside == 1:
        network = deployment.profile.network if deployment.profile else None
        return [f"send_us {network.send_us:g}, send {network.send:g}"] if network else []
    if message.kind == "all_to_all":
        return [words(one) for one, _ in messages.exchange_constants(deployment, message)]
    operations = ("all_reduce",) if message.kind == "all_reduce" and message.group == inside else ("reduce_scatter", "all_gather")
    names = operations if message.kind == "all_reduce" else ("all_gather",)
    return [words(one) for name in names for one in messages.collective_constants(deployment, name, inside)]


def words(found: Chosen) -> str:
    """`name value, …; source, exact or borrowed`."""
    values = ", ".join(f"{name} {value:.3g}" for name, value in vars(found.parameters).items() if name != "copies")
    source = found.source
    return f"{values}; {source.engine} {source.dtype}, {source.kernel} on {source.device}, {'exact' if source.exact else 'borrowed'}"
