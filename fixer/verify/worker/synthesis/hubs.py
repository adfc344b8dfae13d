"""Models of the transformers library that would be fetched by name: small ones of their kind, untrained.

Nothing is imported here: the library is only there if the code under test has imported it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from .tokens import MOST_WORDS, Tokens

_LAYERS = re.compile(r"(^|_)(n|num)_(\w+_)?(layers?|blocks)$|^(en|de)coder_layers$|^n_layer$|^depth$")
_MOST_LAYERS = 2
_USUAL = "bert"
_MODELS = ("modeling_utils", "configuration_utils", "tokenization_utils_base")
_AUTO = ("models.auto.auto_factory", "models.auto.configuration_auto", "models.auto.tokenization_auto")
_NAMES = ("PreTrainedModel", "PreTrainedConfig", "PretrainedConfig", "PreTrainedTokenizerBase")
_AUTO_NAMES = ("_BaseAutoModelClass", "AutoConfig", "AutoTokenizer")


def made_small(config: Any) -> Any:
    """Reduce the layers and words of a configuration, and of those inside it: widths go with other code."""
    for name, value in list(vars(config).items()):
        if hasattr(value, "model_type"):
            made_small(value)
        elif type(value) is int:
            most = _MOST_LAYERS if _LAYERS.search(name) else MOST_WORDS if name == "vocab_size" else value
            if value > most:
                setattr(config, name, most)
    return config


def _kind_named(name: str, kinds: Any) -> str:
    """Return the kind of model that a name like ``some-lab/bert-base-uncased`` speaks of."""
    plain = re.sub(r"[^a-z0-9]", "", str(name).lower())
    found = [kind for kind in kinds if re.sub(r"[^a-z0-9]", "", kind.lower()) in plain]
    return max(found, key=len, default=_USUAL)


def _auto_config(name: str) -> Any:
    mapping = sys.modules["transformers.models.auto.configuration_auto"].CONFIG_MAPPING
    return made_small(mapping[_kind_named(name, mapping.keys())]())


def _config(cls: Any, name: Any = "", *_args: Any, **_options: Any) -> Any:
    made = _auto_config(name) if cls.__name__ == "AutoConfig" else made_small(cls())
    return (made, {}) if _options.get("return_unused_kwargs") else made


def _model(cls: Any, name: Any = "", *_args: Any, **options: Any) -> Any:
    config = options.get("config")
    if hasattr(cls, "from_config"):
        return cls.from_config(config or _auto_config(name))
    return cls(config or made_small(cls.config_class()))


def _tokenizer(_cls: Any, *_args: Any, **_options: Any) -> Tokens:
    return Tokens()


def replaced() -> Iterator[tuple[Any, str, Any]]:
    """Yield the classes that fetch by name, the name of the method, and what does instead."""
    for module in (*_MODELS, *_AUTO):
        names = vars(sys.modules.get(f"transformers.{module}", object))
        for name in (*_NAMES, *_AUTO_NAMES):
            if name in names and "from_pretrained" in vars(names[name]):
                instead = _config if "Config" in name else _tokenizer if "Token" in name else _model
                yield names[name], "from_pretrained", _unless_there(names[name], instead)


def _unless_there(owner: Any, instead: Any) -> Any:
    """Read what lies in a folder of this machine, and nothing else."""
    original = vars(owner)["from_pretrained"]

    def from_pretrained(cls: Any, name: Any = "", *args: Any, **options: Any) -> Any:
        if isinstance(name, (str, os.PathLike)) and os.path.isdir(name):
            return original.__get__(None, cls)(name, *args, **options)
        return instead(cls, name, *args, **options)

    return classmethod(from_pretrained)
