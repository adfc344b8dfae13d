"""What the names of arguments say about their values.

Sizes are small, and widths are divisible by what models divide them by (heads, groups, reductions).
"""

from __future__ import annotations

import re

WIDTH = 32
BATCH = 2
LENGTH = 6
SIDE = 16
UNKNOWN = 4
"""What an integer is whose name says nothing."""

# The first pattern that is found in the lower-case name decides.
_INTEGERS = (
    (
        r"num_embed|vocab|n_?tokens|num_tokens|dict_size|n_?words|num_items|n_items|num_users|n_users|voc_size",
        50,
    ),
    (r"head_dim|dim_head|head_size|d_head", 8),
    (r"heads?$|nhead|^n?h$|num_heads|_heads_", 2),
    (r"kernel|^ks?$|filter_size|ksize", 3),
    (
        r"stride|dilation|groups?$|^padding$|^pad$|multiplier|n_samples_per|expansion|mult$|downsample_rate|rank_id",
        1,
    ),
    (r"num_groups|n_groups|reduction|ratio|scale|factor|upscale", 2),
    (r"padding_idx|pad_idx|pad_id|pad_token|offset|start|seed|axis|rank$|_id$|idx$|index$", 0),
    (r"patch", 4),
    (r"window", 4),
    (r"img_size|image_size|imgsz|resolution|input_size_hw|spatial|^height$|^img_[hw]$|^[hw]$", SIDE),
    (
        r"max_(seq|len|pos|text|target|source|l)|seq_?len|maxlen|context_length|block_size|n_ctx|n_positions|max_t",
        LENGTH,
    ),
    (r"num_class|n_class|nclass|num_labels|n_labels|ncls|n_cls|num_categories", 10),
    (
        r"lay?er_?num|lay?ers?$|depth|num_block|n_block|blocks?$|n_?layer|num_layer|stages?|repeat|num_res|n_res|num_conv",
        2,
    ),
    (r"hops|order|degree|levels?$|n_flows|num_flows|steps|iters?$|iterations|power|recur", 2),
    (r"^dim$|^axis$", WIDTH),
    (r"modes?\d*$", 4),
    (
        r"mixtures?|components?|gaussians?|capsules?|experts?|num_k|^k$|topk|top_k|clusters?|prototypes?|bins|^m$",
        4,
    ),
    (r"nodes?|n_agents|num_agents|n_actions|actions?$", 4),
    (r"timesteps|n_steps|num_steps|^t$", 10),
    (r"freq|bands|num_samples|n_samples|n_fft|points|codes|codebook", 8),
    (
        r"dim|size|width|channel|hidden|feature|feat|planes|units|embed|emb|latent|filters|maps|^n[fzc]$|^ng?f$|^ndf$"
        r"|^d_|_d$|^in_|^out_|^c\d?$|^ch|inp|oup|^cin$|^cout$|input|output|^in$|^out$|neurons|inner|mlp|ffn?|bottleneck"
        r"|^d$|^e$|z$|code|proj|^base$|^nc$|^c_|normalized",
        WIDTH,
    ),
    (r"num|^n_|count|^n$", 4),
)

_FLOATS = (
    (r"eps", 1e-5),
    (r"drop|^p$|prob", 0.1),
    (r"momentum|decay", 0.1),
    (r"slope|leak|rate|^lr$", 0.1),
    (r"^min|low|start", 0.0),
    (r"margin|temp|scale|sigma|std|gain|weight|max|high|end|gamma|radius|bound|limit|ratio|factor", 1.0),
    (r"", 0.5),
)

_STRINGS = (
    (r"act|nonlin", "relu"),
    (r"norm", "batch"),
    (r"reduc", "mean"),
    (r"padding|pad", "zeros"),
    (r"pool|aggr", "mean"),
    (r"rnn|cell", "LSTM"),
    (r"device", "cpu"),
    (r"dtype", "float32"),
    (r"name|key|id$", "name"),
    (r"", "default"),
)

# Which kind of value a name stands for when neither annotation nor use says.
_KINDS = (
    (r"config|cfg|^args$|^opts?$|hparams|hyper|options|^params$|settings|^conf$|^hps?$", "namespace"),
    (
        r"(act|norm|conv|pool|activation|attn|attention|mlp|ffn|block|linear)(_?(layer|fn|func|cls|class|fun|type|op))$|nonlinearity|^norm$|^act$"
        r"|layer_(cls|class|fn|type)|builder|factory",
        "class",
    ),
    (
        r"encoder$|decoder$|backbone|^model$|_model$|^net$|_net$|network$|^module$|_module$|^fn$|^layer$|sublayer|submodule|^block$"
        r"|^head$|extractor$|embedder|generator|discriminator|denoise_fn|teacher|student|^base_model$|^generator$|embed(ding)?_layer|flow$"
        r"|distribution$|transform$|tower$|trunk$|critic$|actor$|policy$",
        "module",
    ),
    (
        r"activation|mode$|type$|padding_mode|reduction$|variant|arch$|name$|method|init$|act$|style|kind|device|aggr$",
        "str",
    ),
    (
        r"drop|prob|alpha|beta|gamma|eps|lr$|temperature|temp$|margin|sigma|std|slope|momentum|decay|lambda|weight_|smooth|tau|threshold|"
        r"rate|^p$|gain|scale$|scaling|lamb",
        "float",
    ),
    (
        r"^is_|^use_|^with_|_flag|bias$|causal|bidirectional|residual|batch_first|return_|^has_|learnable|trainable|pretrained|"
        r"^do_|^add_|^no_|affine|inplace|verbose|bilinear|freeze|shortcut|normalize|enable|batch_?norm$|^bn$",
        "bool",
    ),
    (
        r"dims$|channels_list|_list$|sizes$|widths$|depths$|hidden_units|_dims|filters_list|planes_list|^layers$|dilations|kernels$|"
        r"kernel_sizes|strides|ratios$|cfgs$|feature_sizes|features_list|shape$|_shape",
        "list",
    ),
    (
        r"^adj|matrix|edge_index|pretrained_weight|weights?$|embeddings?_?(matrix|weights?)|mask$|tensor|anchors|basis|kernel_matrix|graph",
        "tensor",
    ),
)


def kind_of(name: str) -> str:
    """Return the kind of value that a name suggests: an integer unless it says something else."""
    return next((kind for pattern, kind in _KINDS if re.search(pattern, name.lower())), "int")


def integer(name: str) -> int:
    """Return a small integer for the name."""
    return next((value for pattern, value in _INTEGERS if re.search(pattern, name.lower())), UNKNOWN)


def is_width(name: str) -> bool:
    """Whether the name speaks of a number of features."""
    return integer(name) == WIDTH


def floating(name: str) -> float:
    """Return a number between 0 and 1 for the name."""
    return next(value for pattern, value in _FLOATS if re.search(pattern, name.lower()))


def string(name: str) -> str:
    """Return a string for the name."""
    return next(value for pattern, value in _STRINGS if re.search(pattern, name.lower()))


def fetches_weights(name: str) -> bool:
    """Whether a true value of this argument would make the class look for files or the network."""
    return bool(re.search(r"pretrain|checkpoint|ckpt|weights_path|download|load_from|resume", name.lower()))
