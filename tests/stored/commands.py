"""The command lines whose answers are stored: every command, over kinds of models, machines, layouts, precisions and presets."""

from itertools import product

_PAIRS = (
    ("llama-3.1-405b", "8xh100-sxm", "--weights all=fp8"),
    ("llama-3.1-70b", "4xh100-sxm", "--weights all=fp8 --kv fp8"),
    ("llama-3.1-8b", "h100-sxm", ""),
    ("deepseek-v3", "8xh200-sxm", ""),
    ("gpt-oss-120b", "2xh100-sxm", ""),
    ("gemma-3-27b", "h100-sxm", ""),
    ("qwen3-235b-a22b", "8xmi300x", "--weights all=fp8"),
    ("mixtral-8x7b", "2xa100-sxm-80gb", ""),
    ("qwen3-32b", "l40s", "--weights all=int4"),
    ("nemotron-h-8b", "h100-sxm", ""),
)
_TYPICAL = "--assume typical"
_BOUND = "--assume bound"


def _over_pairs(command: str, *tails: str) -> list[str]:
    return [f"{command} {model} {machine} {precision} {tail}" for (model, machine, precision), tail in product(_PAIRS, tails)]


COMMANDS = [
    " ".join(line.split())
    for line in (
        *_over_pairs("max-batch", "--seq 1k,8k", f"--seq 4k {_TYPICAL}", f"--seq 4k {_BOUND}", "--isl 1000 --osl 500"),
        *_over_pairs("interactivity", "--seq 2k,16k --batch 1,32", f"--seq 4k --batch 1,64 {_TYPICAL}", f"--seq 4k --batch 8 {_BOUND}"),
        *_over_pairs("memory", "--seq 8k --batch 1,16", "--seq 4k --util 0.9 --reserve 2", "--seq 8k --kv-policy reserved --kv-block 64"),
        *_over_pairs("prefill", "--seq 1k,8k", f"--seq 4k --cached 1k --chunk 2k {_TYPICAL}", f"--seq 4k {_BOUND}"),
        *_over_pairs("flops", "--seq 1k,32k", "--batch 16 --interactivity 20 --seq 4k"),
        *_over_pairs("ops", "--seq 4k --batch 8", "--seq 2k --phase prefill", "--seq 2k --batch 2 --per-layer --columns op,time_us,limited_by"),
        *_over_pairs("explain max-batch", "--seq 4k"),
        *_over_pairs("explain memory", "--seq 4k"),
        *_over_pairs("explain interactivity", "--seq 4k --batch 4"),
        *_over_pairs("explain prefill", "--seq 4k"),
        *_over_pairs("cost", "--query 140:775 --query 140:7661 --usd-per-hour 3", f"--query 1k:500 --usd-per-hour 2 {_TYPICAL}"),
        *_over_pairs("vote", "--streams 1,5 --prefix 0,4k --suffix 1k", "--streams 5 --prefix 2k --suffix 2k --accuracy 0.6"),
        *_over_pairs("rollouts", "--rollouts 64 --problems 1000 --usd-per-hour 2"),
        *_over_pairs("reliability", "--tokens 10k,100k"),
        *(f"attention {model} --seq 8k,64k --variant kv=fp8" for model, _, _ in _PAIRS),
        "attention llama-3.1-70b --seq 8k,128k --variant window=1024:5of6 --variant kv_heads=1 --variant linear=lightning:7of8 --variant mla=512",
        "overtrain --train-flop-ratio 100",
        "overtrain --law besiroglu --params-ratio 0.25,0.5 --params 70e9 --pretrain-tokens 1.4e12",
        "frontier llama-3.1-405b 8xh100-sxm --weights all=fp8 --kv bf16,fp8",
        "frontier llama-3.1-70b h100-sxm --devices 4,8 --weights all=fp8 --isl 4000 --osl 1000",
        "frontier llama-3.1-70b 8xh100-sxm --weights all=fp8 --isl 4000 --osl 1000 --disaggregated",
        "frontier deepseek-v3 h200-sxm --devices 8,16 --seq 4k",
        "frontier mixtral-8x7b 4xa100-sxm-80gb --seq 4k --assume typical",
        "frontier gpt-oss-120b 2xh100-sxm --seq 8k --all --batch 1,8",
        "plan llama-3.1-405b h100-sxm h200-sxm mi300x --weights all=fp8 --seq 8k --batch 64 --interactivity 30",
        "plan llama-3.1-70b 8xh100-sxm --weights all=fp8 --isl 4000 --osl 500 --requests-per-second 20 --ttft 0.5 --spare 1",
        "plan llama-3.1-8b l40s --seq 8k --batch 32 --interactivity 20",
        "plan deepseek-v3 h200-sxm --seq 8k --batch 256 --interactivity 30",
        "plan llama-3.1-70b h100-sxm --seq 8k --batch 20 --assume typical",
        "plan llama-3.1-8b rtx-4090 --seq 8k --batch 40 --interactivity 20 --layouts all --usd-per-hour 1",
        "compare llama-3.1-70b 8xh100-sxm 8xmi300x --weights fp8 --isl 2k --osl 500 --usd-per-hour 3",
        "compare gpt-oss-120b h100-sxm l40s --isl 2k --osl 500 --requests-per-second 10 --ttft 1 --usd-per-hour 3",
        "max-batch llama-3.1-8b h100-sxm --seq 4k --set hardware.memory.bandwidth_gb_s=2000:4000:500",
        "max-batch llama-3.1-70b 8xh100-sxm --seq 4k --draft 4 --acceptance 0.7",
        "max-batch llama-3.1-70b 8xh100-sxm --seq 4k --draft 4 --acceptance 0.7 --draft-model llama-3.1-8b",
        "max-batch deepseek-v3 8xh200-sxm --seq 4k --mtp --acceptance 0.8",
        "max-batch deepseek-v3 8xh200-sxm --seq 4k --tp 1 --dp 8 --ep 8 --imbalance 1.2",
        "max-batch deepseek-v3 8xh200-sxm --seq 4k,16k --dcp 8",
        "max-batch llama-3.1-70b 2xdgx-h100 --seq 8k --tp 8 --pp 2 --overlap net",
        "max-batch llama-3.1-70b 16xtpu-v5e --seq 4k",
        "max-batch deepseek-v3 gb200-nvl72 --seq 8k --weights all=fp8",
        "interactivity llama-3.1-405b 8xh100-sxm --weights all=fp8 --batch 72 --seq 7661 --mbu 0.775 --mfu 0.717 --network ideal",
        "interactivity llama-3.1-70b 8xh100-sxm --isl 1000 --osl 500 --batch 1,32 --overlap none",
        "interactivity llama-3.1-70b 8xh100-sxm --seq 4k --batch 8 --assume typical --engine tensorrt-llm",
        "hardware show h100-sxm",
        "hardware show 8xh100-sxm gb200-nvl72",
        "models show llama-3.1-405b",
        "models show deepseek-v3 gpt-oss-120b",
        "validate tests/stored/points.csv",
        "validate tests/stored/points.csv --summary",
        "fit tests/stored/points.csv",
        "fit llama-3.1-405b 8xh100-sxm --weights all=fp8 --network ideal "
        "--point seq=7661,batch=72,interactivity=30 --point seq=775,batch=368,interactivity=30",
        "check tests/stored/checks.yaml",
        # refusals are answers too
        "max-batch llama-3.1-405b h100-sxm --seq 1k",
        "max-batch llama-9 h100-sxm",
        "interactivity llama-3.1-8b h100-sxm --kv-policy foo",
        "memory llama-3.1-8b h100-sxm --seq 8k:4k:1k",
    )
]
