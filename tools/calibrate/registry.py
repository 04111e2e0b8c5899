"""All subjects, and the rows that are left out of fits and judgements, by name and with the reason."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.calibrate import subjects_attention, subjects_modules, subjects_others, subjects_products
from tools.calibrate.devices import has_sheet
from tools.calibrate.subjects import Subject
from tools.calibrate.tables import Columns

SUBJECTS: tuple[Subject, ...] = (
    subjects_products.GEMM,
    subjects_attention.DECODE,
    subjects_attention.PROMPT,
    subjects_attention.LATENT_DECODE,
    subjects_attention.LATENT_PROMPT,
    subjects_products.LATENT_PRODUCT,
    subjects_modules.LATENT_MODULE_DECODE,
    subjects_modules.LATENT_MODULE_PROMPT,
    subjects_modules.SPARSE_DECODE,
    subjects_modules.SPARSE_PROMPT,
    subjects_others.RECURRENT,
    subjects_products.EXPERTS,
    subjects_products.EXPERTS_WIDE,
    subjects_others.COLLECTIVE,
    subjects_others.EXCHANGE_LL,
    subjects_others.EXCHANGE_NORMAL,
    subjects_others.EXCHANGE_A2A,
)
KINDS = ("gemm", "attention", "experts", "collectives")


@dataclass(frozen=True)
class LeftOut:
    """Rows that say nothing of a served model: table, engine, number format and part of the kernel's name ("" for any), device, reason."""

    table: str
    engine: str
    dtype: str
    kernel: str
    device: str
    reason: str

    def mask(self, subject: Subject, rows: Columns) -> npt.NDArray[np.bool_]:
        """True for the rows that this entry leaves out."""
        if subject.table != self.table:
            return np.zeros(len(rows["us"]), dtype=bool)
        found = (rows["engine"] == self.engine) & (np.char.find(rows["kernel"], self.kernel) >= 0)
        if self.dtype:
            found &= rows["dtype"] == self.dtype
        if self.device:
            found &= rows["device"] == self.device
        return np.asarray(found)


LEFT_OUT = (
    LeftOut(
        "gemm", "vllm", "fp8_block", "", "",
        "timed eagerly with the quantising of inputs as many separate launches: 55 to 340 µs on every shape, 1 × 64 × 32 included;"
        " a served model runs it inside a CUDA graph. SGLang's DeepGEMM times take its place.",
    ),
    LeftOut(
        "sparse_generation", "sglang", "", "compressed_flashmla", "rtx-pro-6000-server",
        "no kernel for this architecture: about 690 µs per sequence whatever the heads and the context, a loop over sequences on the host.",
    ),
)  # fmt: skip


OPERATIONS = ("all_gather", "all_reduce", "alltoall", "reduce_scatter")


def unknown(rows: Columns) -> npt.NDArray[np.bool_]:
    """True for rows of devices that hardware/ does not hold, whose peaks are therefore unknown, and of operations without a model."""
    known = {device for device in np.unique(rows["device"]).tolist() if has_sheet(device)}
    mask = ~np.isin(rows["device"], sorted(known))
    if "message_size" in rows:
        mask |= ~np.isin(rows["op_name"], OPERATIONS)
    return np.asarray(mask)


def left_out(subject: Subject, rows: Columns) -> npt.NDArray[np.bool_]:
    """True for the rows of `subject` that are neither fitted nor judged: `LEFT_OUT`, `unknown`, and those without a positive time."""
    mask = ~(np.isfinite(rows["us"]) & (rows["us"] > 0)) | unknown(rows)
    for entry in LEFT_OUT:
        mask |= entry.mask(subject, rows)
    return np.asarray(mask)
