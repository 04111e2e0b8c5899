"""Models that roofcalc cannot calculate: closed ones, and encoders and generators of pictures or sound; with what would work instead."""

from __future__ import annotations

import re

from roofcalc.errors import RoofcalcError

_CLOSED = re.compile(
    r"(?:openai/)?(?:gpt-?(?:3\.5|4|4o|4\.\d|5(?:\.\d)?)(?:-.*)?|chatgpt.*|o[134](?:-(?:mini|pro|preview).*)?|text-embedding-.*)"
    r"|(?:anthropic[/.])?claude.*|(?:google/)?gemini.*|(?:google/)?palm.*|(?:x-?ai/)?grok-?[3-9].*|(?:amazon[/.])?nova-.*|qwen-?(?:max|plus|turbo).*"
    r"|(?:mistralai/)?mistral-(?:tiny|medium|large-latest).*|(?:cohere/)?command-?(?:light|nightly)|(?:perplexity/)?sonar.*|reka-(?:core|flash).*|jurassic.*"
    r"|kimi-latest|ernie-?(?:bot|4\.0|5).*|doubao.*|hunyuan-turbo.*|yi-(?:large|lightning).*|glm-4-plus|inflection.*",
    re.IGNORECASE,
)
_EMBEDDING = re.compile(
    r"bge-|gte-(?!qwen)|(?:multilingual-)?e5-(?!mistral)|all-minilm|all-mpnet|paraphrase-|nomic-embed|mxbai-embed|snowflake-arctic-embed|arctic-embed"
    r"|jina-(?:embeddings|colbert|clip)|(?:modern|distil|camem|deberta|al|ro)?bert|deberta|colbert|splade|instructor-|embeddinggemma|uae-|stella|minilm|xlm-r|sentence-t5",
    re.IGNORECASE,
)
_RERANKER = re.compile(r"(?:bge|jina|mxbai)-rerank|ms-marco", re.IGNORECASE)
_SPEECH = re.compile(r"whisper|wav2vec|parakeet|canary|kokoro|xtts|bark|seamless|voxtral-tts|musicgen|hubert|distil-whisper", re.IGNORECASE)
_SEQ2SEQ = re.compile(r"(?:flan-|m|u|long|by|code|madlad.*)?t5-|flan-?t5|^t5$|bart-|nllb|m2m100|opus-mt|pegasus|t0pp|marian", re.IGNORECASE)
_PICTURES = re.compile(
    r"stable-diffusion|sdxl|flux\.?1|flux-|kandinsky|dall-?e|midjourney|wan2|hunyuanvideo"
    r"|ltx-video|pixart|sora|qwen-image|sd3|z-image",
    re.IGNORECASE,
)
_VISION = re.compile(
    r"(?:open)?clip-|siglip|dinov?|vit-|yolo|sam2?-|segment-anything|resnet|convnext|swin-|florence|trocr|layoutlm|paddleocr",
    re.IGNORECASE,
)

_KINDS = (
    (_RERANKER, "an encoder", "rerankers that are decoders: qwen3-reranker-0.6b, qwen3-reranker-4b, qwen3-reranker-8b"),
    (_EMBEDDING, "an encoder", "embedding models that are decoders: qwen3-embedding-0.6b, qwen3-embedding-4b, qwen3-embedding-8b"),
    (_SPEECH, "a speech encoder with a small decoder", "decoders with audio input: qwen2.5-omni-7b, qwen3-omni-30b-a3b, phi-4-multimodal"),
    (_SEQ2SEQ, "an encoder-decoder model", "decoders of the same size, such as llama-3.2-1b or qwen3-8b"),
    (_PICTURES, "a diffusion model", "language models alone (`roofcalc models list`)"),
    (_VISION, "a vision encoder", "decoders with vision: qwen2.5-vl-7b, gemma-3-12b, llama-3.2-11b-vision"),
)


def closed(name: str) -> RoofcalcError | None:
    """The refusal of a model whose makers publish no architecture."""
    if _CLOSED.fullmatch(name.strip().replace(" ", "-").replace("_", "-")) is None:
        return None
    return RoofcalcError(f"{name.strip()}: its architecture is not published, so it cannot be calculated (`roofcalc models list` has open models)")


def other_kind(name: str) -> RoofcalcError | None:
    """The refusal of a model that is no decoder with a cache."""
    tail = name.strip().rpartition("/")[2].replace(" ", "-").replace("_", "-")
    for pattern, what, instead in _KINDS:
        if pattern.match(tail):
            return RoofcalcError(f"{name.strip()}: {what}, and roofcalc calculates decoders that generate token by token; it has {instead}")
    return None
