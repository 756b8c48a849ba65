"""The report for people on the terminal: findings, tables, what was asked, and how it was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dtdsym.report.words import Columns, Told, asked, facts, findings, legend, places, sections
from dtdsym.survey.findings import Findings


def render(found: Findings) -> RenderableType:
    """Everything, for a rich console of any width."""
    parts: list[RenderableType] = [Text("Findings", style="bold"), *map(_line, findings(found)), Text()]
    parts += [_Folded(places(found)), Text(), _Folded(facts(found)), Text(), *map(_line, legend(found)), Text()]
    for title, lines in sections(found).items():
        parts += [Text(title, style="bold"), *map(_line, lines), Text()] if lines else []
    parts += [Text("What was asked", style="bold"), _asked(found)]
    return Group(*parts)


def _line(told: Told) -> RenderableType:
    head, text = told
    return Padding(Text(head, style="bold").append(text, style="not bold"), (0, 0, 0, 2))


def _asked(found: Findings) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in asked(found):
        grid.add_row(name, Text(value))
    return Padding(grid, (0, 0, 0, 2))


@dataclass(frozen=True)
class _Folded:
    """A table whose numbers and words are never broken: what does not fit beside the first `keys` columns goes on in a
    further table below, which repeats them."""

    table: Columns
    keys: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(range(self.keys, len(self.table.headers)))
        while columns:
            shown = list(range(self.keys))
            while columns and (len(shown) == self.keys or self._width([*shown, columns[0]]) <= options.max_width):
                shown.append(columns.pop(0))
            yield self._table(shown, self.table.title if shown[self.keys] == self.keys else "")

    def _width(self, shown: Sequence[int]) -> int:
        """Of a table of these columns, each two wider than its longest line."""
        return sum(2 + max(len(line) for text in self._texts(column) for line in text.split("\n")) for column in shown)

    def _texts(self, column: int) -> list[str]:
        return [self.table.headers[column].replace(" ", "\n"), *(row[column] for row in self.table.rows)]

    def _table(self, shown: Sequence[int], title: str) -> Table:
        table = Table(
            title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1)
        )
        for column in shown:
            justify: Literal["left", "right"] = "right" if column else "left"
            table.add_column(self._texts(column)[0], justify=justify, no_wrap=True, vertical="bottom")
        for row in self.table.rows:
            table.add_row(*(row[column] for column in shown))
        return table
