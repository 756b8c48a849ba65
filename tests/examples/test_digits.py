"""The shipped digits network is what its script says: trained on real images, over 95 % right on unseen ones."""

from __future__ import annotations

import numpy as np
import train_digits

import dtdsym


def test_the_shipped_network_reads_over_95_percent_of_the_shipped_images(repository):
    network = dtdsym.load(repository / "examples" / "digits_mlp.pt")
    images = np.load(repository / "examples" / "digits_inputs.npy")
    labels = np.load(repository / "examples" / "digits_labels.npy")
    outputs = [network(image) for image in images[::4]]
    read = [max(range(10), key=output.__getitem__) for output in outputs]
    assert (np.array(read) == labels[::4]).mean() > 0.95


def test_the_shipped_images_are_the_scripts_test_images(repository):
    _, images, _, labels = train_digits.digits()
    assert (np.load(repository / "examples" / "digits_inputs.npy") == images).all()
    assert (np.load(repository / "examples" / "digits_labels.npy") == labels).all()


def test_the_script_trains_such_a_network(monkeypatch):
    monkeypatch.setattr(train_digits, "EPOCHS", 25)
    train_images, test_images, train_labels, test_labels = train_digits.digits()
    module = train_digits.train(train_images, train_labels)
    assert train_digits.accuracy(module, test_images, test_labels) > 0.9
