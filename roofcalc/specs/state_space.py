"""Kinds of recurrent layers as frozen records: their weights, and the state that a sequence keeps.

Sources of the shapes: Mamba arXiv 2312.00752; Mamba-2 arXiv 2405.21060; gated delta net arXiv 2412.06464;
Kimi delta attention arXiv 2510.26692; lightning attention arXiv 2501.08313; short convolution arXiv 2511.23404.
"""

from typing import Annotated, ClassVar, Literal

from roofcalc.specs.record import Record
from roofcalc.specs.schema import Count, Kinds
from roofcalc.specs.weights import Matrix, part

StateDtype = Literal["fp32", "bf16", "fp16"]


class Mamba1(Record):
    """Selective state space: `inner` channels with `state` numbers each; `norms` on dt, B and C (Jamba)."""

    type: ClassVar[str] = "mamba1"
    inner: Count
    state: Count
    dt_rank: Count
    conv: Count
    norms: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Numbers of the recurrent state of one sequence on a device."""
        return part(self.inner, tp) * self.state

    def convolution(self, tp: int = 1) -> int:
        """Numbers that the convolution keeps of one sequence on a device: its last inputs."""
        return part(self.inner, tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        inner = part(self.inner, tp)
        return (
            Matrix("in", hidden, 2 * inner, "state"),
            Matrix("x", inner, self.dt_rank + 2 * self.state, "state"),
            Matrix("dt", self.dt_rank, inner, "state"),
            Matrix("out", inner, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution with bias, dt bias, A and D, and the inner norms."""
        return part(self.inner, tp) * (self.conv + 1 + 1 + self.state + 1) + (self.dt_rank + 2 * self.state if self.norms else 0)


class Mamba2(Record):
    """State-space duality: `heads` of `head_dim` × `state`, B and C shared in `groups`; `norm` gates the output."""

    type: ClassVar[str] = "mamba2"
    heads: Count
    head_dim: Count
    state: Count
    groups: Count
    conv: Count
    norm: bool = True
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Numbers of the recurrent state of one sequence on a device."""
        return part(self.heads, tp) * self.head_dim * self.state

    def channels(self, tp: int) -> int:
        """Width of the convolution: the inner channels, B and C."""
        return part(self.heads, tp) * self.head_dim + 2 * max(1, part(self.groups, tp)) * self.state

    def convolution(self, tp: int = 1) -> int:
        """Numbers that the convolution keeps of one sequence on a device: its last inputs."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        inner = part(self.heads, tp) * self.head_dim
        return (
            Matrix("in", hidden, inner + self.channels(tp) + part(self.heads, tp), "state"),
            Matrix("out", inner, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution with bias; A, D and dt bias per head; the gated norm."""
        inner = part(self.heads, tp) * self.head_dim
        return self.channels(tp) * (self.conv + 1) + 3 * part(self.heads, tp) + (inner if self.norm else 0)


class GatedDeltaNet(Record):
    """Delta rule with a gate per head: `v_heads` states of k_dim × v_dim (Qwen3-Next, Qwen3.5)."""

    type: ClassVar[str] = "gated_deltanet"
    k_heads: Count
    v_heads: Count
    k_dim: Count
    v_dim: Count
    conv: Count
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Numbers of the recurrent state of one sequence on a device."""
        return part(self.v_heads, tp) * self.k_dim * self.v_dim

    def channels(self, tp: int) -> int:
        """Width of the convolution: queries, keys and values."""
        return 2 * part(self.k_heads, tp) * self.k_dim + part(self.v_heads, tp) * self.v_dim

    def convolution(self, tp: int = 1) -> int:
        """Numbers that the convolution keeps of one sequence on a device: its last inputs."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        values = part(self.v_heads, tp) * self.v_dim
        return (
            Matrix("in", hidden, self.channels(tp) + values, "state"),
            Matrix("gates", hidden, 2 * part(self.v_heads, tp), "state"),
            Matrix("out", values, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution without bias; A and dt bias per head; the output norm."""
        return self.channels(tp) * self.conv + 2 * part(self.v_heads, tp) + self.v_dim


class KDA(Record):
    """Kimi delta attention: the delta rule with a gate per channel.

    `full_gate`: the output's gate has full rank (Kimi K3); `full_forget`: the forget gate too (Ling 3).
    """

    type: ClassVar[str] = "kda"
    heads: Count
    head_dim: Count
    conv: Count
    full_gate: bool = False
    full_forget: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Numbers of the recurrent state of one sequence on a device."""
        return part(self.heads, tp) * self.head_dim**2

    def convolution(self, tp: int = 1) -> int:
        """Numbers that the convolution keeps of one sequence on a device: its last inputs."""
        return 3 * part(self.heads, tp) * self.head_dim * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        wide = part(self.heads, tp) * self.head_dim
        full = [name for name, whole in (("forget", self.full_forget), ("gate", self.full_gate)) if whole]
        low = 2 - len(full)
        down_up = (Matrix("gates_down", hidden, low * self.head_dim, "state"), Matrix("gates_up", self.head_dim, wide, "state", low))
        return (
            Matrix("qkv", hidden, 3 * wide, "state"),
            *(down_up if low else ()),
            *(Matrix(name, hidden, wide, "state") for name in full),
            Matrix("beta", hidden, part(self.heads, tp), "state"),
            Matrix("out", wide, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Three convolutions without bias; A per head, dt bias per channel; the output norm."""
        wide = part(self.heads, tp) * self.head_dim
        return 3 * wide * self.conv + part(self.heads, tp) + wide + self.head_dim


class Lightning(Record):
    """Linear attention with a fixed decay per head and an output gate (MiniMax-01); `qk_norm` as in Ring-linear."""

    type: ClassVar[str] = "lightning"
    heads: Count
    head_dim: Count
    qk_norm: bool = False
    dtype: StateDtype = "fp32"

    def elements(self, tp: int = 1) -> int:
        """Numbers of the recurrent state of one sequence on a device."""
        return part(self.heads, tp) * self.head_dim**2

    def convolution(self, tp: int = 1) -> int:
        """There is none."""
        return 0

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        wide = part(self.heads, tp) * self.head_dim
        return (
            Matrix("qkv", hidden, 3 * wide, "state"),
            Matrix("gate", hidden, wide, "state"),
            Matrix("out", wide, hidden, "state"),
        )

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """The output norm, and norms of queries and keys."""
        return part(self.heads, tp) * self.head_dim + (2 * self.head_dim if self.qk_norm else 0)


class ShortConvolution(Record):
    """A gated convolution over the last `conv` tokens and nothing else: no recurrent numbers (LFM2)."""

    type: ClassVar[str] = "short_convolution"
    width: Count
    conv: Count
    dtype: StateDtype = "bf16"

    def elements(self, tp: int = 1) -> int:
        """No numbers besides the convolution's own."""
        return 0

    def channels(self, tp: int) -> int:
        """Width of the convolution."""
        return part(self.width, tp)

    def convolution(self, tp: int = 1) -> int:
        """Numbers that the convolution keeps of one sequence on a device: its last inputs."""
        return self.channels(tp) * (self.conv - 1)

    def matrices(self, hidden: int, tp: int = 1) -> tuple[Matrix, ...]:
        width = part(self.width, tp)
        return (Matrix("in", hidden, 3 * width, "state"), Matrix("out", width, hidden, "state"))

    def vectors(self, hidden: int, tp: int = 1) -> int:
        """Convolution without bias."""
        return self.channels(tp) * self.conv


State = Annotated[
    Mamba1 | Mamba2 | GatedDeltaNet | KDA | Lightning | ShortConvolution,
    Kinds(
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
