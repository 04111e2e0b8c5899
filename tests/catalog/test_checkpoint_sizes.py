"""Sizes of published checkpoints, computed from the model's shapes and the recipe of its weights, beside the published bytes."""

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.catalog.checkpoints import Checkpoint, checkpoint, checkpoints
from roofcalc.deployment.deployment import deploy
from roofcalc.deployment.speculative import with_drafts
from roofcalc.physics.memory import weight_bytes
from roofcalc.specs import gguf_kinds
from roofcalc.specs.parameter_count import count
from tests.each import each

ONE = lookup.hardware("h100-sxm")[0]
V3_ELEMENTS = 684_531_386_000 - 41_540_496  # of DeepSeek's own files, MTP layer included, without the scales of 8-bit blocks
VOCABULARY = 10e6  # a GGUF file holds its tokens and merges too: 7.8 MB of Llama 3, which matters beside a model of 1B
SIZED = [row for row in checkpoints() if row.published_bytes]
BITS_FROM_SIZE = "unsloth/DeepSeek-R1-GGUF"  # whose recipes are means that these sizes give: no check

# Differences that have another cause than the recipe.
EXCEPTIONS = {
    "microsoft/phi-4-gguf phi-4-IQ3_XXS.gguf": "made without an importance matrix, so that down projections are Q4_K and Q3_K",
    "bartowski/Mixtral-8x22B-v0.1-GGUF Mixtral-8x22B-v0.1-IQ4_XS.gguf": "made without an importance matrix: some down projections are Q5_K",
    "gpt4all/gpt4all-falcon gpt4all-falcon-newbpe-q4_0.gguf": "holds the tied head a second time",
    "ollama/deepseek-r1:8b": "Ollama's own quantiser keeps more tensors wide",
    "Kaleto/Llama-3.3-70B-Instruct-NVFP4": "published as 40 GB, which is 39.8 GiB",
    "panoyo9829/llava-v1.6-mistral-7b-bnb-4bit": "published as 4.6 GB, to 2 %, and with a quantised encoder",
    "meta-llama/Llama-3.1-405B-Instruct-FP8": "memory after loading, with what an engine adds",
}
# Dynamic kinds at which more or fewer layers are kept wide than in the models that give the mean (roofcalc.specs.gguf_kinds).
BY_MODEL = {
    *(f"unsloth/Qwen3-30B-A3B-GGUF Qwen3-30B-A3B-UD-{kind}.gguf" for kind in ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ3_XXS")),
    "unsloth/Kimi-K2-Instruct-GGUF UD-IQ2_XXS",
}


def name(row: Checkpoint) -> str:
    return f"{row.repo_id} {row.file}".strip()


def size(model_name: str, weights: str, mtp: str = "", towers: bool = True) -> float:
    model = lookup.model(model_name)[0]
    alone = deploy(model, ONE, weights=weights, tp=1, pp=1)
    total = weight_bytes(alone, alone.stages[0])
    if mtp and model.mtp:
        draft = with_drafts(deploy(model, ONE, weights=mtp, tp=1, pp=1), None, 0.5, None, True).draft
        assert draft and draft.deployment
        total += model.mtp.heads * weight_bytes(draft.deployment, draft.deployment.stages[0])
    return total - (0 if towers else 2 * sum(model.excluded.values()))


def difference(row: Checkpoint) -> float:
    """Relative; a published size counts up to half its last digit either way."""
    assert row.published_bytes and row.precision_bytes
    encoders = row.format not in ("gguf", "ollama", "mlx")  # in files of their own
    found = size(row.model, row.weights, row.mtp, encoders) - row.published_bytes
    spare = row.precision_bytes / 2 + (VOCABULARY if row.format in ("gguf", "ollama") else 0)
    return max(0.0, abs(found) - spare) / row.published_bytes


@each([row for row in SIZED if row.repo_id != BITS_FROM_SIZE])
def test_the_size_is_the_published_one(row: Checkpoint) -> None:
    allowed = 0.01 if row.format in ("gguf", "ollama") else 0.015
    if name(row) in BY_MODEL:
        assert allowed < difference(row) < 0.05, "no exception any more"
    elif name(row) in EXCEPTIONS:
        assert allowed < difference(row) < 0.07 or row.precision_bytes > 1e8 or row.format == "loaded", "no exception any more"
    else:
        assert difference(row) <= allowed


def test_exceptions_are_few_and_rows_of_the_table() -> None:
    assert BY_MODEL | EXCEPTIONS.keys() <= {name(row) for row in SIZED} and len(EXCEPTIONS) <= 7


def test_every_gguf_kind_but_three_is_checked_against_two_files() -> None:
    """Q2_K_S, TQ2_0 and MXFP4 beside Q8_0 of models other than gpt-oss have no published size in the table."""
    counted: dict[str, int] = {}
    for row in SIZED:
        if row.format in ("gguf", "ollama") and gguf_kinds.canonical(row.weights) and name(row) not in EXCEPTIONS and name(row) not in BY_MODEL:
            counted[row.weights] = counted.get(row.weights, 0) + 1
    missing = {kind for kind in gguf_kinds.KINDS if gguf_kinds.canonical(kind) == kind and counted.get(kind, 0) < 2}
    assert missing == {"q2_k_s", "tq1_0", "tq2_0", "q5_1"}
    assert counted["q5_1"] == counted["tq1_0"] == 1


def test_dynamic_kinds_keep_what_is_not_an_expert_wider() -> None:
    """Q2_K_XL of 30B to 1T: one mean for all linear layers is 2 % off at DeepSeek-R1-0528, and 3 % at Kimi K2."""
    for model, gb in (("qwen3-30b-a3b", 11.814), ("deepseek-r1", 251), ("kimi-k2", 381)):
        assert size(model, "ud_q2_k_xl", towers=False) / 1e9 == pytest.approx(gb, rel=6e-3)
    first = checkpoint("unsloth/DeepSeek-R1-GGUF:UD-IQ1_S")  # dynamic kinds of January 2025: 130.60 GiB, as llama.cpp prints
    assert first and size(*first) / 2**30 == pytest.approx(130.60, rel=2e-3)


def test_other_formats_are_checked_too() -> None:
    kinds = {"fp8": 4, "awq": 8, "gptq": 5, "nvfp4": 5, "mlx": 10}
    for kind, least in kinds.items():
        rows = [row for row in SIZED if kind in f"{row.format} {row.kind} {row.weights}" and name(row) not in EXCEPTIONS]
        assert len(rows) >= least, kind


# Bytes of the tensors of nvidia's NVFP4 checkpoints, encoders and multi-token-prediction layers left out. [GB]
@pytest.mark.parametrize(
    ("repo_id", "gb"),
    [
        ("nvidia/Gemma-4-31B-IT-NVFP4", 31.48),
        ("nvidia/Gemma-4-26B-A4B-NVFP4", 17.64),
        ("nvidia/Qwen3.5-122B-A10B-NVFP4", 77.52),
        ("nvidia/Qwen3.5-397B-A17B-NVFP4", 237.0),
        ("nvidia/Kimi-K2.6-NVFP4", 594.2),
        ("nvidia/Kimi-K2.7-Code-NVFP4", 594.2),
        ("nvidia/DeepSeek-V3.1-NVFP4", 386.4),
        ("nvidia/DeepSeek-V3.2-NVFP4", 388.1),
        ("nvidia/DeepSeek-V4-Flash-NVFP4", 164.3),
        ("nvidia/DeepSeek-V4-Pro-NVFP4", 898.1),
    ],
)
def test_mixes_of_nvfp4_checkpoints(repo_id: str, gb: float) -> None:
    found = checkpoint(repo_id)
    assert found and size(*found, towers=False) / 1e9 == pytest.approx(gb, rel=3e-3)


@pytest.mark.parametrize(
    ("repo_id", "elements"),
    [("nvidia/DeepSeek-R1-NVFP4", 396_767_013_632), ("nvidia/DeepSeek-R1-0528-NVFP4-v2", 393_632_819_968)],
)
def test_elements_of_nvfp4_checkpoints(repo_id: str, elements: int) -> None:
    """Of all tensors as llmfit 1.1.17 lists them: two packed values a byte, a scale for 16; the rest and the MTP layer in 16 bits."""
    found = checkpoint(repo_id)
    assert found
    mtp = V3_ELEMENTS - count(lookup.model("deepseek-r1")[0]).total
    packed = (2 * (V3_ELEMENTS - mtp) - size(*found)) / (2 - 9 / 16)
    assert V3_ELEMENTS - packed * 7 / 16 == pytest.approx(elements, rel=1e-5)


def test_bitsandbytes() -> None:
    """unsloth/llama-3-8b-Instruct-bnb-4bit: a download of 5.70 GB; vLLM loaded unsloth's Llama 3.1 8B into 5.3541 GiB."""
    assert size("llama-3-8b", "bnb-4bit") == pytest.approx(5.70e9, abs=5e6)
    assert size("llama-3.1-8b", "bnb-4bit") == pytest.approx(5.3541 * 2**30, rel=0.01)


def test_a_repository_by_name_kind_and_file() -> None:
    assert checkpoint("Meta-Llama/Llama-3.1-405B-Instruct-FP8") == ("llama-3.1-405b", "mlp@1-124=fp8")
    assert checkpoint("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:IQ2_M") == ("llama-3.1-8b", "iq2_m")
    assert checkpoint("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "Meta-Llama-3.1-8B-Instruct-Q6_K.gguf") == ("llama-3.1-8b", "q6_k")
    assert checkpoint("bartowski/Mistral-7B-Instruct-v0.3-GGUF") == ("mistral-7b-v0.3", "q4_k_m")
    assert checkpoint("TheBloke/Xwin-LM-70B-V0.1-GPTQ") == ("llama-2-70b", "int4-channel")
    assert checkpoint("nobody/Nothing-AWQ") is None
    assert checkpoint("bartowski/Mistral-7B-Instruct-v0.3-GGUF:Q9_K") is None


# In GiB as https://ailocalcheck.com/model/unsloth/gpt-oss-120b-GGUF prints them; GB of https://huggingface.co/bartowski/openai_gpt-oss-20b-GGUF,
# whose card says that all kinds keep the feed-forward networks in MXFP4
@pytest.mark.parametrize(
    ("model", "kind", "gb"),
    [
        ("gpt-oss-120b", "q2_k", 58.27 * 2**30 / 1e9),
        ("gpt-oss-120b", "q4_k_m", 58.46 * 2**30 / 1e9),
        ("gpt-oss-120b", "q6_k", 58.94 * 2**30 / 1e9),
        ("gpt-oss-120b", "q8_0", 59.03 * 2**30 / 1e9),
        ("gpt-oss-20b", "q6_k", 12.04),
    ],
)
def test_every_gguf_kind_of_gpt_oss_keeps_its_experts_in_mxfp4(model: str, kind: str, gb: float) -> None:
    (row,) = rc.memory(model, "h200-sxm", weights=kind, seq=1000).rows()
    assert row["weights_gb"] == pytest.approx(gb, rel=2e-3)
