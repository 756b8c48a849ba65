"""Help teaches by example: every example in a help text is one that its command understands."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from importlib import import_module

import pytest

from dtdsym import explain_claim, export, regions, sanity, verify
from dtdsym.__main__ import COMMANDS
from dtdsym.__main__ import main as dtdsym_main
from dtdsym.checker.options import parser as checker_parser

# Where words that follow a command lead: `python -m MODULE ...`, or `dtdsym COMMAND ...`.
PARSERS: dict[str, Callable] = {
    "verify": verify._parser,
    "regions": regions._parser,
    "export": export._parser,
    "sanity": sanity._parser,
    "explain-claim": explain_claim._parser,
    "check": checker_parser,
    "prove": lambda: import_module("proofs.__main__")._arguments(),
}
COMMAND_OF = {"dtdsym.checker": "check", "proofs": "prove"} | {f"dtdsym.{name}": name for name in PARSERS}


def helped(capsys, *words: str) -> str:
    """What --help prints."""
    try:
        status = dtdsym_main([*words, "--help"])
    except SystemExit as end:
        status = end.code
    assert status == 0
    return capsys.readouterr().out


def examples(text: str) -> list[list[str]]:
    """The words of every example: up to what explains it, two or more spaces further on."""
    told = [line.strip() for line in text.partition("\nexamples:\n")[2].partition("\n\n")[0].splitlines()]
    return [shlex.split(line.partition("  ")[0]) for line in told]


def parsed(words: list[str]) -> None:
    """Find the command, and let its parser read the rest; an unknown option ends the test."""
    if words[:2] == ["python", "-m"]:
        name, rest = COMMAND_OF[words[2]], words[3:]
    else:
        assert words[0] == "dtdsym", words
        name, rest = words[1], words[2:]
    PARSERS[name]().parse_args(rest)


def test_every_command_has_its_parser_here():
    assert set(PARSERS) == set(COMMANDS)


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS)], ids=lambda words: "-".join(words) or "dtdsym"
)
def test_every_example_parses(capsys, command):
    text = helped(capsys, *command)
    shown = examples(text)
    assert len(shown) >= 2, text
    for words in shown:
        parsed(words)


def test_the_examples_of_a_command_are_of_that_command(capsys):
    for command in COMMANDS:
        for words in examples(helped(capsys, command)):
            assert (COMMAND_OF[words[2]] if words[0] == "python" else words[1]) == command


def test_dtdsyms_own_examples_show_every_question(capsys):
    used = {words[1] for words in examples(helped(capsys))}
    assert {"verify", "check", "explain-claim", "regions"} <= used


@pytest.mark.parametrize("command", ["verify", "regions", "export", "sanity"])
def test_options_are_grouped_and_their_defaults_told(capsys, command):
    """Whatever has a default that is no switch says so in brackets."""
    parser = PARSERS[command]()
    assert {group.title for group in parser._action_groups} >= {"the network"}
    loose = [action.dest for action in parser._optionals._group_actions]
    assert loose == ["help", "version"]
    untold = [
        action.dest
        for action in parser._actions
        if action.default not in (None, False, "==SUPPRESS==") and f"({action.default}" not in action.help
    ]
    assert untold == []


@pytest.mark.parametrize("example", ["python -m dtdsym.verify net.pt --lair all", "dtdsym check --jobs two run.jsonl"])
def test_an_example_that_a_command_does_not_understand_is_seen(capsys, example):
    with pytest.raises(SystemExit):
        parsed(shlex.split(example))
