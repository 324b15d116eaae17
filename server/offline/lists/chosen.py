"""The API that a command is about, by its name or id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.analysis.printable import printable
from server.client.errors import WrongQuery

if TYPE_CHECKING:
    from server.client.connection import Remote

MOST_NAMED = 5


def api_id(server: Remote, text: str) -> str:
    """The id of the only API with this name; the text itself, which may be an earlier id, if none has it.
    Raises WrongQuery if several have it.
    """
    found = [*server.items("/apis", {"api": text}, limit=MOST_NAMED + 1)]
    if len(found) > 1:
        some = ", ".join(f"{one['id']} ({one['name']})" for one in found[:MOST_NAMED])
        more = " and others" if len(found) > MOST_NAMED else ""
        raise WrongQuery(printable(f"several APIs are called {text}: name one by its id: {some}{more}"))
    return str(found[0]["id"]) if found else text
