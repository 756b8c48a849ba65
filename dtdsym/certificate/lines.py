"""What stands in every line of a certificate file: exact numbers as text, inputs, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import fraction, text
from dtdsym.certificate.network import network_hash
from dtdsym.network.network import Network


def written(line: Mapping[str, Any]) -> str:
    """The line as it stands in a file, with its end."""
    return json.dumps(line, separators=(",", ":")) + "\n"


def point(numbers: Iterable[Any]) -> list[str]:
    """Exact numbers as text."""
    return [text(number if isinstance(number, Fraction) else fraction(number)) for number in numbers]


def input_line(network: Network, x: Iterable[Any]) -> dict[str, Any]:
    """The line of one input (in,), before the claims about it."""
    values = point(x)
    return {"input": hash_of(values), "network": network_hash(network), "values": values}


def hash_of(values: list[str]) -> str:
    """An input's hash."""
    return hashlib.sha256(",".join(values).encode()).hexdigest()
