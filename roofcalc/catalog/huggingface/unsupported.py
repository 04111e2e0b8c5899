"""Types of models that engines serve and catalog files cannot describe yet, each with its reason."""

REASONS: dict[str, str] = {
    "glm5_next": "its indexer scores pooled blocks of keys (index_kpool), and its latent attention has no rotary part",
    "mistral_large4": "its indexer takes queries of full rank, and every fourth layer has latent attention without a rotary part",
    "qwen4_exp": "it has low-rank hyper-connections, hashed n-gram embeddings and an indexer over pooled blocks",
    "zaya": "its attention convolves queries and keys along the sequence, and its router is a network of its own",
    "recurrent_gemma": "its recurrent layers (RG-LRU) have no record",
    "rwkv": "its recurrent layers have no record",
    "xlstm": "its recurrent layers have no record",
    "whisper": "it is an encoder-decoder model",
    "t5": "it is an encoder-decoder model",
    "mt5": "it is an encoder-decoder model",
    "bart": "it is an encoder-decoder model",
    "bert": "it is an encoder, which generates no tokens",
    "roberta": "it is an encoder, which generates no tokens",
    "xlm-roberta": "it is an encoder, which generates no tokens",
    "modernbert": "it is an encoder, which generates no tokens",
}
"""model_type -> the reason of its refusal. Read in the modeling files of transformers 5.24."""


def reason(kind: str) -> str | None:
    """Why a model_type is refused, by itself or as the text part of another; None for one that is not known."""
    return REASONS.get(kind) or REASONS.get(kind.removesuffix("_text"))
