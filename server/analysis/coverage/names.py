"""The names of parts.

A part is a short text, so that it can be a key of counters anywhere: `hits:2xx`, `watch:2xx` (a list that
was asked to watch), `parameter:query:limit`, `field:request.body/items/*/id`,
`field:response.body.200/id`, `deviating`, `refused`, `body:unseen`. Of a call that no specification
describes, the store counts `undescribed:2xx` only, or `undescribed:probe` if the server says that there is no
such operation.
"""

from __future__ import annotations

HIT, WATCH, PARAMETER, FIELD = "hits:", "watch:", "parameter:", "field:"
DEVIATING = "deviating"
REFUSED = "refused"  # a wrong request that the server refused as described
PROBE = "probe"
UNSEEN = "body:unseen"
UNDESCRIBED = "undescribed:"
NO_ANSWER = "none"

PartNames = tuple[str, ...]
