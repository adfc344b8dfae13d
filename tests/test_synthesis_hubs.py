"""Models that a library would fetch by name, and what stands in for them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fixer.verify.worker.synthesis import build, hubs, synthesize, tokens, weights
from tests.synthesis_support import require_differentiated

OFFLINE = "We couldn't connect to 'https://huggingface.co' to load the files"


class Config:
    model_type = "letters"

    def __init__(self):
        self.num_hidden_layers = 12
        self.hidden_size = 24
        self.vocab_size = 30000

    @classmethod
    def from_pretrained(cls, name, **_options):
        if Path(name).is_dir():
            return Path(name, "config").read_text()
        raise OSError(OFFLINE)


class Letters(nn.Module):
    config_class = Config

    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.Sequential(*[nn.Linear(24, 24) for _ in range(config.num_hidden_layers)])

    def forward(self, ids):
        return self.layers(self.embed(ids))

    @classmethod
    def from_pretrained(cls, name, **_options):
        raise OSError(OFFLINE)


class Tokenizer:
    @classmethod
    def from_pretrained(cls, name):
        raise OSError(OFFLINE)


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in for the library itself, as far as it is asked for."""
    classes: dict[str, Any] = {"PreTrainedConfig": Config}
    for module, held in (
        ("configuration_utils", classes),
        ("modeling_utils", {"PreTrainedModel": Letters}),
        ("tokenization_utils_base", {"PreTrainedTokenizerBase": Tokenizer}),
    ):
        made = types.ModuleType(f"transformers.{module}")
        vars(made).update(held)
        monkeypatch.setitem(sys.modules, f"transformers.{module}", made)
    yield
    with pytest.raises(OSError, match="connect"):
        Config.from_pretrained("letters")


class Classifier(nn.Module):
    """Puts a layer on top of a model that is trained already, and is as wide as that says."""

    def __init__(self, model_name: str = "some-lab/letters-base", classes: int = 2):
        super().__init__()
        self.tokenizer = Tokenizer.from_pretrained(model_name)
        self.backbone = Letters.from_pretrained(model_name)
        self.fc = nn.Linear(Config.from_pretrained(model_name).hidden_size, classes)

    def forward(self, ids):
        return self.fc(self.backbone(ids).mean(1))


def test_a_small_untrained_model_of_the_kind_stands_in() -> None:
    require_differentiated(Classifier, 20.0)
    module = build(Classifier, synthesize(Classifier, {}, 20.0))
    assert len(module.backbone.layers) == 2
    assert module.backbone.embed.weight.shape == (1000, 24)


def test_what_lies_on_this_machine_is_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("mine")
    with weights.not_fetched(True):
        assert Config.from_pretrained(str(tmp_path)) == "mine"
        assert Config.from_pretrained("letters").hidden_size == 24


def test_texts_become_rows_of_equal_length() -> None:
    found = tokens.Tokens()(["ab", "a"], return_tensors="pt")
    assert found.input_ids.tolist() == [[97, 98], [97, 0]]
    assert torch.equal(found["attention_mask"], torch.tensor([[1, 1], [1, 0]]))


class Reads(nn.Module):
    """Is given a tokenizer, and texts."""

    def __init__(self, tokenizer, width: int = 8):
        super().__init__()
        if tokenizer.model_max_length < 10:
            raise ValueError("too short")
        self.tokenizer, self.embed = tokenizer, nn.Embedding(len(tokenizer), width)

    def forward(self, texts: list[str]):
        found = self.tokenizer(texts, padding=True, return_tensors="pt").to("cpu")
        return self.embed(found["input_ids"]) * found.attention_mask[..., None]


def test_a_tokenizer_is_given() -> None:
    require_differentiated(Reads, 20.0)


@pytest.mark.parametrize(
    ("name", "kind"), [("some-lab/RoBERTa-base", "roberta"), ("t5-v1_1", "t5"), ("unheard-of", "bert")]
)
def test_the_kind_is_told_by_the_name(name: str, kind: str) -> None:
    assert hubs._kind_named(name, ["bert", "roberta", "t5"]) == kind
