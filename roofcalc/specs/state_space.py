"""State-space and linear-attention layers as frozen records: weights, and the recurrent state of a sequence.

Sources of the shapes: Mamba arXiv 2312.00752; Mamba-2 arXiv 2405.21060; Gated DeltaNet arXiv 2412.06464;
Kimi Delta Attention arXiv 2510.26692; lightning attention arXiv 2501.08313; short convolution arXiv 2511.23404.
"""

from typing import Annotated, ClassVar, Literal

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Alternatives, Count
from roofcalc.specs.weights import Matrix, shard_size

StateDtype = Literal["fp32", "bf16", "fp16"]


class Mamba1(Record):
    """Mamba: a selective state-space layer.

    Attributes
    ----------
    inner, state : int
        Channels, and state elements per channel.
    norms : bool
        RMS norms on dt, B and C (Jamba).
    """

    type: ClassVar[str] = "mamba1"
    inner: Count
    state: Count
    dt_rank: Count
    conv: Count
    norms: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Elements of the recurrent state per sequence and tensor rank."""
        return shard_size(self.inner, tp) * self.state

    def convolution(self, tp: int = 1) -> int:
        """Elements of the convolution state (its last inputs) per sequence and tensor rank."""
        return shard_size(self.inner, tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        inner = shard_size(self.inner, tp)
        return (
            Matrix("in", hidden, 2 * inner, "state"),
            Matrix("x", inner, self.dt_rank + 2 * self.state, "state"),
            Matrix("dt", self.dt_rank, inner, "state"),
            Matrix("out", inner, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution with bias, dt bias, A, D, and the norms on dt, B and C."""
        return shard_size(self.inner, tp) * (self.conv + 1 + 1 + self.state + 1) + (self.dt_rank + 2 * self.state if self.norms else 0)


class Mamba2(Record):
    """Mamba-2: a state of `head_dim` × `state` per head.

    Attributes
    ----------
    groups : int
        Groups of heads that share B and C.
    norm : bool
        A gated norm on the output.
    """

    type: ClassVar[str] = "mamba2"
    heads: Count
    head_dim: Count
    state: Count
    groups: Count
    conv: Count
    norm: bool = True
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Elements of the recurrent state per sequence and tensor rank."""
        return shard_size(self.heads, tp) * self.head_dim * self.state

    def channels(self, tp: int) -> int:
        """Channels of the convolution: inner channels, B and C."""
        return shard_size(self.heads, tp) * self.head_dim + 2 * max(1, shard_size(self.groups, tp)) * self.state

    def convolution(self, tp: int = 1) -> int:
        """Elements of the convolution state (its last inputs) per sequence and tensor rank."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        inner = shard_size(self.heads, tp) * self.head_dim
        return (
            Matrix("in", hidden, inner + self.channels(tp) + shard_size(self.heads, tp), "state"),
            Matrix("out", inner, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution with bias; A, D and dt bias per head; gated norm."""
        inner = shard_size(self.heads, tp) * self.head_dim
        return self.channels(tp) * (self.conv + 1) + 3 * shard_size(self.heads, tp) + (inner if self.norm else 0)


class GatedDeltaNet(Record):
    """Gated DeltaNet: the delta rule with a decay per head and a state of k_dim × v_dim per value head (Qwen3-Next, Qwen3.5)."""

    type: ClassVar[str] = "gated_deltanet"
    k_heads: Count
    v_heads: Count
    k_dim: Count
    v_dim: Count
    conv: Count
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Elements of the recurrent state per sequence and tensor rank."""
        return shard_size(self.v_heads, tp) * self.k_dim * self.v_dim

    def channels(self, tp: int) -> int:
        """Channels of the convolution: queries, keys and values."""
        return 2 * shard_size(self.k_heads, tp) * self.k_dim + shard_size(self.v_heads, tp) * self.v_dim

    def convolution(self, tp: int = 1) -> int:
        """Elements of the convolution state (its last inputs) per sequence and tensor rank."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        values = shard_size(self.v_heads, tp) * self.v_dim
        return (
            Matrix("in", hidden, self.channels(tp) + values, "state"),
            Matrix("gates", hidden, 2 * shard_size(self.v_heads, tp), "state"),
            Matrix("out", values, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution without bias; A and dt bias per head; output norm."""
        return self.channels(tp) * self.conv + 2 * shard_size(self.v_heads, tp) + self.v_dim


class KDA(Record):
    """Kimi Delta Attention: the delta rule with a decay per channel.

    Attributes
    ----------
    full_gate, full_forget : bool
        The output gate (Kimi K3) or the forget gate (Ling 3) is a full matrix instead of a low-rank product.
    """

    type: ClassVar[str] = "kda"
    heads: Count
    head_dim: Count
    conv: Count
    full_gate: bool = False
    full_forget: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Elements of the recurrent state per sequence and tensor rank."""
        return shard_size(self.heads, tp) * self.head_dim**2

    def convolution(self, tp: int = 1) -> int:
        """Elements of the convolution state (its last inputs) per sequence and tensor rank."""
        return 3 * shard_size(self.heads, tp) * self.head_dim * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        wide = shard_size(self.heads, tp) * self.head_dim
        full = [name for name, whole in (("forget", self.full_forget), ("gate", self.full_gate)) if whole]
        low = 2 - len(full)
        down_up = (Matrix("gates_down", hidden, low * self.head_dim, "state"), Matrix("gates_up", self.head_dim, wide, "state", low))
        return (
            Matrix("qkv", hidden, 3 * wide, "state"),
            *(down_up if low else ()),
            *(Matrix(name, hidden, wide, "state") for name in full),
            Matrix("beta", hidden, shard_size(self.heads, tp), "state"),
            Matrix("out", wide, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Three convolutions without bias; A per head, dt bias per channel; output norm."""
        wide = shard_size(self.heads, tp) * self.head_dim
        return 3 * wide * self.conv + shard_size(self.heads, tp) + wide + self.head_dim


class Lightning(Record):
    """Lightning attention: linear attention with a fixed decay per head and an output gate (MiniMax-01); `qk_norm` in Ring-linear."""

    type: ClassVar[str] = "lightning"
    heads: Count
    head_dim: Count
    qk_norm: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Elements of the recurrent state per sequence and tensor rank."""
        return shard_size(self.heads, tp) * self.head_dim**2

    def convolution(self, tp: int = 1) -> int:
        """No convolution."""
        return 0

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        wide = shard_size(self.heads, tp) * self.head_dim
        return (
            Matrix("qkv", hidden, 3 * wide, "state"),
            Matrix("gate", hidden, wide, "state"),
            Matrix("out", wide, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Output norm, and the norms of queries and keys."""
        return shard_size(self.heads, tp) * self.head_dim + (2 * self.head_dim if self.qk_norm else 0)


class ShortConvolution(Record):
    """A gated convolution over the last `conv` tokens, without a recurrent state (LFM2)."""

    type: ClassVar[str] = "short_convolution"
    width: Count
    conv: Count
    dtype: StateDtype = "bf16"

    def elements(self, tp: int = 1) -> int:
        """No recurrent state."""
        return 0

    def channels(self, tp: int) -> int:
        """Channels of the convolution."""
        return shard_size(self.width, tp)

    def convolution(self, tp: int = 1) -> int:
        """Elements of the convolution state (its last inputs) per sequence and tensor rank."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        """Weight matrices on one of `tp` tensor ranks."""
        width = shard_size(self.width, tp)
        return (Matrix("in", hidden, 3 * width, "state"), Matrix("out", width, hidden, "state"))

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution without bias."""
        return self.channels(tp) * self.conv


State = Annotated[
    Mamba1 | Mamba2 | GatedDeltaNet | KDA | Lightning | ShortConvolution,
    Alternatives(
        "type",
        {
            "mamba1": Mamba1,
            "mamba2": Mamba2,
            "gated_deltanet": GatedDeltaNet,
            "kda": KDA,
            "lightning": Lightning,
            "short_convolution": ShortConvolution,
        },
        default="",
    ),
]
