"""What the command of the checker can be told."""

from __future__ import annotations

import argparse
from typing import Any

_EPILOG = """examples:
  python -m dtdsym.checker run.jsonl                        what is accepted, line by line
  python -m dtdsym.checker run.jsonl.gz --quiet --jobs 2    only what is refused, and the counts
  python -m dtdsym.checker run.jsonl --expect HASH         and they are about this network (the report has its hash)

exit status: 0 all claims are accepted, and there is one; 1 something is refused; 2 a file cannot be read
"""


def parser() -> argparse.ArgumentParser:
    """Files, what is expected of them, and how they are checked."""
    made = argparse.ArgumentParser(
        prog="python -m dtdsym.checker",
        description="Check certificates, one line each, trusting nothing but this folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("files", metavar="FILE", nargs="+", help=".jsonl or .jsonl.gz; - is standard input")
    many: dict[str, Any] = {"metavar": "HASH", "action": "append", "default": [], "type": str.lower}
    add("--expect", **many, help="the network that was asked about (any)")
    add("--expect-input", **many, help="an input that was asked about (any)")
    add("--jobs", metavar="N", type=int, default=1, help="processes (1)")
    add("--quiet", action="store_true", help="say only what was refused, and the counts")
    return made
