"""What the names of arguments say about their values.

Sizes are small, and widths are divisible by what models divide them by (heads, groups, reductions).
Each table is read from the top: the first line with a pattern that is found in the name decides.
"""

from __future__ import annotations

import re
from typing import Any

WIDTH = 32
BATCH = 2
LENGTH = 6
SIDE = 16
UNKNOWN = 4
"""What an integer is whose name says nothing."""


def _compiled(table: tuple[tuple[Any, str], ...]) -> tuple[tuple[Any, re.Pattern[str]], ...]:
    return tuple((value, re.compile("|".join(patterns.split()))) for value, patterns in table)


_INTEGERS = _compiled(
    (
        (50, "num_embed vocab n_?tokens num_tokens dict_size n_?words voc_size"),
        (50, "(num|n)_(items|users)"),
        (8, "head_dim dim_head head_size d_head"),
        (2, "spatial_dims? ^ndims?$ ^n_?dim$ conv_dim$ dimensionality"),
        (2, "heads?$ nhead ^n?h$ _heads_"),
        (3, "kernel ^ks?$ filter_size ksize"),
        (1, "stride dilation groups?$ ^padding$ ^pad$ multiplier"),
        (1, "n_samples_per expansion mult$ downsample_rate"),
        (2, "num_groups n_groups reduction ratio scale factor"),
        (0, "padding_idx pad_idx pad_id pad_token offset start seed axis rank$ _id$ idx$ index$"),
        (3, "moving_av"),
        (4, "patch window"),
        (SIDE, "(input|image|img|crop|volume|grid)_shape ^img_[hw]$"),
        (SIDE, "img_size image_size imgsz resolution spatial ^height$ ^[hw]$"),
        (LENGTH, "max_(seq|len|pos|text|target|source|l|t) seq_?len maxlen context_length"),
        (LENGTH, "block_size n_ctx"),
        (LENGTH, "n_positions"),
        (10, "num_class n_class nclass num_labels n_labels ncls n_cls num_categories"),
        (
            2,
            "lay?er_?num lay?ers?$ depth num_block n_block blocks?$ n_?layer num_layer stages? repeat",
        ),
        (2, "stacks?$ num_res n_res num_conv hops order degree levels?$ (n|num)_flows"),
        (12, "^(n|num)_steps$"),
        (2, "steps iters?$ iterations power recur"),
        (WIDTH, "^dim$"),
        (4, r"modes?\d*$ mixtures? components? gaussians? capsules? experts? ^k$ num_k top_?k clusters?"),
        (4, "prototypes? bins ^m$ nodes? n_agents num_agents n_actions actions?$"),
        (10, "timesteps ^t$"),
        (8, "freq bands num_samples n_samples n_fft points codes codebook"),
        (WIDTH, "dim size width channel hidden feat planes units emb latent"),
        (WIDTH, "filters maps inp oup input output"),
        (WIDTH, r"^n[fzc]$ ^ng?f$ ^ndf$ ^d_ _d$ ^in_ ^out_ ^c\d?$ ^ch ^cin$"),
        (WIDTH, r"^cout$ ^in$ ^out$ neurons inner"),
        (WIDTH, "mlp ffn? bottleneck ^d$ ^e$ z$ code proj ^base$ ^nc$ ^c_ normalized"),
    )
)

_FLOATS = _compiled(
    (
        (1e-5, "(?<![a-z])eps"),
        (0.1, "drop ^p$ prob momentum decay slope leak rate ^lr$"),
        (0.0, "^min low start"),
        (1.0, "margin temp scale sigma std gain weight max high end gamma radius bound limit ratio factor"),
    )
)

_STRINGS = _compiled(
    (
        ("relu", "act nonlin"),
        ("batch", "norm"),
        ("mean", "reduc pool aggr"),
        ("zeros", "pad"),
        ("LSTM", "rnn cell"),
        ("cpu", "device"),
        ("float32", "dtype"),
        ("D", "^freq(uency)?$"),
        ("name", "name key id$"),
    )
)

# Which kind of value a name stands for when neither annotation nor use says.
_KINDS = _compiled(
    (
        ("loss", r"^loss_?(f|fn|func|function)?$ _loss_?(fn|func|function)$ ^criterion$ _criterion$"),
        ("tokens", "tokeni[sz]er$"),
        ("namespace", "config cfg ^args$ ^opts?$ hparams hyper options ^params$ settings ^conf$ ^hps?$"),
        (
            "class",
            "(act|norm|conv|pool|activation|attn|attention|mlp|ffn|block|linear)_?(layer|fn|func|cls|class)$",
        ),
        ("class", "(act|norm|conv|pool|activation|attn|attention|mlp|ffn|block|linear)_?(fun|type|op)$"),
        ("class", "nonlinearity ^norm$ ^act$ layer_(cls|class|fn|type) builder factory"),
        ("module", "encoder$ decoder$ backbone ^model$ (?<!^d)(?<!dim)_model$ ^net$ _net$ network$"),
        ("module", "^module$ _module$ ^fn$ ^layer$"),
        ("module", "sublayer submodule ^block$ ^head$ extractor$ embedder"),
        ("module", "generator discriminator denoise_fn"),
        ("module", "teacher student embed(ding)?_layer flow$ distribution$ transform$"),
        ("module", "tower$ trunk$ critic$"),
        ("module", "actor$ policy$"),
        ("str", "activation mode$ type$ reduction$ variant arch$ name$ method init$"),
        ("str", "act$ style kind device aggr$"),
        ("str", "field$ (?<!num_)(?<!n_)prefix$ suffix$ _dir$ _path$ _file$"),
        ("float", "drop prob alpha beta gamma (?<![a-z])eps lr$ temperature temp$ margin"),
        ("float", "sigma std slope momentum decay"),
        ("float", "lambda weight_ smooth tau threshold rate ^p$ gain scale$ scaling lamb"),
        ("bool", "^is_ ^use_ ^with_ _flag bias$ causal bidirectional residual batch_first return_ ^has_"),
        ("bool", "learnable trainable pretrained ^do_ ^add_ ^no_ affine inplace"),
        ("bool", "verbose bilinear freeze shortcut"),
        ("bool", "normalize$ enable batch_?norm$ ^bn$"),
        ("list", "dims$ _dims channels_list _list$ sizes$ widths$ depths$"),
        ("list", "hidden_units ^layers$ dilations kernels$"),
        ("list", "strides ratios$ cfgs$ shape$ _shape"),
        ("tensor", "^adj matrix edge_index pretrained_weight"),
        ("tensor", "weights?$ embeddings?_?(matrix|weights?) mask$"),
        ("tensor", "tensor anchors basis graph"),
    )
)

_MATRICES = re.compile(
    "matri|weight|embed|adj|graph|edge|basis|kernel|anchor|codebook|centroid|cov|lookup|^[a-z]$"
)
_SIDES = re.compile(
    r"(chunk|window|input|sequence|signal|image|img|grid|frame|spatial)_?(size|len|length|shape|points)$"
    r"|electrodes?$|sensors?$|n_chans|n_times|(num|n)_(nodes|points|frames|samples|timepoints|steps)$"
    r"|height|width$|resolution|seq_?len|(sampling|sample)_rate|^[hw]$|^t$"
)
_STEPS = re.compile("kernel|stride|dilation|factor|ratio|scale|rates?$|pool")
_FETCHES = re.compile("pretrain|checkpoint|ckpt|weights_path|(^|_)weights$|download|load_from|resume")


def _first(table: tuple[tuple[Any, re.Pattern[str]], ...], name: str, default: Any) -> Any:
    return next((value for value, pattern in table if pattern.search(name.lower())), default)


def kind_of(name: str) -> str:
    """Return the kind of value that a name suggests: an integer unless it says something else."""
    return str(_first(_KINDS, name, "int"))


def integer(name: str) -> int:
    """Return a small integer for the name."""
    return int(_first(_INTEGERS, name, UNKNOWN))


def is_width(name: str) -> bool:
    """Whether the name speaks of a number of features."""
    return integer(name) == WIDTH


def is_size(name: str) -> bool:
    """Whether the name surely speaks of a number of something."""
    return kind_of(name) == "int" and integer(name) != UNKNOWN


def is_matrix(name: str) -> bool:
    """Whether a tensor of that name has rows and columns."""
    return _MATRICES.search(name.lower()) is not None


def is_side(name: str) -> bool:
    """Whether a number of that name says how long, high or wide the input is."""
    return _SIDES.search(name.lower()) is not None


def is_step(name: str) -> bool:
    """Whether numbers of that name say how a layer goes over its input, so that others depend on them."""
    return _STEPS.search(name.lower()) is not None


def floating(name: str) -> float:
    """Return a number between 0 and 1 for the name."""
    return float(_first(_FLOATS, name, 0.5))


def string(name: str) -> str:
    """Return a string for the name."""
    return str(_first(_STRINGS, name, name.lower()))


def is_device(name: str) -> bool:
    """Whether the name speaks of a device to compute on."""
    return name.lower().endswith("device")


def fetches_weights(name: str) -> bool:
    """Whether a true value of this argument would make the class look for files or the network."""
    return _FETCHES.search(name.lower()) is not None
