"""A spectap server, as a program sees it: lists as iterators, single things as typed objects.

with Spectap("https://spectap.example", token_file=Path("token")) as spectap:
    for exchange in spectap.exchanges(q="status:5xx since:1h"):
        print(exchange.time, exchange.operation)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack
from urllib.parse import quote

from msgspec.json import Decoder

from server.client import connection, models
from server.client.connection import NO_PARAMS, PATIENCE_S, Params, Remote
from server.client.coverage_models import Coverage, Gaps
from server.client.errors import AddressError
from server.client.exchange_models import Exchange
from server.client.filters import (
    AgentsFilters,
    ApisFilters,
    CallsFilters,
    ConsumersFilters,
    DeviationsFilters,
    ExchangesFilters,
    OperationsFilters,
    parameters,
)
from server.client.models import Model, Page

M = TypeVar("M", bound=Model)


class Spectap:
    """The server at `url`. Use it as a context, or close it. What is not given is taken from SPECTAP_SERVER,
    SPECTAP_TOKEN_FILE and SPECTAP_CA_FILE. A server that does not answer, as while it restarts, is waited for
    `patience_s` seconds. Raises AddressError here, and SpectapError wherever the server is asked.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: Path | str | None = None,
        ca_file: Path | str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        url = url or os.environ.get("SPECTAP_SERVER")
        if not url:
            raise AddressError("give the server's url, or set SPECTAP_SERVER")
        token_file = token_file or (None if token else os.environ.get("SPECTAP_TOKEN_FILE"))
        if token_file:
            token = connection.token_in(Path(token_file), "token_file")
        ca_file = ca_file or os.environ.get("SPECTAP_CA_FILE")
        tls = connection.trust(Path(ca_file)) if ca_file else None
        self._remote = Remote(url, token, patience_s, tls)

    def __enter__(self) -> Spectap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self._remote.__exit__(None, None, None)

    def apis(self, **filters: Unpack[ApisFilters]) -> Iterator[models.Api]:
        """APIs, most recently called first."""
        return self._items("/apis", models.Api, filters)

    def api(self, id: str) -> models.Api:
        """One API, also by an earlier id."""
        return self._one(f"/apis/{_segment(id)}", models.Api)

    def operations(self, **filters: Unpack[OperationsFilters]) -> Iterator[models.Operation]:
        """Operations of all APIs, busiest first."""
        return self._items("/operations", models.Operation, filters)

    def deviations(self, **filters: Unpack[DeviationsFilters]) -> Iterator[models.StoredDeviation]:
        """Deviations, most recently seen first; without ignored ones, unless `state` asks for them."""
        return self._items("/deviations", models.StoredDeviation, filters)

    def consumers(self, **filters: Unpack[ConsumersFilters]) -> Iterator[models.ConsumerCalls]:
        """Consumers, busiest first, with the calls that the filters select."""
        return self._items("/consumers", models.ConsumerCalls, filters)

    def consumer_operations(
        self, id: str, **filters: Unpack[CallsFilters]
    ) -> Iterator[models.ConsumerOperation]:
        """The operations that a consumer calls, most called first."""
        return self._items(f"/consumers/{_segment(id)}/operations", models.ConsumerOperation, filters)

    def exchanges(self, **filters: Unpack[ExchangesFilters]) -> Iterator[Exchange]:
        """Stored exchanges, newest first."""
        return self._items("/exchanges", Exchange, filters)

    def exchange(self, id: str) -> Exchange:
        """One exchange, by the id of any of its views."""
        return self._one(f"/exchanges/{_segment(id)}", Exchange)

    def agents(self, **filters: Unpack[AgentsFilters]) -> Iterator[models.Agent]:
        """Every start of every agent, the latest report first."""
        return self._items("/agents", models.Agent, filters)

    def ledger(self, cluster: str | None = None) -> models.Ledger:
        """What became of every byte and exchange."""
        return self._one("/ledger", models.Ledger, {"cluster": cluster} if cluster else NO_PARAMS)

    def stats(self, by: str = "hour", **filters: Unpack[CallsFilters]) -> models.Stats:
        """Calls over time, by `hour` or `day`: of the last 24 hours, or from `since` on."""
        asked, _ = parameters(filters)
        return self._one("/stats", models.Stats, {**asked, "by": by})

    def coverage(self, api: str, *, by: str = "user_agent", consumer: str | None = None) -> Coverage:
        """The parts of an API's specifications that were exercised."""
        asked = {"by": by, **({"consumer": consumer} if consumer else {})}
        return self._one(f"/apis/{_segment(api)}/coverage", Coverage, asked)

    def gaps(self, api: str, *, used_by: str, not_by: str, by: str = "user_agent") -> Gaps:
        """What consumers of one name use and those of another do not."""
        asked = {"used_by": used_by, "not_by": not_by, "by": by}
        return self._one(f"/apis/{_segment(api)}/coverage/gaps", Gaps, asked)

    def specs(self, **filters: Unpack[AgentsFilters]) -> Iterator[models.SpecInfo]:
        """Specifications, newest first, without the documents."""
        return self._items("/specs", models.SpecInfo, filters)

    def spec(self, api: str, id: str | None = None) -> bytes:
        """An API's specification as uploaded: the newest, or the one with this id."""
        return self._remote.get(f"/apis/{_segment(api)}/spec", {"spec": id} if id else NO_PARAMS).content

    def put_spec(self, api: str, document: bytes) -> models.Uploaded:
        """Replaces all specifications of an API by a document in one file, YAML or JSON."""
        kind = f"application/{'json' if document.lstrip()[:1] == b'{' else 'yaml'}"
        path = f"/apis/{_segment(api)}/spec"
        answer = self._remote.send("PUT", path, document, {"content-type": kind})
        return self._remote.decoded(answer, Decoder(models.Uploaded).decode)

    def versions(self, api: str) -> Iterator[models.Version]:
        """The versions of an API's learned document, newest first."""
        return self._items(f"/apis/{_segment(api)}/reconstructed/versions", models.Version, {})

    def version_diff(self, api: str, before: str, after: str) -> models.VersionDiff:
        """The changes between two versions of an API's learned document."""
        asked = {"from": before, "to": after}
        return self._one(f"/apis/{_segment(api)}/reconstructed/diff", models.VersionDiff, asked)

    def learned(self, api: str, version: str | None = None) -> bytes:
        """An API's learned document as YAML: the newest version, or this one."""
        asked = {"version": version} if version else NO_PARAMS
        return self._remote.get(f"/apis/{_segment(api)}/reconstructed", asked).content

    def _items(self, path: str, item: type[M], filters: Mapping[str, Any]) -> Iterator[M]:
        asked, limit = parameters(filters)
        yield from self._remote.items(path, asked, Decoder(Page[item]).decode, limit)  # type: ignore[valid-type]

    def _one(self, path: str, model: type[M], params: Params = NO_PARAMS) -> M:
        found: M = self._remote.read(path, params, Decoder(model).decode)
        return found


def _segment(id: str) -> str:
    return quote(id, safe="")
