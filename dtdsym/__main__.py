"""`dtdsym COMMAND ...`, the same as `python -m dtdsym.COMMAND ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "verify": "audit the Taylor root points behind explanations of a network",
    "regions": "list, count and draw the linear regions of a network",
    "export": "write a network as .onnx, .pt or .safetensors, and check that it is the same function",
    "check": "check certificates, trusting nothing of the rest",
}
_MODULES = {"check": "dtdsym.checker.__main__"}
_USAGE = "usage: dtdsym COMMAND ...\n\n" + "".join(f"  dtdsym {name:<10} {what}\n" for name, what in COMMANDS.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. 2 where there is no such command."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        return int(import_module("dtdsym.verify").main(["--version"]))
    if words[0] not in COMMANDS:
        print(f"dtdsym: unknown command {words[0]!r}; the commands are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return int(import_module(_MODULES.get(words[0], f"dtdsym.{words[0]}")).main(words[1:]))


if __name__ == "__main__":
    sys.exit(main())
