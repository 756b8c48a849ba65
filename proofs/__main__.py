"""python -m proofs [ID ...]: decide the paper's statements again, all of them or some, and show how.

Without an ID all are derived, in several processes, and their table is printed and written to proofs/ERRATA.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# Scripts are also run by their path: then this folder, not its parent, is where modules are looked for.
sys.path.insert(0, str(Path(__file__).parent))

from machinery.derivation import StepFailed
from machinery.page import latex, markdown
from machinery.script import FOLDER, derive, statements
from machinery.statement import VERDICTS, Statement

_EPILOG = """examples:
  python -m proofs --list                         what there is
  python -m proofs prop2 eq21                     two of them, as a reader sees them
  python -m proofs --jobs 2                       all of them again, in about two minutes
  python -m proofs forgery --latex forgery.tex    one of them as LaTeX

exit status: 0 all hold as they say; 1 a step failed; 2 there is no such statement, or a file cannot be written
"""


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 all hold as they say, 1 a step failed, 2 no such statement, or a file cannot be written."""
    asked = _arguments().parse_args(words)
    try:
        return _run(asked)
    except OSError as err:
        print(f"{err.filename}: cannot be written ({err.strerror})", file=sys.stderr)
        return 2


def _run(asked: argparse.Namespace) -> int:
    known = statements()
    unknown = [id for id in asked.ids if id not in known]
    if unknown:
        print(f"no statement {', '.join(unknown)}; known: {' '.join(known)}", file=sys.stderr)
        return 2
    if asked.list:
        print("\n".join(known))
        return 0
    if asked.ids and not asked.latex:
        return max(_shown(known[id]) for id in asked.ids)
    if asked.latex:
        return _written([known[id] for id in asked.ids or known], asked.latex)
    return _all(known, max(1, asked.jobs), asked.markdown)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m proofs",
        description=(__doc__ or "").partition("\n\n")[2],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="eq02, prop3, rule_zplus, ...; see --list")
    parser.add_argument("--list", action="store_true", help="print all ids, one a line")
    parser.add_argument(
        "--latex",
        type=Path,
        nargs="?",
        const=Path("derivations.tex"),
        metavar="FILE",
        help="write the derivations as a LaTeX document (derivations.tex)",
    )
    parser.add_argument(
        "--markdown", type=Path, default=FOLDER / "ERRATA.md", metavar="FILE", help="the table's page (ERRATA.md)"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    return parser


def _shown(one: Statement) -> int:
    try:
        derive(one)
    except StepFailed as err:
        print(f"{one.id} FAILED: {err}", file=sys.stderr)
        return 1
    return 0


def _written(chosen: list[Statement], path: Path) -> int:
    try:
        page = latex(derive(one, quiet=True) for one in chosen)
    except StepFailed as err:
        print(f"FAILED: {err}", file=sys.stderr)
        return 1
    path.write_text(page)
    print(f"{path}: {len(chosen)} statements")
    return 0


def _all(known: dict[str, Statement], jobs: int, page: Path) -> int:
    failed = 0
    start = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        for one, error in zip(known.values(), pool.map(_decided, known), strict=True):
            print(f"{one.id:24} {'FAILED' if error else one.verdict:10} {error or one.reason}", flush=True)
            failed += bool(error)
    counts = [f"{sum(one.verdict == verdict for one in known.values())} {verdict}" for verdict in VERDICTS]
    print(f"{len(known)} statements: {', '.join(counts)}; {failed} failed; {time.perf_counter() - start:.0f} s")
    if not failed:
        page.write_text(markdown(known.values()))
    return int(failed > 0)


def _decided(id: str) -> str:
    """What failed, if anything, in a process of its own."""
    try:
        derive(statements()[id], quiet=True)
    except StepFailed as err:
        return str(err) or "a step failed"
    return ""


if __name__ == "__main__":
    sys.exit(main())
