"""What a device and its libraries achieve, as measured: fractions of the peaks, latencies, exposed time.

Plain figures for the preset `typical`; where they come from and which device lends them: `roofcalc.deployment.calibrated`.
"""

from typing import TypeVar

from roofcalc.specs.dtypes import WIDTH_BITS, Dtype
from roofcalc.specs.record import Record

T = TypeVar("T")

# Whose figures serve arithmetic in a format where the weights' own dtype was not measured.
_SERVES = {"fp4": "nvfp4", "fp6": "fp8", "fp8": "fp8", "int8": "fp8", "int4": "fp8"}


class Exchange(Record):
    """Tokens to experts and back: kernels that send each copy at once, and kernels that merge those for one rank.

    Attributes
    ----------
    each_us, merged_us : float
        Latency of one dispatch or combine.
    each, merged : float
        Fraction of the link's bandwidth.
    """

    each_us: float
    each: float
    merged_us: float
    merged: float


class Wires(Record):
    """How messages fare on a device's links.

    Attributes
    ----------
    reduce : dict
        By ranks (as text): latency in microseconds and fraction of the link of the one-shot all-reduce, and of the two-shot
        or in-switch one.
    gather_us : dict
        By ranks: latency of an all-gather or reduce-scatter.
    gather, send_us, send : float
        Fraction of the link of a gather; latency and fraction of a send.
    exchange : Exchange
        Inside a scale-up domain.
    out_us, out : float
        Between domains: latency of one doubling of the domains, and fraction of the scale-out link.
    exchange_out : Exchange
        Between domains.
    """

    reduce: dict[str, tuple[float, ...]]
    gather_us: dict[str, float]
    gather: float
    send_us: float
    send: float
    exchange: Exchange
    out_us: float
    out: float
    exchange_out: Exchange


class Profile(Record):
    """Figures of one device, or those that it borrows.

    Attributes
    ----------
    accuracy : str
        When it was calibrated, and how far off points were that no fit saw.
    borrowed : tuple of (device, what)
        Which other device's measurements stand for what.
    products : dict
        By dtype of the weights: fraction of the peak FLOP/s that a large product reaches as a kernel by itself.
    reads : dict
        By dtype of the weights: fraction of the memory bandwidth at which a product of few tokens reads them.
    decode : dict
        By format of the arithmetic: fractions of FLOP/s and of bandwidth that attention of single tokens reaches.
    prompt : dict
        By format of the arithmetic: fraction of FLOP/s that attention of a prompt reaches.
    within : float
        Fraction of its kernel's compute rate that a product keeps within a model.
    narrow : dict
        By bits of an element (8 or 4): fraction of the 16-bit rate at which weights are read that are widened before arithmetic.
    exposed_us : dict
        By kind of a layer's part: time of each layer that no work accounts for.
    step_us : float
        The same of each pass through a stage.
    prompt_factor : float
        Exposed time in a prefill over that in a decode step.
    packed_tokens : float
        Tokens of the prompts that an engine takes in together.
    shares_heads : bool
        Attention of single tokens loads a KV head's entries once for all query heads of its group.
    engine : str
        Whose exposed time it has: an engine's, or `pooled`.
    repeats : float
        Where it does not: how many of the further loads, one per query head, take time.
    """

    accuracy: str
    borrowed: tuple[tuple[str, tuple[str, ...]], ...]
    products: dict[str, float]
    reads: dict[str, float]
    decode: dict[str, tuple[float, ...]]
    prompt: dict[str, float]
    within: float
    narrow: dict[str, float]
    exposed_us: dict[str, float]
    step_us: float
    prompt_factor: float
    packed_tokens: float
    shares_heads: bool
    repeats: float
    reserve_gb: float
    wires: Wires
    engine: str = "pooled"

    @property
    def repeated(self) -> float:
        """The share of a group's further loads that takes time in this engine."""
        return 0.0 if self.shares_heads else self.repeats

    def product(self, weights: Dtype, form: str) -> tuple[float, float]:
        """Fractions of peak FLOP/s and bandwidth of a product whose arithmetic is in the format `form`.

        Weights that are narrower than the arithmetic, or whole numbers, are widened first.
        """
        serves = _SERVES.get(form, "bf16")
        widened = weights.bits < WIDTH_BITS[form] or "int" in weights.name
        compute = _first(self.products, *(() if widened else (weights.name,)), serves)
        if widened:
            return compute * self.within, _first(self.reads) * self.narrow["8" if weights.bits > 4 else "4"]
        return compute * self.within, _first(self.reads, weights.name, serves)

    def attention(self, form: str, prompt: bool) -> tuple[float, float]:
        """Fractions of attention, indexers and recurrent updates whose arithmetic is in the format `form`."""
        compute, memory = _first(self.decode, form)
        return _first(self.prompt, form) if prompt else compute, memory


def _first(figures: dict[str, T], *names: str) -> T:
    """The figure of the first of these dtypes that has one, else that of bf16."""
    return next(figures[name] for name in (*names, "bf16") if name in figures)
