"""Formats values for pages: ages, sizes, shares; and captured text, with hidden characters made visible.

Templates escape HTML; this module escapes characters that hide or reorder others.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup

from agent.wire import CaptureScope
from server.api import render
from server.api.exchange_models import Message
from server.api.models import Bytes, Text
from server.services.freshness import SILENT, Freshness
from server.ui.laid_out import json_lines

ABSENT = "\u2013"  # an en dash
MAX_LAID_OUT = 256 * 1024  # characters of JSON that is indented; longer text is shown unchanged
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
VERDICTS = ("conforming", "unjudged", "zombie", "deviating", "shadow")
CLASSES = ("2xx", "3xx", "4xx", "5xx", "other")
STEPPED_DOWN = {CaptureScope.HEADS: "without bodies", CaptureScope.SAMPLED: "sampling connections"}


def visible(value: object) -> object:
    """Converts any value in a template before it is escaped: None to a dash, hidden characters to \\u…."""
    if value is None:
        return ABSENT
    if isinstance(value, str) and not isinstance(value, Markup):
        return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


def text(shown: Bytes | None) -> str | None:
    """Bytes as in the API → text; bytes that are not UTF-8 become \\x…."""
    if shown is None:
        return None
    if isinstance(shown, Text):
        return shown.text
    return base64.b64decode(shown.base64).decode("utf-8", "backslashreplace")


def body(message: Message) -> str | None:
    """A message's body as text; JSON is indented, its tokens stay as sent."""
    found = text(message.body)
    if found and is_json_text(message, found):
        return "\n".join(line.text for line in json_lines(found))
    return found


def is_json_text(message: Message, found: str) -> bool:
    """Whether a message's body is JSON to be laid out."""
    kind = message.content_type or ""
    return len(found) <= MAX_LAID_OUT and "json" in kind and found.lstrip()[:1] in ("{", "[")


def ago(time: str, now: float) -> str:
    """The age of an RFC 3339 time at `now` (s since the epoch)."""
    seconds = now - datetime.fromisoformat(time).timestamp()
    if seconds < 0:
        return "just now" if seconds > -5 else "in the future"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def between(earlier: str | None, later: str | None) -> float | None:
    """Milliseconds between two RFC 3339 times."""
    if earlier is None or later is None:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds() * 1000


def size(count: int | None) -> str | None:
    """Bytes with a unit, three digits."""
    if count is None:
        return None
    amount, units = float(count), iter(UNITS)
    unit = next(units)
    while amount >= 999.5 and unit != UNITS[-1]:
        amount, unit = amount / 1000, next(units)
    return f"{count} B" if unit == "B" else f"{amount:.3g} {unit}"


def duration(milliseconds: float | None) -> str | None:
    """A duration with a unit."""
    if milliseconds is None:
        return None
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:,.0f} s"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


def count(number: int) -> str:
    return f"{number:,}"


@dataclass(frozen=True, slots=True)
class HeadNote:
    """A part of a page's head; `bad` if someone should look into it."""

    text: str
    bad: bool = False


def freshness(found: Freshness) -> list[HeadNote]:
    """What a page's head says of the agents: how many capture, how far they are behind, and what is amiss."""
    counts = found.counts
    capturing = sum(counts.values()) - counts[CaptureScope.NOTHING] - counts[SILENT]
    remarks = [HeadNote(f"{_agents(capturing)} capturing" if capturing else "no agent captures")]
    if found.lag_s is not None:
        remarks.append(HeadNote(f"lag {duration(found.lag_s * 1000)}", found.is_late))
    for scope, doing in STEPPED_DOWN.items():
        if counts[scope]:
            remarks.append(HeadNote(f"{_agents(counts[scope])} {doing}", bad=True))
    if counts[SILENT]:
        remarks.append(HeadNote(f"{_agents(counts[SILENT])} silent", bad=True))
    return remarks


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{count(number)} agents"


def percent(part: int, whole: int) -> str:
    """A share, rounded so that only everything is 100 % and only nothing 0 %."""
    if not whole:
        return ABSENT
    share = 100 * part / whole
    if 0 < share < 1:
        return "< 1 %"
    return "> 99 %" if 99 < share < 100 else f"{share:.0f} %"


def change(shares: Sequence[float]) -> str:
    """From one share to another, in percentage points."""
    points = 100 * (shares[1] - shares[0])
    return "unchanged" if abs(points) < 0.5 else f"{points:+.0f} points"


def width(part: int, whole: int) -> float:
    """A share of a bar that is 100 wide."""
    return round(100 * part / whole, 2) if whole else 0.0


def segment(value: str) -> str:
    """A captured value as one segment of a page's path."""
    return quote(value, safe="")


def status_class(status: str | int | None) -> str:
    """The class of a status: 2xx for 204; "other" without a class, such as without a response."""
    found = f"{str(status)[:1]}xx"
    return found if found in CLASSES else "other"


def by_class(statuses: Mapping[str, int]) -> dict[str, int]:
    """Counts by status → counts by class of status."""
    found = dict.fromkeys(CLASSES, 0)
    for status, number in statuses.items():
        found[status_class(status)] += number
    return found


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a bar that is 100 wide."""

    name: str
    count: int
    start: float
    width: float


def shares(counts: Mapping[str, int]) -> list[Share]:
    """The parts of a bar, verdicts in order of severity, without empty ones."""
    order = [name for name in VERDICTS if name in counts] + [n for n in counts if n not in VERDICTS]
    total = sum(counts.values())
    found, start = [], 0.0
    for name in order:
        if counts[name] > 0:
            width = 100 * counts[name] / total
            found.append(Share(name, counts[name], round(start, 2), round(width, 2)))
            start += width
    return found


FILTERS = {
    "ago": ago,
    "body": body,
    "by_class": by_class,
    "change": change,
    "count": count,
    "duration": duration,
    "freshness": freshness,
    "percent": percent,
    "segment": segment,
    "shares": shares,
    "size": size,
    "status_class": status_class,
    "text": text,
    "time": render.moment,
    "width": width,
}
