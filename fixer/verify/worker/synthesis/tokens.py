"""What stands for a tokenizer: each character is a token."""

from __future__ import annotations

from typing import Any

import torch

MOST_WORDS = 1000


class Encoded(dict):  # type: ignore[type-arg]
    """What a tokenizer returns: its entries are items and attributes alike, and can be sent to a device."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"'Encoded' object has no attribute {name!r}") from None

    def to(self, *args: Any, **options: Any) -> Encoded:
        """Send all tensors to a device."""
        return Encoded({name: value.to(*args, **options) for name, value in self.items()})


class Tokens:
    """Stands for a tokenizer: each character is a token, and all texts are as long as the longest."""

    pad_token_id = eos_token_id = bos_token_id = unk_token_id = cls_token_id = sep_token_id = 0
    mask_token_id = 1
    pad_token = eos_token = bos_token = unk_token = cls_token = sep_token = chr(0)
    mask_token = chr(1)
    padding_side = truncation_side = "right"
    is_fast = True
    vocab_size = MOST_WORDS
    model_max_length = 512

    def __len__(self) -> int:
        return self.vocab_size

    def __call__(self, texts: Any, *_args: Any, **_options: Any) -> Any:
        """Return the ids of a text or of several, and which of them are no padding."""
        rows = [[ord(item) % self.vocab_size for item in str(text)] or [0] for text in _listed(texts)]
        longest = max(map(len, rows), default=1)
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return Encoded(input_ids=ids, attention_mask=(ids > 0).long(), token_type_ids=ids * 0)

    batch_encode_plus = encode_plus = __call__

    def tokenize(self, text: Any, *_args: Any, **_options: Any) -> list[str]:
        """Return the tokens of a text: its characters."""
        return list(str(text))

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or those of several."""
        if isinstance(tokens, str):
            return ord(tokens[:1] or self.pad_token) % self.vocab_size
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def decode(self, ids: Any, *_args: Any, **_options: Any) -> str:
        """Return the text of some ids."""
        return "".join(chr(int(item)) for item in ids)

    def batch_decode(self, rows: Any, *_args: Any, **_options: Any) -> list[str]:
        """Return the texts of several rows of ids."""
        return [self.decode(row) for row in rows]

    def encode(self, text: Any, *_args: Any, **_options: Any) -> list[int]:
        """Return the ids of one text."""
        ids: list[int] = self(text).input_ids[0].tolist()
        return ids

    def add_tokens(self, *_args: Any, **_options: Any) -> int:
        """Know all tokens already."""
        return 0

    add_special_tokens = add_tokens


def _listed(texts: Any) -> list[Any]:
    return list(texts) if isinstance(texts, (list, tuple)) else [texts]
