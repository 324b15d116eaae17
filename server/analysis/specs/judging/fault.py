"""Whose a difference is: the table by which an answer decides what a wrong request means.

The first row that fits counts. "Breaks it": the request differs from the specification in any part.

| request | answer | verdict | fault |
|---|---|---|---|
| unknown path or method | 404, 405, 410, 501; 400 where no path can be; a redirect to the described path that a tidied one is | unjudged: a probe | `caller` |
| fits a path by its trailing slash alone, is a HEAD where GET is described, or breaks a path parameter | one of these that is not described | unjudged: a probe | `caller` |
| any, also of an unknown operation | 401, 403, 407, 429, 5xx | the request is unjudged, the answer judged | `server` if it differs |
| unknown path or method | anything else | shadow | `server` |
| any | none seen | the request is unjudged | |
| breaks it | below 400 | deviating: accepted though wrong | `server-lax` |
| breaks it | 4xx, as described | by its answer: refused | `caller` |
| any | differs from what is described | deviating | `server` |

A request that was refused is no deviation of the API, so its differences are in `why` only.
"""  # noqa: E501 (a table)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from agent.wire import Request
from server.analysis.specs.deviation import Deviation
from server.analysis.specs.kinds import ANSWER, Fault, Kind, Where

_UNDECIDED = frozenset({401, 403, 407, 429})
NO_SUCH_OPERATION = frozenset({404, 405, 410, 501})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNDESCRIBED = frozenset({Kind.UNKNOWN_PATH, Kind.UNKNOWN_METHOD})


@dataclass(frozen=True, slots=True)
class FaultRuling:
    """The API's deviations. `why` says what was left out of them; `unjudged`: because nothing can be said."""

    deviations: tuple[Deviation, ...]
    fault: Fault | None
    why: str | None = None
    unjudged: bool = False


PROBE = FaultRuling((), Fault.CALLER, "no such operation here, and the server says so", unjudged=True)


def fault_of(kind: Kind, where: Where) -> Fault:
    """Whose a reported deviation is."""
    return Fault.SERVER if where in ANSWER or kind in _UNDESCRIBED else Fault.SERVER_LAX


def settled(found: Sequence[Deviation], status: int | None) -> FaultRuling:
    """What the differences of a described call mean; `status` is None if no answer was seen."""
    answer = tuple(one for one in found if one.where in ANSWER)
    broken = len(answer) < len(found)
    fault = Fault.SERVER if answer else None
    if status is None:
        return FaultRuling((), None, _broken(found) if broken else None, unjudged=broken)
    if is_undecided(status):
        return FaultRuling(
            answer, fault, f"a {status} leaves open whether the request was right", unjudged=True
        )
    if status < 400:
        return FaultRuling(tuple(found), Fault.SERVER_LAX if broken else fault)
    if broken:
        return FaultRuling(answer, fault or Fault.CALLER, f"{_broken(found)}, and was refused")
    return FaultRuling(answer, fault)


def settled_undescribed(deviation: Deviation, request: Request, status: int | None) -> FaultRuling:
    """What a call of an unknown path or method means."""
    if status in NO_SUCH_OPERATION or (status == 400 and not _is_path(request.path)):
        return PROBE
    if status is not None and is_undecided(status):
        return FaultRuling(
            (), None, f"a {status} leaves open whether there is such an operation", unjudged=True
        )
    return FaultRuling((deviation,), Fault.SERVER)


def is_undecided(status: int) -> bool:
    """Whether an answer says nothing about the request: it was not let in, or the server failed."""
    return status in _UNDECIDED or status >= 500


def _broken(found: Sequence[Deviation]) -> str:
    kinds = dict.fromkeys(f"{one.kind} in {one.where}" for one in found if one.where not in ANSWER)
    return f"the request breaks the specification ({', '.join(kinds)})"


def _is_path(path: bytes) -> bool:
    """Whether an operation could have this path: it has neither dot segments nor control characters."""
    sent = unquote_to_bytes(path)
    return not any(byte < 32 for byte in sent) and b".." not in re.split(rb"[/\\\\]", sent)
