"""`dtdsym COMMAND ...`, the same as `python -m dtdsym.COMMAND ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from dtdsym._version import __version__

COMMANDS = {
    "verify": "audit the Taylor root points behind explanations of a network",
    "explain-claim": "what a claim of the paper says, what holds of it, and how to ask it",
    "regions": "list, count and draw the linear regions of a network",
    "sanity": "measure how far explanations move with the class and with the layers",
    "export": "write a network as .onnx, .pt or .safetensors, and check that it is the same function",
    "check": "check certificates, trusting nothing of the rest",
    "prove": "derive the paper's statements again, step by step (in a clone of the repository)",
}
_MODULES = {"check": "dtdsym.checker.__main__", "explain-claim": "dtdsym.explain_claim"}
_USAGE = f"""usage: dtdsym COMMAND ...

{"".join(f"  dtdsym {name:<14} {what}" + chr(10) for name, what in COMMANDS.items())}
examples:
  dtdsym verify net.pt                                        do the roots lie where the theory needs them?
  dtdsym verify net.pt --input x.npy --compare relevance.npy  is my explanation only gradient x input?
  dtdsym verify net.pt --input x.npy --claim c3 --target t.npy --certificates run.jsonl    can any be forged?
  dtdsym verify net.pt --input x.npy --claim c7 --layer all   could the class change it at all? how far?
  dtdsym sanity net.pt --input images.npy --plot checks.png   how far does it move with the class, and the layers?
  dtdsym check run.jsonl                                      is that so? without trusting what wrote it
  dtdsym explain-claim c3                                     what was claimed, and what holds
  dtdsym regions net.pt --box=-1:1 --plot regions.svg         see where such a network bends

dtdsym COMMAND --help shows the options of each, by example; dtdsym --version the version.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. 2 where there is no such command."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"dtdsym {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"dtdsym: unknown command {words[0]!r}; the commands are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    if words[0] == "prove":
        return _prove(words[1:])
    return int(import_module(_MODULES.get(words[0], f"dtdsym.{words[0]}")).main(words[1:]))


def _prove(words: Sequence[str]) -> int:
    """The proofs stand beside the package, and are not installed with it."""
    folder = Path(__file__).parent.parent
    if not (folder / "proofs" / "__main__.py").is_file():
        print("dtdsym: prove needs a clone of the repository, whose proofs/ is no part of the package", file=sys.stderr)
        return 2
    sys.path.insert(0, str(folder))
    return int(import_module("proofs.__main__").main(words))


if __name__ == "__main__":
    sys.exit(main())
