"""A few facts about one object, as HTML for a notebook and as text: the same words in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from dtdsym.report.words import Columns, Told


@dataclass(frozen=True)
class Card:
    """title: what it is. lines: what there is to know, (what about, what of it). picture: an element of HTML that says
    in words what it shows. tables, more: further ones, and lines that are folded away, by title."""

    title: str
    lines: Sequence[Told]
    picture: Markup = field(default=Markup(""))
    tables: Sequence[Columns] = ()
    more: Mapping[str, Sequence[Told]] = field(default_factory=dict)

    def to_text(self) -> str:
        """A line each."""
        return "\n".join([self.title, *(f"  {_head(head)}{text}" for head, text in self.lines)])

    def to_html(self) -> Markup:
        """Headings, lists and tables without colours of their own: they are the notebook's, light or dark."""
        folded = (
            Markup("<details><summary>{}</summary>{}</details>").format(title, _list(lines))
            for title, lines in self.more.items()
            if lines
        )
        title = Markup("<p><strong>{}</strong></p>").format(self.title)
        parts = [title, _list(self.lines), self.picture, *map(_table, self.tables), *folded]
        return Markup("<div>{}</div>").format(Markup("\n").join(parts))


def _head(head: str) -> str:
    """With a colon where it has none."""
    told = head.strip()
    return f"{told}{'' if told.endswith(':') else ':'} " if told else ""


def _list(lines: Sequence[Told]) -> Markup:
    item = Markup("<li><strong>{}</strong>{}</li>")
    items = (item.format(_head(head), text) if head else Markup("<li>{}</li>").format(text) for head, text in lines)
    return Markup("<ul>{}</ul>").format(Markup("\n").join(items))


def _table(columns: Columns) -> Markup:
    """The first column names the row."""
    row, name, cell = Markup("<tr>{}</tr>"), Markup('<th scope="row">{}</th>'), Markup("<td>{}</td>")
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(header) for header in columns.headers)
    rows = (
        row.format(Markup("").join([name.format(first), *map(cell.format, others)])) for first, *others in columns.rows
    )
    return Markup("<table><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        columns.title, heads, Markup("\n").join(rows)
    )
