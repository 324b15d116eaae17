"""Everything that a server returns of its stored data."""

from __future__ import annotations

from typing import Any

from tests.server.running import Client

LISTS = ("/apis", "/specs", "/exchanges", "/deviations", "/agents")
OF_AN_API = ("operations", "reconstructed/versions", "proposals")


def answers(client: Client) -> dict[str, list[Any]]:
    """By path: every item of every list, and every single document."""
    found: dict[str, list[Any]] = {path: client.items(path) for path in LISTS}
    found["/deviations?state=ignored"] = client.items("/deviations", state="ignored")
    found["/ledger"] = [client.get("/ledger")]
    for api in found["/apis"]:
        found |= _of_api(client, api["id"])
    return found


def _of_api(client: Client, id: str) -> dict[str, list[Any]]:
    base = f"/apis/{id}"
    found: dict[str, list[Any]] = {f"{base}/{name}": client.items(f"{base}/{name}") for name in OF_AN_API}
    found[base] = [client.get(base)]
    found[f"{base}/decisions"] = client.get(f"{base}/decisions")["items"]
    for path in (f"{base}/spec", f"{base}/coverage", f"{base}/reconstructed"):
        answer = client.http.get(f"/api/v1{path}", params=_newest(path, found))
        if answer.is_success:
            found[path] = [answer.json() if "json" in answer.headers["content-type"] else answer.text]
    return found


def _newest(path: str, found: dict[str, list[Any]]) -> dict[str, str]:
    """The newest version by its name: a later server may have published another."""
    versions = found.get(f"{path}/versions")
    return {"version": versions[0]["version"]} if versions else {}
