"""Networks of the shapes that people explain, with random weights: VGG-16, ResNet-18 and ResNet-50, at any width.

Batch normalisation has random statistics, so that it scales and shifts as trained ones do."""

from __future__ import annotations

import torch
from torch import nn

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


def vgg16(width: float = 1.0, classes: int = 1000, side: int = 224, hidden: int = 4096) -> nn.Sequential:
    """13 convolutions and 3 linear layers (Simonyan and Zisserman 2015); 138,357,544 parameters as it stands."""
    layers: list[nn.Module] = []
    channels = 3
    for step in VGG16:
        if step == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        out = max(1, int(step * width))
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        channels = out
    flat = channels * (side // 32) ** 2
    head = [nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
    return _initialised(nn.Sequential(*layers, nn.Flatten(), *head))


class Block(nn.Module):
    """A residual block (He et al. 2016): two 3 x 3 convolutions, or with `bottleneck` 1 x 1, 3 x 3, 1 x 1."""

    def __init__(self, channels: int, inner: int, out: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        kernels = [(1, 1), (3, stride), (1, 1)] if bottleneck else [(3, stride), (3, 1)]
        widths = [channels, *[inner] * (len(kernels) - 1), out]
        steps: list[nn.Module] = []
        for (kernel, step), before, after in zip(kernels, widths, widths[1:], strict=False):
            steps += [nn.Conv2d(before, after, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.main = nn.Sequential(*steps[:-1])
        self.skip = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.main(x) + self.skip(x))


def resnet(blocks: tuple[int, ...], bottleneck: bool, width: float = 1.0, classes: int = 1000) -> nn.Sequential:
    """Strided convolution, max-pool, residual stages, global average pool, linear."""
    first = max(1, int(64 * width))
    layers: list[nn.Module] = [
        nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    channels = first
    for stage, number in enumerate(blocks):
        inner = first * 2**stage
        out = 4 * inner if bottleneck else inner
        for block in range(number):
            layers.append(Block(channels, inner, out, 2 if stage and not block else 1, bottleneck))
            channels = out
    return _initialised(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)))


def resnet18(width: float = 1.0, classes: int = 1000) -> nn.Sequential:
    """11,689,512 parameters as it stands."""
    return resnet((2, 2, 2, 2), False, width, classes)


def resnet50(width: float = 1.0, classes: int = 1000) -> nn.Sequential:
    """25,557,032 parameters as it stands."""
    return resnet((3, 4, 6, 3), True, width, classes)


def _initialised(model: nn.Sequential) -> nn.Sequential:
    """He's initialisation; batch normalisation with statistics near those of trained ones."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.01)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()
