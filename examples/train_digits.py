"""Train the digits network that the README audits: 64-32-32-10 on scikit-learn's handwritten digits (8 x 8 pixels).

    python examples/train_digits.py

writes digits_mlp.pt (the whole nn.Sequential), digits_inputs.npy (360 test images as the network receives them:
pixel / 16, one row an image) and digits_labels.npy beside this script. Needs scikit-learn, which ships the images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
EPOCHS = 150


def digits() -> list[np.ndarray]:
    """Training images, test images (n, 64) in [0, 1], training labels, test labels."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32)
    return list(train_test_split(pixels, labels, test_size=0.2, random_state=0, stratify=labels))


def train(images: np.ndarray, labels: np.ndarray) -> nn.Sequential:
    """The trained network, from a fixed seed."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3, weight_decay=1e-4)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()
    return module.eval()


def accuracy(module: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is their label's."""
    with torch.no_grad():
        return float((module(torch.from_numpy(images)).argmax(1).numpy() == labels).mean())


def main() -> None:
    """Train, say how good it is, and write the three files."""
    train_images, test_images, train_labels, test_labels = digits()
    module = train(train_images, train_labels)
    print(f"test accuracy {accuracy(module, test_images, test_labels):.2%} on {len(test_images)} images")
    torch.save(module, HERE / "digits_mlp.pt")
    np.save(HERE / "digits_inputs.npy", test_images)
    np.save(HERE / "digits_labels.npy", test_labels)


if __name__ == "__main__":
    main()
