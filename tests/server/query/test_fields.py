from __future__ import annotations

from pathlib import Path

import server.api
from server.query.fields import EVERY_LIST, FIELDS, QueryField
from server.query.filtering import parsed

README = Path(server.api.__file__).with_name("README.md")


def row(field: QueryField) -> str:
    """The row of the README's table."""
    others = EVERY_LIST - field.lists
    few, word = (field.lists, "only ") if len(field.lists) < len(others) else (others, "not ")
    where = f" ({word}of {' and '.join(sorted(few))})" if others else ""
    example = f'"{field.example}"' if " " in field.example else field.example
    return f"| `{field.name}` | {field.meaning}{where} | `{field.name}:{example}` |"


def test_the_readme_has_every_field_of_a_query() -> None:
    table = [
        line for line in README.read_text().splitlines() if line.startswith("| `") and line.count("|") == 4
    ]
    rows = [row(field) for field in FIELDS.values()]
    assert [line for line in table if line in rows] == rows


def test_every_example_means_something() -> None:
    for field in FIELDS.values():
        for of in field.lists:
            parsed(of, f'{field.name}:"{field.example}"', 10**18)
            parsed(of, row(field).split("`")[3], 10**18)
