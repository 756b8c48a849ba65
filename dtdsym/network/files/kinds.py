"""What the supported classes of torch.nn compute, as steps of a sequence: one row of KINDS for each.

Layers compute what they do in evaluation mode, whatever mode the module was saved in: dropout is the identity, batch
normalisation takes its running statistics.
"""

from __future__ import annotations

from dtdsym.errors import ShapeMismatch
from dtdsym.network.builder import Builder, Value
from dtdsym.network.files.inert import Name
from dtdsym.network.files.recorded import LARGEST_SIDE, Kind, Module, plain
from dtdsym.network.files.sequence import Step


def _linear(module: Module) -> Step:
    weight, bias = module.weight(), module.array("bias")
    stated = (module.fields["out_features"], module.fields["in_features"])
    if weight.shape != stated:
        raise ShapeMismatch(
            f"{module.where} states {plain(stated[1])} inputs and {plain(stated[0])} outputs, but its weight has shape "
            f"{list(weight.shape)}; set in_features and out_features to the weight's and save again"
        )
    return module.step(lambda b, value: b.linear(value, weight, bias, module.name), takes=weight.shape[1])


def _convolution(module: Module) -> Step:
    if module.flag("transposed") or module.fields["padding_mode"] != "zeros":
        mode = "transposed" if module.flag("transposed") else f"of padding mode {plain(module.fields['padding_mode'])}"
        raise module.refuse(f"it is {mode}; only convolutions that pad with zeros are read")
    weight, bias = module.weight(), module.array("bias")
    kernel, groups = module.sides("kernel_size"), module.number("groups", 1)
    channels = (module.number("in_channels", 1), module.number("out_channels", 1))
    if weight.shape != (channels[1], channels[0] // groups, *kernel):
        raise ShapeMismatch(
            f"{module.where} states {channels[0]} channels in, {channels[1]} out, {groups} groups and a kernel of "
            f"{kernel}, but its weight has shape {list(weight.shape)}; set them to the weight's and save again"
        )
    stride, dilation = module.sides("stride"), module.sides("dilation")
    padding = _padding(module, kernel, stride, dilation)

    def apply(builder: Builder, value: Value) -> Value:
        return builder.convolve(
            value, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, name=module.name
        )

    sizes = {1: (100,), 2: (28, 28), 3: (16, 28, 28)}
    return module.step(apply, example=(channels[0], *sizes[module.spatial]))


def _padding(
    module: Module, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Numbers or torch's words; 'same' puts the odd zero behind."""
    word = module.fields["padding"]
    if word == "valid":
        return ((0, 0),) * module.spatial
    if word != "same":
        return tuple((side, side) for side in module.sides("padding", 0))
    if set(stride) != {1}:
        raise module.refuse(f"its padding is 'same' with a stride of {stride}; torch does that with stride 1 only")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _batch_norm(module: Module) -> Step:
    mean, variance = module.array("running_mean"), module.array("running_var")
    if mean is None or variance is None or not module.flag("track_running_stats"):
        raise module.refuse(
            "it keeps no running statistics (track_running_stats=False), so it mixes the samples of a batch; train it "
            "with track_running_stats=True"
        )
    epsilon = module.fields["eps"]
    if type(epsilon) not in (int, float) or not 0 <= epsilon < 1e300:
        raise module.refuse(f"its eps is {plain(epsilon)}; expected a small positive number")
    weight, bias = module.array("weight"), module.array("bias")
    ranks = {1: (1, 2), 2: (3,), 3: (4,)}[module.spatial]

    def apply(builder: Builder, value: Value) -> Value:
        _check_rank(module, value, *ranks)
        return builder.batch_norm(value, weight, bias, mean, variance, float(epsilon), module.name)

    sizes = {1: (), 2: (28, 28), 3: (16, 28, 28)}
    return module.step(apply, example=(mean.size, *sizes[module.spatial]))


def _relu(module: Module) -> Step:
    """In a sequence nobody else sees the value that an in-place ReLU overwrites."""
    return module.step(lambda builder, value: builder.relu(value, module.name), any_shape=True)


def _identity(module: Module) -> Step:
    """Nothing is computed, in evaluation mode at least."""
    return module.step(lambda builder, value: value, any_shape=True)


def _check_rank(module: Module, value: Value, *ranks: int) -> None:
    """How many dimensions of a sample the class takes: one number, or several where torch takes several."""
    if len(value.shape) not in (ranks or (module.spatial + 1,)):
        raise ShapeMismatch(
            f"{module.where} ({module.kind}) receives shape {value.shape}; expected a channel and {module.spatial} "
            "spatial dimensions"
        )


def _check_padding(module: Module, reach: tuple[int, ...], padding: tuple[int, ...]) -> None:
    """As torch does. reach: entries from a window's first to its last, along each dimension."""
    if any(2 * p > r for p, r in zip(padding, reach, strict=True)):
        raise module.refuse(f"it pads by {padding}; torch pools with half of the kernel at most")


def _max_pool(module: Module) -> Step:
    _no_indices(module)
    kernel, stride, dilation = (module.sides(key) for key in ("kernel_size", "stride", "dilation"))
    padding, ceil = module.sides("padding", 0), module.flag("ceil_mode")
    _check_padding(module, tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)), padding)

    def apply(builder: Builder, value: Value) -> Value:
        _check_rank(module, value)
        return builder.max_pool(value, kernel, stride, padding, dilation, ceil, module.name)

    return module.step(apply)


def _average_pool(module: Module) -> Step:
    kernel, stride, padding = module.sides("kernel_size"), module.sides("stride"), module.sides("padding", 0)
    _check_padding(module, kernel, padding)
    ceil, count_padding = module.flag("ceil_mode"), module.flag("count_include_pad")
    divisor = module.number("divisor_override", 1) if module.fields.get("divisor_override") is not None else None

    def apply(builder: Builder, value: Value) -> Value:
        _check_rank(module, value)
        return builder.average_pool(value, kernel, stride, padding, ceil, count_padding, divisor, module.name)

    return module.step(apply)


def _adaptive(module: Module) -> Step:
    if "return_indices" in module.fields:
        _no_indices(module)
    given = module.fields["output_size"]
    outputs = (given,) * module.spatial if given is None or type(given) is int else given
    whole = type(outputs) in (tuple, list) and all(
        n is None or (type(n) is int and 1 <= n < LARGEST_SIDE) for n in outputs
    )
    if not whole or len(outputs) != module.spatial:
        raise module.refuse(f"its output_size is {plain(given)}; expected {module.spatial} whole numbers from 1")

    def apply(builder: Builder, value: Value) -> Value:
        _check_rank(module, value)
        pool = builder.adaptive_max_pool if "Max" in module.kind else builder.adaptive_average_pool
        return pool(value, tuple(outputs), module.name)

    return module.step(apply)


def _no_indices(module: Module) -> None:
    if module.flag("return_indices"):
        raise module.refuse("it gives indices beside its maxima (return_indices=True); only the maxima are read")


def _flatten(module: Module) -> Step:
    """Dimensions count from the batch, which is 0."""
    start, end = module.fields["start_dim"], module.fields["end_dim"]
    described = module.refuse(
        f"it is a Flatten of dimensions {plain(start)} to {plain(end)}; supported are those of one sample, from 1 on"
    )
    if not all(type(n) is int and abs(n) < 100 for n in (start, end)) or start == 0 or end == 0:
        raise described

    def apply(builder: Builder, value: Value) -> Value:
        rank = len(value.shape)
        first, last = (n - 1 if n > 0 else rank + n for n in (start, end))
        if not 0 <= first <= last < rank:
            raise described
        return builder.reshape(value, (*value.shape[:first], -1, *value.shape[last + 1 :]))

    return module.step(apply, any_shape=(start, end) == (1, -1))


def _unflatten(module: Module) -> Step:
    dim, sizes = module.fields["dim"], module.fields["unflattened_size"]
    whole = type(sizes) in (tuple, list) and all(type(n) is int and -1 <= n < LARGEST_SIDE and n for n in sizes)
    if type(dim) is not int or dim == 0 or abs(dim) > 100 or not whole or not 0 < len(sizes) < 9:
        raise module.refuse(f"it is an Unflatten of {plain(dim)} to {plain(sizes)}; expected a dimension from 1 on")

    def apply(builder: Builder, value: Value) -> Value:
        at, shape = dim - 1 if dim > 0 else len(value.shape) + dim, value.shape
        if not 0 <= at < len(shape):
            raise ShapeMismatch(f"{module.where} (Unflatten) of dimension {dim} receives shape {shape}")
        try:
            parts = builder.reshape(Value(value.node, (shape[at],)), sizes).shape
        except ShapeMismatch as err:
            raise ShapeMismatch(f"{module.where} (Unflatten): {err}") from err
        return builder.reshape(value, (*shape[:at], *parts, *shape[at + 1 :]))

    return module.step(apply)


def _zero_pad(module: Module) -> Step:
    """Amounts come in pairs (before, after), the last dimension first."""
    amounts = module.fields["padding"]
    whole = type(amounts) in (tuple, list) and all(type(n) is int and abs(n) < LARGEST_SIDE for n in amounts)
    if not whole or len(amounts) != 2 * module.spatial or module.fields["value"] != 0:
        raise module.refuse(
            f"it pads by {plain(amounts)} with {plain(module.fields['value'])}; expected {2 * module.spatial} whole "
            "numbers, and zeros"
        )

    def apply(builder: Builder, value: Value) -> Value:
        _check_rank(module, value)
        pairs = tuple(zip(amounts[::2], amounts[1::2], strict=True))[::-1]
        return builder.pad(value, ((0, 0), *pairs), module.name)

    return module.step(apply)


def _nn(file: str, name: str) -> Name:
    return Name(f"torch.nn.modules.{file}", name)


def _numbered(file: str, name: str, kind: Kind) -> dict[Name, Kind]:
    """The classes of one, two and three spatial dimensions."""
    return {_nn(file, f"{name}{spatial}d"): kind for spatial in (1, 2, 3)}


_WEIGHTS = frozenset({"weight", "bias"})
_CONV = frozenset(
    {"in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "transposed", "groups"}
    | {"padding_mode"}
)
# What other padding modes and transposed convolutions would use.
_CONV_UNUSED = frozenset({"output_padding", "_reversed_padding_repeated_twice"})
_AVERAGE = frozenset({"kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"})
_MAXIMUM = frozenset({"kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"})
_DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
KINDS: dict[Name, Kind] = {
    _nn("container", "Sequential"): Kind(None),
    _nn("linear", "Linear"): Kind(_linear, frozenset({"in_features", "out_features"}), _WEIGHTS),
    **_numbered("conv", "Conv", Kind(_convolution, _CONV, _WEIGHTS, optional=_CONV_UNUSED)),
    **_numbered(
        "batchnorm",
        "BatchNorm",
        Kind(
            _batch_norm,
            frozenset({"num_features", "eps", "momentum", "affine", "track_running_stats"}),
            _WEIGHTS,
            buffers=frozenset({"running_mean", "running_var", "num_batches_tracked"}),
        ),
    ),
    _nn("activation", "ReLU"): Kind(_relu, frozenset({"inplace"})),
    **_numbered("pooling", "MaxPool", Kind(_max_pool, _MAXIMUM)),
    _nn("pooling", "AvgPool1d"): Kind(_average_pool, _AVERAGE),
    _nn("pooling", "AvgPool2d"): Kind(_average_pool, _AVERAGE | {"divisor_override"}),
    _nn("pooling", "AvgPool3d"): Kind(_average_pool, _AVERAGE | {"divisor_override"}),
    **_numbered("pooling", "AdaptiveAvgPool", Kind(_adaptive, frozenset({"output_size"}))),
    **_numbered("pooling", "AdaptiveMaxPool", Kind(_adaptive, frozenset({"output_size", "return_indices"}))),
    _nn("flatten", "Flatten"): Kind(_flatten, frozenset({"start_dim", "end_dim"})),
    _nn("flatten", "Unflatten"): Kind(_unflatten, frozenset({"dim", "unflattened_size"})),
    **_numbered("padding", "ZeroPad", Kind(_zero_pad, frozenset({"padding", "value"}))),
    _nn("linear", "Identity"): Kind(_identity),
    **{_nn("dropout", name): Kind(_identity, frozenset({"p", "inplace"})) for name in _DROPOUTS},
}
_CUT = "no piecewise linear layer; cut before it: explain the logits, and save the network without this layer"
_NO_ORDER = "it states no order of its parts; save a torch.nn.Sequential"
_TRANSPOSED = "transposed convolutions are not read; rewrite it as a convolution, or cut the network before it"
REFUSED = {
    **{_nn("activation", name): _CUT for name in ("Softmax", "LogSoftmax", "Softmin", "Softmax2d")},
    **{_nn("container", name): _NO_ORDER for name in ("ModuleList", "ModuleDict")},
    **{_nn("conv", f"ConvTranspose{spatial}d"): _TRANSPOSED for spatial in (1, 2, 3)},
}
"""Classes that are refused for a reason of their own."""
