"""Train the convolutional digits network: a residual block, batch normalisation and a max-pool on 8 x 8 digits.

    python examples/train_digits_conv.py

writes digits_conv.pt2 (torch.export: the graph as data, which dtdsym reads without running anything) beside this
script; its test images are digits_inputs.npy, those of train_digits.py. Needs scikit-learn, which ships the images.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from train_digits import accuracy, digits

HERE = Path(__file__).parent
EPOCHS = 40


class Block(nn.Module):
    """a + norm(conv(relu(norm(conv(a))))), then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.norm1(self.conv1(a)))
        return torch.relu(a + self.norm2(self.conv2(inner)))


def network() -> nn.Sequential:
    """Untrained, from a fixed seed."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        Block(4),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 10),
    )


class Images(nn.Module):
    """A network of (batch, 1, 8, 8) images that takes rows of 64 pixels, as the files hold them."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.module(rows.reshape(-1, 1, 8, 8))


def train(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """The trained module, in evaluation mode."""
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3, weight_decay=1e-4)
    module.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(images[batch]), labels[batch]).backward()
            optimizer.step()
    return module.eval()


def main() -> None:
    """Train, say how good it is, and write the file."""
    train_images, test_images, train_labels, test_labels = digits()
    module = train(network(), torch.from_numpy(train_images).reshape(-1, 1, 8, 8), torch.from_numpy(train_labels))
    print(f"test accuracy {accuracy(Images(module), test_images, test_labels):.2%} on {len(test_images)} images")
    batch = torch.export.Dim("batch")
    exported = torch.export.export(module, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    for node in exported.graph.nodes:  # where this script lies on the disk is nobody's business
        node.meta.pop("stack_trace", None)
    torch.export.save(exported, HERE / "digits_conv.pt2")


if __name__ == "__main__":
    main()
