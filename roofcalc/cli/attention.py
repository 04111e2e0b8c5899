"""`roofcalc attention`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, MODEL, PRECISION, SEQ, VARIANT, WHAT_IF
from roofcalc.commands.attention import attention

COMMAND = command(
    "attention",
    attention,
    (
        MODEL,
        SEQ,
        VARIANT,
        *(option for option in PRECISION if option.name == "kv"),
        *(option for option in ASSUMPTIONS if option.name == "kv_policy"),
        *WHAT_IF,
    ),
    "KV bytes and attention FLOPs per token against context: the model as it is, and with another attention.",
    (
        "roofcalc attention llama-3.1-70b --seq 8k,128k --variant window=1024:5of6 --variant kv_heads=1 --variant kv=fp8",
        "roofcalc attention llama-3.1-8b --seq 1k:128k:x2 --variant linear=lightning:7of8 --variant mla=512 -f csv",
    ),
)
