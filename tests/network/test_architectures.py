"""from_module on convolutional networks: architectures drawn at random, well-known blocks, and what is refused."""

from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import LoadError, ShapeMismatch, UnsupportedLayer
from dtdsym.network.evaluate import differentiate, evaluate, max_masks
from dtdsym.network.layers import MaxPool, Relu

ROUNDING = 1e-12  # of the largest number that occurs; torch's own float64 modules are the oracle


class Graph(nn.Module):
    """Steps drawn at random, each on values made before: `steps` are (callable, indices of its arguments)."""

    def __init__(self, steps, out):
        super().__init__()
        self.parts = nn.ModuleList(s for s in dict.fromkeys(step for step, _ in steps) if isinstance(s, nn.Module))
        self.steps, self.out = steps, out

    def forward(self, x):
        values = [x]
        for step, places in self.steps:
            values.append(step(*(values[place] for place in places)))
        return self.out(values[-1].flatten(1))


def random_norm(kind, channels, seed, affine):
    """Batch normalisation with statistics as after training."""
    generator = torch.Generator().manual_seed(seed)
    norm = kind(channels, affine=affine, eps=10.0 ** -(1 + seed % 5))
    norm.running_mean.copy_(torch.randn(channels, generator=generator))
    norm.running_var.copy_(torch.rand(channels, generator=generator) + 0.01)
    if affine:
        norm.weight.data.copy_(torch.randn(channels, generator=generator))
        norm.bias.data.copy_(torch.randn(channels, generator=generator))
    return norm


@st.composite
def convolutions(draw, channels, spatial):
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    same = draw(st.booleans())
    kind = {1: nn.Conv1d, 2: nn.Conv2d}[spatial]
    return kind(
        channels, groups * draw(st.integers(1, 2)), kernel,
        stride=1 if same else draw(st.integers(1, 2)), dilation=draw(st.integers(1, 2)), groups=groups,
        padding="same" if same else tuple(draw(st.integers(0, 2)) for _ in range(spatial)), bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"])),
    )  # fmt: skip


@st.composite
def pools(draw, spatial):
    kernel = draw(st.integers(2, 3))
    options = {"stride": draw(st.integers(1, 3)), "padding": draw(st.integers(0, kernel // 2)),
               "ceil_mode": draw(st.booleans())}  # fmt: skip
    kind = draw(st.sampled_from(["Max", "Avg", "AdaptiveAvg", "AdaptiveMax"]))
    module = getattr(nn, f"{kind}Pool{spatial}d")
    if kind == "Max":
        return module(kernel, dilation=draw(st.integers(1, 2)), **options)
    if kind == "Avg":
        return module(kernel, count_include_pad=draw(st.booleans()), **options)
    return module(draw(st.integers(1, 3)))


CONSTANTS = [0.1, 2, -0.75, torch.tensor([[0.5], [-2.0]])]
ELEMENTWISE = {
    "relu": functional.relu,
    "relu in place": lambda h: functional.relu(h, inplace=True),
    "clamp": lambda h: h.clamp(min=0),
    "flip": lambda h: h.flip(-1),
    "turn": lambda h: h.transpose(1, -1),
    "half": lambda h: h[..., : (h.shape[-1] + 1) // 2],
    "chunk": lambda h: h.chunk(2, 1)[0],
    "double": lambda h: torch.cat([h, -h], 1),
    "view": lambda h: h.contiguous().view(len(h), 2, -1) if h.shape[1:].numel() % 2 == 0 else h,
    "shape": lambda h: h.reshape(len(h), -1, *h.shape[3:], h.shape[-2]) if h.ndim == 3 else h,
    "normalise": lambda h: (h - 0.5) / 0.25,
    "shift": lambda h: 1 - h,
    "channels": lambda h: h * torch.arange(1, h.shape[1] + 1).view(-1, *[1] * (h.ndim - 2)) - 3,
    "mean": lambda h: h - h.mean(-1, keepdim=True),
    "max": lambda h: h.amax(2, keepdim=True),
    "pad": lambda h: functional.pad(h, (1, 0, 0, 2) if h.ndim > 3 else (0, 1)),
    "drop": lambda h: functional.dropout(h, 0.5, training=False),
}
shared_relu = nn.ReLU()
RELUS = [shared_relu, nn.ReLU(inplace=True)]


@st.composite
def graphs(draw):
    """A module of up to seven steps on (channels, *spatial), and its sample shape; each step is seen to run."""
    spatial = draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 3)), *(draw(st.integers(4, 6)) for _ in range(spatial)))
    torch.manual_seed(draw(st.integers(0, 99)))
    steps, values = [], [torch.zeros(2, *shape)]
    for _ in range(draw(st.integers(1, 7))):
        step, places = draw(a_step(values))
        values.append(performed(step, *(values[place] for place in places)))
        steps.append((step, places))
    return Graph(steps, nn.Linear(values[-1][0].numel(), 2)).eval(), shape


def performed(step, *values):
    """What the step makes of copies of the values, in evaluation mode."""
    with torch.no_grad():
        return (step.eval() if isinstance(step, nn.Module) else step)(*(value.clone() for value in values))


@st.composite
def a_step(draw, values):
    place = draw(st.sampled_from([len(values) - 1, len(values) - 1, draw(st.integers(0, len(values) - 1))]))
    h = values[place]
    kind = draw(st.sampled_from(["conv", "conv", "norm", "pool", "linear", "relu", "add", "cat", "plain", "plain"]))
    twins = [i for i, other in enumerate(values) if other.shape == h.shape]
    if kind == "add":
        other, how = draw(st.sampled_from(twins)), draw(st.sampled_from([torch.add, torch.sub]))
        return (lambda a, b: how(a, b, alpha=2)), (place, other)
    if kind == "cat":
        axis = draw(st.integers(1, h.ndim - 1))
        return (lambda *parts: torch.cat(parts, axis)), tuple(
            draw(st.lists(st.sampled_from(twins), min_size=1, max_size=3))
        )
    step = draw(one_to_one(kind, h))
    return (step, (place,)) if fits(step, h) else (draw(st.sampled_from(RELUS)), (place,))


def fits(step, h):
    """Whether the step runs on h: kernels may be larger than what they see, maxima lie wholly in the padding."""
    try:
        out = performed(step, h)
    except (RuntimeError, IndexError, ValueError):
        return False
    return 0 < out[0].numel() < 400 and out.ndim in (3, 4) and bool(out.isfinite().all())


@st.composite
def one_to_one(draw, kind, h):
    channels, spatial = h.shape[1], h.ndim - 2
    if kind == "conv":
        return draw(convolutions(channels, spatial))
    if kind == "pool":
        return draw(pools(spatial))
    if kind == "norm":
        norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[spatial]
        return random_norm(norm, channels, draw(st.integers(0, 99)), draw(st.booleans()))
    if kind == "linear":
        return nn.Linear(h.shape[-1], draw(st.integers(1, 4)), bias=draw(st.booleans()))
    if kind == "relu":
        return draw(st.sampled_from(RELUS))
    return ELEMENTWISE[draw(st.sampled_from(list(ELEMENTWISE)))]


def scale_of(values):
    """The largest number that occurs."""
    return max(1.0, *(value.abs().max().item() for value in values.values()))


def agrees(network, module, shape, samples=3):
    """The lifted network in plain float64, the float64 module, and exactly: the same to rounding."""
    x = torch.randn(samples, *shape, dtype=torch.float64)
    with torch.no_grad():
        expected = module.double().eval()(x.clone()).flatten(1)
    values = evaluate(network, TENSOR, {0: x.flatten(1)})
    bound = ROUNDING * scale_of(values)
    got = values[len(network.nodes) - 1]
    assert got.shape == expected.shape
    assert (got - expected).abs().max().item() <= bound
    exact = network(x[0].flatten())
    assert max(abs(float(a - Fraction(b))) for a, b in zip(exact, expected[0].tolist(), strict=True)) <= bound
    return True


def lifted(module, example):
    """The network, unless an in-place step met a slice or a permutation of another value, which is refused by name."""
    try:
        return dtdsym.from_module(module, example)
    except UnsupportedLayer as err:
        if "writes into a part" not in str(err):
            raise
        reject()


@given(graphs())
@settings(max_examples=200)
def test_random_architectures_in_float64(graph):
    module, shape = graph
    module.double()
    network = lifted(module, torch.randn(2, *shape, dtype=torch.float64))
    assert network.input_shape == shape
    assert agrees(network, module, shape)


@given(graphs())
@settings(max_examples=100)
def test_random_architectures_in_float32(graph):
    """The constants of the steps are the float32 ones, so the float64 module is asked at these."""
    module, shape = graph
    network = lifted(module, torch.randn(2, *shape))
    assert agrees(network, module, shape)


@given(graphs(), st.integers(1, 3))
@settings(max_examples=60)
def test_the_batch_of_the_example_does_not_matter(graph, batch):
    module, shape = graph
    assert lifted(module, torch.zeros(batch, *shape)).sha256 == lifted(module, torch.randn(4, *shape)).sha256


def derivative(network, x, seed, on_hinge):
    """The gradient of seed . f at x (samples, in), by the one backward pass; on_hinge: what counts as active there."""
    values = evaluate(network, TENSOR, {0: x})
    masks = {}
    for index, node in enumerate(network.nodes):
        if isinstance(node, Relu):
            masks[index] = values[node.source] >= 0 if on_hinge else values[node.source] > 0
        if isinstance(node, MaxPool):
            wins = TENSOR.take(values[node.source], node.index) == values[index][..., None]
            last = wins.flip(-1) & (wins.flip(-1).cumsum(-1) == 1)
            masks[index] = last.flip(-1) if on_hinge else max_masks(network, index, TENSOR, values)
    return differentiate(network, TENSOR, masks, seed)[0], scale_of(values)


@given(graphs())
@settings(max_examples=100)
def test_derivatives_are_those_of_autograd(graph):
    """Where there is one: at a hinge torch takes various sides."""
    module, shape = graph
    module.double()
    network = lifted(module, torch.zeros(1, *shape, dtype=torch.float64))
    x = torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)
    seed = torch.tensor([[0.0, 1.0]], dtype=torch.float64).expand(3, 2)
    got, scale = derivative(network, x.detach().flatten(1), seed, on_hinge=False)
    assume(torch.equal(got, derivative(network, x.detach().flatten(1), seed, on_hinge=True)[0]))
    try:
        (expected,) = torch.autograd.grad(module(x * 1)[:, 1].sum(), x)
    except RuntimeError as err:  # autograd refuses some in-place steps that from_module takes
        if "inplace" not in str(err):
            raise
        reject()
    assert (got - expected.flatten(1)).abs().max().item() <= ROUNDING * max(scale, expected.abs().max().item())


class BasicBlock(nn.Module):
    """As in torchvision's ResNets: one ReLU module in two places, in place; a projection where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(BasicBlock(4, 6, 2), BasicBlock(6, 6, 1))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(6, 3)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class Inception(nn.Module):
    """Branches of different kernels, joined along the channels."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 2, 1)
        self.three = nn.Sequential(
            nn.Conv2d(3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2, 3, (1, 3), padding=(0, 1)),
            nn.Conv2d(3, 3, (3, 1), padding=(1, 0)),
        )
        self.pool, self.norm = (
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(3, 2, 1)),
            nn.BatchNorm2d(10),
        )
        self.mean, self.out = nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.Linear(10, 2)

    def forward(self, x):
        joined = torch.cat([self.one(x), self.three(x), self.pool(x), self.mean(x)], 1)
        return self.out(functional.relu(self.norm(joined)).mean((2, 3)))


class OneDimensional(nn.Module):
    """A signal with dilated convolutions, a linear layer along time that is used twice, and batch norm after it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, dilation=2, padding="same", groups=2)
        self.time, self.norm, self.out = nn.Linear(9, 9), nn.BatchNorm1d(4), nn.Linear(16, 3)

    def forward(self, x):
        h = self.time(functional.relu(self.conv((x - 0.5) / 0.25)))
        h = self.norm(self.time(functional.relu(h)))
        return self.out(functional.avg_pool1d(h, 3, 2).view(len(x), -1))


BLOCKS = {"resnet": (ResNet, (3, 16, 16)), "inception": (Inception, (3, 5, 6)), "signal": (OneDimensional, (2, 9))}


def trained(kind, seed=0):
    """A module with weights and statistics as if it were trained."""
    torch.manual_seed(seed)
    module = kind().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.load_state_dict(random_norm(type(part), part.num_features, seed, True).state_dict())
    return module


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_well_known_blocks(name, dtype):
    kind, shape = BLOCKS[name]
    module = trained(kind).to(dtype)
    network = dtdsym.from_module(module, torch.randn(2, *shape, dtype=dtype))
    assert agrees(network, module, shape)


def test_a_network_is_the_same_with_gradients_or_in_inference_mode():
    """Composite operations arrive whole in inference mode and taken apart otherwise."""
    for kind, shape in BLOCKS.values():
        module = trained(kind)
        plain = dtdsym.from_module(module, torch.zeros(2, *shape))
        for mode in (torch.inference_mode, torch.enable_grad):
            module.forward = mode()(type(module).forward.__get__(module))
            assert dtdsym.from_module(module, torch.zeros(2, *shape)).sha256 == plain.sha256


@pytest.mark.parametrize("batch", [1, 2])
def test_the_memory_order_of_images_does_not_matter(batch):
    """Pools restate the strides of what they made: torch's as_strided_."""
    module = trained(ResNet)
    plain = dtdsym.from_module(module, torch.zeros(batch, 3, 16, 16))
    module.to(memory_format=torch.channels_last)
    example = torch.randn(batch, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    assert dtdsym.from_module(module, example).sha256 == plain.sha256


def test_a_module_that_overflows_is_refused_in_one_line():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2, dtype=torch.float64) * 1e200)
        module[1].weight.copy_(torch.tensor([[1.0, -1.0]], dtype=torch.float64) * 1e200)
    with pytest.raises(LoadError, match="not finite on example_input"):
        dtdsym.from_module(module, torch.ones(1, 2, dtype=torch.float64))


def test_layers_are_named_by_their_place_and_statistics_stay():
    module = trained(ResNet)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.train()
    network = dtdsym.from_module(module, torch.randn(2, 3, 16, 16))
    names = [layer.name for layer in network.layers]
    assert names[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert names[-1] == "fc"
    assert "layer2.0.downsample.0" in names
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert network.unfolded().layers[1].name == "bn1"


def test_a_maximum_of_padding_alone_is_refused_at_its_place():
    """torch gives -inf there."""
    module = nn.Sequential(nn.MaxPool1d(2, stride=1, padding=1, dilation=2), nn.Flatten(), nn.Linear(1, 1))
    with pytest.raises(ShapeMismatch, match=r"layer '0' \(MaxPool1d\): .* a maximum over .* in the padding"):
        dtdsym.from_module(module, torch.zeros(1, 1, 1))


class Wrapped(nn.Module):
    """A convolution, then the part in question, at place `block.part`."""

    def __init__(self, part):
        super().__init__()
        self.conv, self.block = nn.Conv1d(2, 4, 3, padding=1), nn.Sequential()
        self.block.part = part

    def forward(self, x):
        return self.block(self.conv(x))


class Deciding(nn.Module):
    def forward(self, x):
        return x if (x.mean((1, 2)) > 0).all() else -x


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


CUT = "it is not piecewise linear; cut the model before it and explain the logits"
KINKS = "of the operations with kinks only ReLU"
UNKNOWN = {
    "softmax": (nn.Softmax(1), "softmax", CUT),
    "log softmax": (nn.LogSoftmax(1), "log_softmax", CUT),
    "gelu": (nn.GELU(), "gelu", CUT),
    "silu": (nn.SiLU(), "silu", CUT),
    "sigmoid": (nn.Sigmoid(), "sigmoid", CUT),
    "tanh": (nn.Tanh(), "tanh", CUT),
    "hardswish": (nn.Hardswish(), "hardswish", CUT),
    "softplus": (nn.Softplus(), "softplus", CUT),
    "lstm": (nn.LSTM(6, 3, batch_first=True), "lstm", CUT),
    "gru": (nn.GRU(6, 3, batch_first=True), "gru", CUT),
    "attention": (Attention(), "multi_head_attention_forward", CUT),
    "transformer": (nn.TransformerEncoderLayer(6, 2, 4, batch_first=True), "multi_head_attention_forward", CUT),
    "layer norm": (nn.LayerNorm(6), "layer_norm", CUT),
    "group norm": (nn.GroupNorm(2, 4), "group_norm", CUT),
    "instance norm": (nn.InstanceNorm1d(4), "instance_norm", CUT),
    "leaky relu": (nn.LeakyReLU(), "leaky_relu", KINKS),
    "prelu": (nn.PReLU(), "prelu", KINKS),
    "relu6": (nn.ReLU6(), "hardtanh", KINKS),
    "batch norm of the batch": (nn.BatchNorm1d(4, track_running_stats=False), "batch_norm", "keep running statistics"),
    "transposed convolution": (nn.ConvTranspose1d(4, 2, 2), "conv_transpose1d", "transposed convolutions are not read"),
    "a decision": (Deciding(), "gt", "a number computed from the input decides"),
}


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_no_piecewise_linear_network_is_refused_by_name_and_place(case, batch):
    part, name, advice = case
    with pytest.raises(UnsupportedLayer) as caught:
        dtdsym.from_module(Wrapped(part), torch.randn(batch, 2, 6))
    message = str(caught.value)
    assert message.startswith("layer 'block.part")
    assert name in message.split(" is not supported")[0]
    assert advice in message
    assert "supported are Linear, ReLU, convolutions" in message
    assert message.isprintable()


PLAIN = [1.0, 0.1, -3.7, 1e-3]


@pytest.mark.parametrize("number", PLAIN)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_constant_is_the_one_that_torch_computes_with(number, dtype):
    """torch's result is the exact one, rounded once: this tells which constant it used."""
    x, double = torch.randn(512, dtype=torch.float64).to(dtype), torch.tensor(number, dtype=torch.float64)
    steps = [
        lambda h: h * number, lambda h: h / number, lambda h: h + number, lambda h: h - number, lambda h: number - h,
        lambda h: h * double, lambda h: h + double, lambda h: torch.add(h * 0, h, alpha=number),
    ]  # fmt: skip
    for step in steps:
        network = dtdsym.from_module(Stepped(step, dtype), torch.zeros(1, 1, dtype=dtype))
        exact = [network([value])[0] for value in x.tolist()]
        wide = torch.promote_types(dtype, torch.float32)  # halves are computed in float32, and rounded again
        assert torch.equal(step(x), torch.stack([rounded(value, wide) for value in exact]).to(dtype))


class Stepped(nn.Module):
    """The step between two identities, since a network has a layer."""

    def __init__(self, step, dtype):
        super().__init__()
        self.step, self.one = step, torch.ones(1, 1, dtype=dtype)

    def forward(self, x):
        return self.step(functional.linear(x, self.one))


def rounded(value, dtype):
    """The value rounded once to the nearest number of dtype; through float64 alone it could be rounded twice."""
    near = torch.tensor(float(value), dtype=torch.float64).to(dtype)
    sides = [torch.nextafter(near, torch.tensor(side, dtype=dtype)) for side in (torch.inf, -torch.inf)]
    return min((near, *sides), key=lambda number: abs(Fraction(number.item()) - value))
