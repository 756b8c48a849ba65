"""Why operations of torch are refused, in words that say what to do instead."""

from __future__ import annotations

from dtdsym.errors import UnsupportedLayer

SUPPORTED = (
    "supported are Linear, ReLU, convolutions, batch normalisation, max and average pools, reshaping, slicing, padding "
    "and joining of each input's values, their sums, constants times or plus them, Dropout and Identity, all in "
    "evaluation mode"
)
_CUT = "it is not piecewise linear; cut the model before it and explain the logits"
_SMOOTH = (
    "softmax", "_softmax", "log_softmax", "_log_softmax", "softmin", "_safe_softmax", "sigmoid", "log_sigmoid",
    "log_sigmoid_forward", "logsigmoid", "tanh", "gelu", "silu", "mish", "elu", "selu", "celu", "softplus",
    "hardswish", "softsign", "tanhshrink", "exp", "log", "log1p", "sqrt", "rsqrt", "pow", "square", "reciprocal",
    "sin", "cos", "erf", "layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm",
    "rms_norm", "_fused_rms_norm",
    "local_response_norm", "normalize", "linalg_vector_norm", "norm", "cosine_similarity", "var", "std", "var_mean",
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_attention_math", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_flash_attention", "multi_head_attention_forward", "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd", "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
    "rnn_relu_cell", "mkldnn_rnn_layer", "bmm", "baddbmm", "einsum", "prod", "logsumexp", "glu", "bilinear",
)  # fmt: skip
_DECISIONS = (
    "_local_scalar_dense", "is_nonzero", "item", "gt", "lt", "ge", "le", "eq", "ne", "nonzero", "where", "argmax",
    "argmin", "sort", "topk", "masked_fill", "masked_select", "allclose", "equal",
)  # fmt: skip
_RANDOM = (
    "bernoulli", "bernoulli_", "empty_like", "rand_like", "randn_like", "randint_like", "normal_",
    "uniform_", "rrelu", "rrelu_with_noise", "multinomial", "poisson",
)  # fmt: skip
_BENT = (
    "leaky_relu", "prelu", "_prelu_kernel", "hardtanh", "relu6", "hardsigmoid", "abs", "maximum", "minimum", "fmax",
    "fmin", "softshrink", "hardshrink", "amin", "min", "sign", "median", "fractional_max_pool2d",
)  # fmt: skip
_WRITES = ("copy_", "fill_", "zero_", "index_put_", "masked_fill_", "index_copy_", "index_add_", "scatter_", "set_")
_TRANSPOSED = "transposed convolutions are not read; rewrite it as a convolution, or cut the model before it"
_UNPOOLED = "the indices of maxima decide where numbers go; cut the model before it"

REASONS = {
    **dict.fromkeys(_SMOOTH, _CUT),
    **dict.fromkeys(_DECISIONS, "a number computed from the input decides what the code does next"),
    **dict.fromkeys(_RANDOM, "it serves to draw at random"),
    **dict.fromkeys(_BENT, "of the operations with kinks only ReLU, max(z, 0), and max-pools are read"),
    **dict.fromkeys(_WRITES, "it writes into a tensor; make a new one instead"),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _TRANSPOSED),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), _UNPOOLED),
}
"""Operation -> why it is refused and what to do; the empty reason is that it is unknown."""

OPAQUE = {"torch.nn.modules.activation.MultiheadAttention": "multi_head_attention_forward"}
"""Classes of modules that torch takes apart before their own function is called -> that function."""


def unsupported(where: str, name: str, reason: str) -> UnsupportedLayer:
    """The error that refuses operation `name` at `where`."""
    because = f" here: {reason}" if reason else ""
    return UnsupportedLayer(f"{where}: operation {name} is not supported{because}; {SUPPORTED}")
