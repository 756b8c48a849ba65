"""from_module: what torch does to a tensor, whichever way the code asks for it, is what the network does."""

import math
from fractions import Fraction

import pytest
import torch
from hostile import mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.errors import InputError, LoadError, NotExact, ShapeMismatch, UnsupportedLayer


class Net(nn.Module):
    """Parts to build any forward from."""

    def __init__(self, body):
        super().__init__()
        self.a, self.b, self.free = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.relu, self.inplace, self.drop = nn.ReLU(), nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.identity, self.flat, self.out = nn.Identity(), nn.Flatten(), nn.Linear(4, 1)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.constant = nn.Parameter(torch.ones(4))
        self.body = body

    def forward(self, x):
        return self.body(self, x)


def relu_module(net, x):
    return net.b(net.relu(net.a(x)))


def relu_function(net, x):
    return net.b(functional.relu(net.a(x)))


def relu_of_torch(net, x):
    return net.b(torch.relu(net.a(x)))


def relu_method(net, x):
    return net.b(net.a(x).relu())


def relu_in_place_module(net, x):
    h = net.a(x)
    net.inplace(h)
    return net.b(h) + h


def relu_in_place_function(net, x):
    h = net.a(x)
    g = net.free(h)
    functional.relu_(h)
    return g + net.b(h) + h


def relu_in_place_flag(net, x):
    h = net.a(x)
    functional.relu(h, inplace=True)
    return net.b(h) + h


def relu_in_place_method(net, x):
    h = net.a(x)
    before = h + h
    h.relu_()
    return before + h


def relu_in_place_on_the_input(net, x):
    net.inplace(x)
    return net.a(x) + x


def relu_in_place_on_a_view(net, x):
    h = net.a(x)
    h.view(-1, 2, 2).relu_()
    return net.b(h) + h


def relu_in_place_under_a_view(net, x):
    h = net.a(x)
    view = h.reshape(-1, 2, 2)
    h.relu_()
    return net.b(view.flatten(1))


def relu_in_place_on_a_copy(net, x):
    h = net.a(x)
    h.clone().relu_()
    return net.b(h)


def relu_in_place_on_detached(net, x):
    h = net.a(x)
    h.detach().relu_()
    return net.b(h)


def clamp(net, x):
    return net.b(net.a(x).clamp(min=0)) + torch.clamp(x, 0) + torch.clamp_min(net.b(x), 0.0)


def clamp_in_place(net, x):
    h = net.a(x)
    h.clamp_(min=0)
    return net.b(h)


def no_bias(net, x):
    return net.free(net.relu(net.free(x)))


def functional_linear(net, x):
    return functional.linear(functional.linear(x, net.a.weight).relu(), net.b.weight, net.a.bias)


def matrix_product(net, x):
    return torch.addmm(net.b.bias, torch.relu(x @ net.a.weight.t()), net.b.weight)


def reused(net, x):
    for _ in range(3):
        x = net.relu(net.a(x))
    return net.a(x)


def residual(net, x):
    h = net.a(x)
    return net.b(net.relu(h)) + h


def residual_by_function(net, x):
    return torch.add(net.block(x), x)


def residual_in_place(net, x):
    h = net.a(x)
    skip = h
    h += net.b(x)
    return net.free(h) + skip


def residual_by_method_in_place(net, x):
    h, g = net.a(x), net.b(x)
    h.add_(g).relu_()
    return h + g


def doubled(net, x):
    h = net.a(x)
    return h + h


def dropout_and_identity(net, x):
    return net.b(net.drop(net.identity(functional.dropout(net.a(x), 0.3, net.training))))


def reshaped(net, x):
    x = x.view(x.shape[0], 2, 2).flatten(1)
    x = torch.flatten(net.a(x).unsqueeze(1), 1).reshape(len(x), -1)
    return net.out(net.flat(x.view(x.size(0), 1, -1))).squeeze(1)


def transposed_then_copied_by_reshape(net, x):
    h = net.a(x)
    copied = h.view(-1, 2, 2).clone().reshape(len(x), 4)
    copied.relu_()
    return net.b(h) + copied


def unused_branch(net, x):
    net.b(x)
    return net.a(x)


def shape_decides(net, x):
    return net.a(x) if x.dim() == 2 and x.shape[1] == 4 and x.dtype.is_floating_point else torch.sigmoid(x)


@torch.inference_mode()
def inference_mode(net, x):
    h = net.drop(functional.relu(net.a(x))).flatten(1)
    g = h.reshape(len(x), 2, 2)
    h += x
    g.view(len(x), 4).relu_()
    return net.b(h) + net.free(g.reshape(len(x), -1))


class Straight(torch.autograd.Function):
    """A function with a derivative of its own, as explanation tools use."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)


def own_function(net, x):
    return net.b(Straight.apply(net.a(x)))


def affine_constants(net, x):
    h = 2 * net.a(x) - net.constant / 4
    h -= 0.5
    return (1 - h) / 8 + torch.rsub(net.b(-x), 3) * torch.arange(4) - torch.add(x, h, alpha=2)


def constants_in_place(net, x):
    h = net.a(x)
    h.add_(1).mul_(net.constant * 3).sub_(x, alpha=0.5).div_(4).neg_()
    return net.b(h) + net.constant.expand_as(h)


def parts(net, x):
    h = net.a(x)
    left, right = h.chunk(2, 1)
    first = torch.stack([right[:, 0], left[:, -1]], 1)
    return torch.cat([first, h[:, 1:3], net.b(h)[:, [3, 0]], h.flip(1)], -1).unflatten(1, (5, 2)).flatten(1)


def part_under_an_in_place_step(net, x):
    h = net.a(x)
    part, turned = h[:, 1:3], h.view(-1, 2, 2).transpose(1, 2)
    h.relu_()
    return torch.cat([part, turned.flatten(1), part - h[:, :2]], 1)


def permuted(net, x):
    h = net.a(x).view(-1, 2, 2).permute(0, 2, 1)
    return net.b(h.reshape(len(x), -1)) + h.contiguous().view(len(x), 4)


def matrices(net, x):
    h = x.view(-1, 2, 2)
    return (functional.linear(h, net.a.weight[:2, :2], net.a.bias[:2]) @ net.b.weight[:2]).flatten(1)


@torch.inference_mode()
def matrices_in_inference_mode(net, x):
    return functional.linear(x.view(-1, 2, 2), net.a.weight[:3, :2]).flatten(1)


def padded(net, x):
    h = functional.pad(net.a(x), (1, -1), value=2.0)
    turned = functional.pad(h.view(-1, 2, 2), (1, 1), mode="circular") + functional.pad(h.view(-1, 2, 2), (1, 1))
    return turned.flatten(1)


def means_and_maxima(net, x):
    h = net.a(x).view(-1, 2, 2)
    return h.mean(1) + h.mean((2,)) + h.amax((1, 2), keepdim=True).flatten(1) - h.max(1)[0]


def convolutions(net, x):
    h = functional.conv1d(x.unsqueeze(1), net.a.weight[:, None, :3], net.a.bias, padding="same").relu()
    return functional.batch_norm(h, net.b.bias, net.b.bias.abs(), net.constant, net.a.bias).flatten(1)


def spread(net, x):
    h = net.a(x)
    return (h.unsqueeze(1) + x.unsqueeze(2) - h.unsqueeze(1).expand(-1, 4, -1) * 3).flatten(1)


def constants_like_it(net, x):
    return net.a(x) + torch.ones_like(x) - x.new_full((4,), 2.0)


def wider(net, x):
    return net.a(x).double()


BODIES = [
    affine_constants,
    constants_in_place,
    parts,
    part_under_an_in_place_step,
    permuted,
    matrices,
    matrices_in_inference_mode,
    padded,
    means_and_maxima,
    convolutions,
    spread,
    constants_like_it,
    wider,
    relu_module,
    relu_function,
    relu_of_torch,
    relu_method,
    relu_in_place_module,
    relu_in_place_function,
    relu_in_place_flag,
    relu_in_place_method,
    relu_in_place_on_the_input,
    relu_in_place_on_a_view,
    relu_in_place_under_a_view,
    relu_in_place_on_a_copy,
    relu_in_place_on_detached,
    clamp,
    clamp_in_place,
    no_bias,
    functional_linear,
    matrix_product,
    reused,
    residual,
    residual_by_function,
    residual_in_place,
    residual_by_method_in_place,
    doubled,
    dropout_and_identity,
    reshaped,
    transposed_then_copied_by_reshape,
    unused_branch,
    shape_decides,
    inference_mode,
    own_function,
]
by_name = {"ids": lambda value: getattr(value, "__name__", str(value))}


def agrees(network, module, inputs):
    """Whether the exact network and the float64 module give the same outputs, to rounding."""
    with torch.no_grad():
        expected = module.double().eval()(inputs.double().clone()).reshape(len(inputs), -1)
    exact = [[float(value) for value in network(row)] for row in inputs.double().flatten(1)]
    torch.testing.assert_close(torch.tensor(exact, dtype=torch.float64), expected, rtol=1e-12, atol=1e-12)
    return True


@pytest.mark.parametrize("body", BODIES, **by_name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], **by_name)
def test_the_network_is_the_module(body, dtype):
    torch.manual_seed(1)
    module = Net(body).to(dtype)
    network = dtdsym.from_module(module, torch.randn(3, 4, dtype=dtype))
    assert agrees(network, module, torch.randn(20, 4))


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("body", BODIES, **by_name)
def test_the_batch_of_the_example_does_not_matter(body, batch):
    module = Net(body)
    assert (
        dtdsym.from_module(module, torch.zeros(batch, 4)).sha256 == dtdsym.from_module(module, torch.randn(3, 4)).sha256
    )


@given(st.data())
@settings(max_examples=60)
def test_random_programs_of_in_place_and_plain_steps_are_the_module(data):
    """Any order of layers, sums, views and in-place steps on any of the values made so far."""
    steps = data.draw(
        st.lists(st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 9), st.integers(0, 9)), max_size=9)
    )

    def body(net, x):
        values = [x, net.a(x)]
        for name, i, j in steps:
            values.append(STEPS[name](net, values[i % len(values)], values[j % len(values)]))
        return net.out(values[-1].flatten(1))

    torch.manual_seed(data.draw(st.integers(0, 9)))
    module = Net(body)
    assert agrees(dtdsym.from_module(module, torch.randn(2, 4)), module, torch.randn(4, 4))


STEPS = {
    "layer": lambda net, h, g: net.a(h.flatten(1)),
    "relu": lambda net, h, g: torch.relu(h),
    "relu_": lambda net, h, g: h.relu_(),
    "add": lambda net, h, g: h.flatten(1) + g.flatten(1),
    "add_": lambda net, h, g: h.view(len(h), 4).add_(g.view(len(g), 4)),
    "view": lambda net, h, g: h.view(len(h), 2, 2),
    "reshape": lambda net, h, g: h.reshape(len(h), 1, 4),
    "clone": lambda net, h, g: h.clone(),
    "detach": lambda net, h, g: h.detach(),
    "relu of a view_": lambda net, h, g: h.flatten(1).relu_(),
}


def test_images_are_flattened_row_by_row():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    network = dtdsym.from_module(module, torch.randn(2, 3, 2, 2))
    assert network.widths == (12, 3)
    assert agrees(network, module, torch.randn(5, 3, 2, 2))


def test_an_example_in_another_memory_order_is_read_in_row_major_order():
    class Two(nn.Module):
        """Its flattening copies a transposed input, so that what it does in place leaves the input alone."""

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x):
            flat = x.reshape(len(x), -1)
            flat.relu_()
            return self.fc(flat) + x.reshape(len(x), -1)

    example = torch.randn(2, 3, 2).transpose(1, 2)
    module = Two()
    transposed, plain = dtdsym.from_module(module, example), dtdsym.from_module(module, example.contiguous())
    row = torch.randn(6, dtype=torch.float64)
    with torch.no_grad():
        module.double()
        for network, x in ((transposed, row.view(1, 3, 2).transpose(1, 2)), (plain, row.view(1, 2, 3).clone())):
            given_row = x.flatten().clone()
            expected = module(x.clone())[0]
            ours = torch.tensor([float(value) for value in network(given_row)], dtype=torch.float64)
            torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    assert transposed.sha256 != plain.sha256


def test_weights_are_exact():
    module = nn.Linear(3, 1)
    module.weight.data = torch.tensor([[0.1, 1e-45, -3.0e38]])
    network = dtdsym.from_module(module, torch.zeros(1, 3))
    expected = [Fraction(w) for w in module.weight[0].tolist()]
    assert [Fraction(w) for w in network.layer(1).linear.weight[0]] == expected
    assert 0 not in expected


def test_weights_are_a_copy():
    module = mlp(2, 2, dtype=torch.float64)
    network = dtdsym.from_module(module, torch.zeros(1, 2, dtype=torch.float64))
    before = network([1, 2])
    with torch.no_grad():
        module[0].weight.mul_(2)
        module[0].bias.add_(1)
    assert network([1, 2]) == before


def test_reused_layers_share_their_arrays_and_count_once():
    network = dtdsym.from_module(Net(reused), torch.zeros(1, 4))
    assert network.layer(1).linear.weight is network.layer(4).linear.weight
    assert network.parameters == 20


def test_a_weight_that_changes_between_two_uses_is_read_at_each():
    def body(net, x):
        with torch.no_grad():
            net.a.weight.copy_(torch.eye(4))
            h = net.a(x)
            net.a.weight.copy_(2 * torch.eye(4))
            return net.a(h)

    network = dtdsym.from_module(Net(body), torch.zeros(1, 4))
    assert (network.layer(1).linear.weight * 2 == network.layer(2).linear.weight).all()


def test_nodes_are_named_by_their_place_and_dead_ones_are_gone():
    network = dtdsym.from_module(Net(lambda net, x: (net.b(x), net.block(net.relu(x)) + x)[1]), torch.zeros(1, 4))
    assert [node.name for node in network.nodes] == ["input", "relu", "block.0", "block.1", "block.2", "add"]


def test_the_module_is_left_as_it_was():
    module = Net(relu_in_place_on_the_input)
    module.drop.eval()
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    example = torch.randn(2, 4)
    before, state = example.clone(), torch.get_rng_state()
    dtdsym.from_module(module, example)
    assert module.training
    assert module.a.training
    assert not module.drop.training
    assert torch.equal(example, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())


def test_modes_are_restored_after_a_refusal_too():
    module = Net(lambda net, x: torch.sigmoid(x))
    with pytest.raises(UnsupportedLayer):
        dtdsym.from_module(module, torch.zeros(1, 4))
    assert module.training
    assert module.drop.training


def test_training_mode_is_ignored():
    module = Net(dropout_and_identity)
    assert dtdsym.from_module(module.train(), torch.zeros(1, 4)).sha256 == (
        dtdsym.from_module(module.eval(), torch.zeros(1, 4)).sha256
    )


@pytest.mark.parametrize("wrap", [torch.jit.script, nn.DataParallel, lambda m: torch.jit.trace(m, torch.zeros(1, 2))])
@pytest.mark.filterwarnings("ignore")
def test_wrapped_modules_are_the_same_network(wrap):
    module = mlp(2, 3, 1)
    assert (
        dtdsym.from_module(wrap(module), torch.zeros(1, 2)).sha256
        == dtdsym.from_module(module, torch.zeros(1, 2)).sha256
    )


def test_a_forward_of_the_instance_is_the_forward():
    """It is live code, so it counts: only files must not bring one."""
    module = mlp(2, 3, 1)
    first = module[0]
    module.forward = lambda x: first(x).relu()
    network = dtdsym.from_module(module, torch.zeros(1, 2))
    assert network.widths == (2, 3)
    assert agrees(network, module, torch.randn(5, 2))


def test_load_and_from_module_agree(tmp_path):
    module = nn.Sequential(nn.Flatten(), mlp(4, 3, 2), nn.Dropout(0.1))
    torch.save(module, tmp_path / "net.pt")
    assert dtdsym.load(tmp_path / "net.pt").sha256 == dtdsym.from_module(module, torch.zeros(1, 4)).sha256


def swallowed(net, x):
    try:
        return torch.sigmoid(x)
    except Exception:
        return net.a(x)


def type_decides(net, x):
    return net.a(x) if type(x) is torch.Tensor else net.b(x)


def data_swapped(net, x):
    x.data = x.data + x.data
    return net.a(x)


REFUSED = {
    "sigmoid": (lambda net, x: torch.sigmoid(net.a(x)), "operation sigmoid"),
    "softmax": (lambda net, x: torch.softmax(net.a(x), 1), "cut the model before it and explain the logits"),
    "log softmax": (lambda net, x: functional.log_softmax(net.a(x), 1), "cut the model before it"),
    "leaky relu": (lambda net, x: functional.leaky_relu(x), "operation leaky_relu"),
    "relu6": (
        lambda net, x: functional.relu6(x),
        "of the operations with kinks only ReLU",
    ),
    "clamp from above": (lambda net, x: x.clamp(max=1), "only clamp(min=0)"),
    "clamp both": (lambda net, x: x.clamp(0, 1), "only clamp(min=0)"),
    "clamp at 1": (lambda net, x: x.clamp(min=1), "only clamp(min=0)"),
    "clamp by tensor": (lambda net, x: x.clamp(min=net.constant), "only clamp(min=0)"),
    "broadcast sum": (lambda net, x: x + net.a(x).view(-1, 1, 4), "different numbers of dimensions"),
    "product of values": (lambda net, x: x * net.a(x), "the product of two values of the input"),
    "quotient of values": (lambda net, x: 1 / net.a(x), "operation reciprocal"),
    "quotient by a value": (lambda net, x: net.constant / net.a(x), "only a division of a value by a constant"),
    "rounded quotient": (lambda net, x: torch.div(x, 2, rounding_mode="floor"), "without rounding"),
    "constant for each sample": (lambda net, x: x + torch.arange(12.0).view(3, 4), "not the same for each sample"),
    "first sample": (lambda net, x: net.a(x)[0], "operation select is not supported here: it mixes the samples"),
    "first samples": (lambda net, x: net.a(x)[:2], "operation slice is not supported here: it mixes the samples"),
    "mean over samples": (lambda net, x: x - x.mean(0, keepdim=True), "operation mean"),
    "mean over all": (lambda net, x: x - x.mean(), "operation mean"),
    "samples side by side": (lambda net, x: torch.cat([x, net.a(x)]), "operation cat is not supported here: it mixes"),
    "samples upside down": (lambda net, x: x.flip(0), "operation flip is not supported here: it mixes"),
    "samples as a dimension": (lambda net, x: net.a(x).view(3, 2, 2).permute(1, 0, 2), "operation permute"),
    "indices of maxima": (lambda net, x: functional.max_pool1d(x, 2, return_indices=True)[1], "beside the first"),
    "used indices": (
        lambda net, x: net.a(x) + x.max(1, keepdim=True)[1],
        "one of its results beside the first is used",
    ),
    "write into a part": (lambda net, x: [h := net.a(x), h[:, :2].relu_(), h][2], "writes into a part"),
    "write into a transpose": (lambda net, x: [h := x.view(-1, 2, 2), h.transpose(1, 2).relu_(), h][2], "into a part"),
    "assignment": (lambda net, x: [h := net.a(x), h.__setitem__((slice(None), 0), 0), h][2], "operation fill_"),
    "shape in place": (lambda net, x: net.a(x).unsqueeze_(1), "changes a tensor's shape in place"),
    "maximum": (lambda net, x: torch.maximum(x, net.a(x)), "operation maximum"),
    "transposition": (lambda net, x: x.t(), "operation t "),
    "mixing samples": (
        lambda net, x: net.out(x.view(-1, 4)).view(1, -1),
        "[3, 1] become a tensor of shape [1, 3]",
    ),
    "splitting samples": (lambda net, x: x.view(-1, 2), "samples of shape [3, 4] become a tensor of shape [6, 2]"),
    "dropping the batch": (lambda net, x: x.view(-1), "samples of shape [3, 4] become a tensor of shape [12]"),
    "weights on the left": (lambda net, x: net.a.weight @ x.view(4, -1), "samples of shape [3, 4] become"),
    "computed weights": (lambda net, x: functional.linear(x, net.a(x)), "its weight is computed from the input"),
    "scaled product": (lambda net, x: torch.addmm(net.constant, x, net.a.weight, alpha=2), "alpha = beta = 1"),
    "computed bias": (lambda net, x: torch.addmm(x, x, net.a.weight), "constant weights"),
    "computed bias in one dimension": (
        lambda net, x: torch.addmm(net.out(x).squeeze(1), x, torch.ones(4, 3)),
        "constant weights",
    ),
    "dropout in training, in inference mode": (
        torch.inference_mode()(lambda net, x: functional.dropout(x, 0.5)),
        "it is applied in training mode",
    ),
    "bias for each sample": (
        lambda net, x: torch.addmm(torch.arange(12.0).view(3, 4), x, net.a.weight),
        "not the same for each sample",
    ),
    "batch norm by the batch": (lambda net, x: functional.batch_norm(x, None, None, training=True), "mixes samples"),
    "transposed convolution": (
        lambda net, x: functional.conv_transpose1d(x.unsqueeze(1), torch.ones(1, 1, 2)),
        "transposed convolutions are not read",
    ),
    "convolution without a batch, in inference mode": (
        torch.inference_mode()(lambda net, x: functional.conv1d(x, torch.ones(1, 3, 2))),
        "each sample has shape [4], which leaves no batch",
    ),
    "convolution without a batch": (lambda net, x: functional.conv1d(x, torch.ones(1, 3, 2)), "mixes the samples"),
    "dropout in training": (lambda net, x: functional.dropout(x, 0.5), "draw at random"),
    "a number decides": (lambda net, x: net.a(x) if x[0, 0] > 0 else x, "operation select"),
    "a maximum decides": (lambda net, x: net.a(x) if (x > 0).all() else x, "a number computed from the input decides"),
    "narrower dtype": (lambda net, x: net.a(x).half(), "operation _to_copy is not supported here: it rounds"),
    "integer dtype": (lambda net, x: net.a(x).long(), "operation _to_copy"),
    "in place on a constant": (
        lambda net, x: net.constant.data.expand(3, 4).clone().add_(x),
        "it writes into a constant",
    ),
    "copy into a constant": (lambda net, x: torch.zeros(3, 4).copy_(x), "operation copy_"),
    "output given": (lambda net, x: torch.add(x, x, out=net.a(x)), "operation add"),
    "printing": (lambda net, x: net.a(x) if str(x) else x, "operation view"),
    "swallowed refusal": (swallowed, "operation sigmoid"),
    "a tuple": (lambda net, x: (net.a(x),), "returns a tuple"),
    "nothing": (lambda net, x: None, "returns a NoneType"),
    "a constant": (lambda net, x: net.constant, "returns a Parameter"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_other_operations_are_refused_by_name(case):
    body, words = case
    with pytest.raises(UnsupportedLayer) as caught:
        dtdsym.from_module(Net(body), torch.randn(3, 4))
    assert words in str(caught.value)
    assert "supported are Linear, ReLU" in str(caught.value)
    assert str(caught.value).isprintable()


FICKLE = {
    "random weights": lambda net, x: functional.linear(x, torch.randn(2, 4)),
    "its type decides": type_decides,
    "its data is swapped": data_swapped,
}


@pytest.mark.parametrize("body", FICKLE.values(), ids=FICKLE)
def test_a_forward_that_differs_between_calls_is_refused(body):
    with pytest.raises(LoadError, match="does something else at another call"):
        dtdsym.from_module(Net(body), torch.randn(3, 4))


def test_a_forward_that_counts_its_calls_is_refused():
    """The outputs agree to rounding within each run; the two networks do not."""

    def body(net, x):
        net.calls = getattr(net, "calls", 0) + 1
        return functional.linear(x, net.a.weight * (1 + net.calls // 3 * 2**-20))

    with pytest.raises(LoadError, match="does something else at another call"):
        dtdsym.from_module(Net(body), torch.randn(3, 4))


def test_the_place_and_the_line_are_named():
    def body(net, x):
        return net.block(net.a(x))

    module = Net(body)
    module.block[1] = nn.Sigmoid()
    line = body.__code__.co_firstlineno + 1
    with pytest.raises(UnsupportedLayer, match=rf"layer 'block\.1' \(Sigmoid\) at test_from_module\.py:{line}: "):
        dtdsym.from_module(module, torch.randn(3, 4))


def hooked():
    module = mlp(2, 2, 1)
    module[2].register_forward_hook(lambda *_: None)
    return module, UnsupportedLayer, r"layer '2' \(Linear\) has forward hooks"


def pre_hooked():
    module = mlp(2, 2)
    module.register_forward_pre_hook(lambda *_: None)
    return module, UnsupportedLayer, r"the module \(Sequential\) has forward hooks"


def spectral():
    module = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)))
    return module, UnsupportedLayer, "layer '0' .* is parametrised; .*remove_parametrizations"


def old_weight_norm():
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 2))), UnsupportedLayer, "layer '0' .*forward hooks"


def compiled():
    return torch.compile(mlp(2, 2)), UnsupportedLayer, "compiled by torch.compile"


def integers():
    module = mlp(2, 2)
    module[0].weight = nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))
    return module, NotExact, "layer '0': its weight has dtype torch.complex64"


def sparse():
    module = mlp(2, 2)
    module[0].weight = nn.Parameter(module[0].weight.detach().to_sparse())
    return module, UnsupportedLayer, "layer '0': its weight is a Parameter .*not a dense tensor"


def without_data():
    return mlp(2, 2).to("meta"), NotExact, "layer '0': its weight .* on device meta"


def not_a_number():
    module = mlp(2, 3)
    module[0].weight.data[2, 1] = math.nan
    return module, NotExact, r"layer '0': weight\[2, 1\] is nan"


def infinite():
    module = mlp(2, 3)
    module[0].bias.data[2] = math.inf
    return module, NotExact, r"layer '0': bias\[2\] is inf"


def quantised():
    return torch.ao.quantization.quantize_dynamic(mlp(2, 2)), UnsupportedLayer, "quantized.linear_dynamic"


def nothing_linear():
    return nn.ReLU(), ShapeMismatch, "no linear layer"


def other_width():
    return mlp(3, 2), LoadError, "forward fails on example_input .*cannot be multiplied"


def broken():
    return Net(lambda net, x: net.nothing(x)), LoadError, "forward fails on example_input .AttributeError"


def no_module():
    return torch.relu, LoadError, "takes a torch.nn.Module"


FLAWS = [
    hooked,
    pre_hooked,
    spectral,
    old_weight_norm,
    compiled,
    integers,
    sparse,
    without_data,
    not_a_number,
    infinite,
    quantised,
    nothing_linear,
    other_width,
    broken,
    no_module,
]


@pytest.mark.parametrize("flaw", FLAWS, **by_name)
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_refused_at_its_planted_flaw(flaw):
    module, error, words = flaw()
    with pytest.raises(error, match=words) as caught:
        dtdsym.from_module(module, torch.randn(3, 2))
    assert type(caught.value) is error
    assert str(caught.value).isprintable()


EXAMPLES = {
    "no batch": (torch.zeros(2), r"shape \(2,\).*x\[None\]"),
    "empty batch": (torch.zeros(0, 2), r"shape \(0, 2\)"),
    "empty samples": (torch.zeros(2, 0), r"shape \(2, 0\)"),
    "integers": (torch.zeros(1, 2, dtype=torch.int64), "tensor of torch.int64"),
    "a list": ([[0.0, 1.0]], "is a list"),
}


@pytest.mark.parametrize("case", EXAMPLES.values(), ids=EXAMPLES)
def test_a_bad_example_is_refused(case):
    example, words = case
    with pytest.raises(InputError, match=words):
        dtdsym.from_module(mlp(2, 2), example)


def test_a_linear_layer_on_unflattened_samples_works_along_the_last_dimension():
    module = mlp(2, 3, 2)
    network = dtdsym.from_module(module, torch.zeros(1, 5, 2))
    assert network.input_shape == (5, 2)
    assert agrees(network, module, torch.randn(3, 5, 2))
