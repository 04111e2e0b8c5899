"""`roofcalc from`."""

from roofcalc.cli.command import command
from roofcalc.cli.options import ASSUMPTIONS, BATCH, HARDWARE, LINE, PRECISION, SEQ, WHAT_IF
from roofcalc.commands.from_command import from_command

COMMAND = command(
    "from",
    from_command,
    (LINE, HARDWARE, SEQ, BATCH, *PRECISION, *ASSUMPTIONS, *WHAT_IF),
    "Memory and the largest batch of an engine's start: the command line of vLLM, SGLang, TensorRT-LLM or llama.cpp, in quotes.",
    (
        "roofcalc from 'vllm serve Qwen/Qwen3-32B-AWQ --tensor-parallel-size 4 --max-model-len 32768 --gpu-memory-utilization 0.92' 4xl40s",
        "roofcalc from 'python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1 --tp 8' h200-sxm,b200-sxm",
        "roofcalc from 'llama-server -m Qwen3-30B-A3B-Q4_K_M.gguf -c 32768 -np 4 -ngl 99' rtx-4090",
    ),
)
