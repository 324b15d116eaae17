"""Placeholder rows for APIs and consumers whose rows were lost, until traffic shows again what they are.

An API's stand-in has no key. A consumer's stand-in has a name that no traffic gives to a consumer of unknown
kind.
"""

from __future__ import annotations

CONSUMER_KIND = "unknown"
NAME = "'(salvaged ' || {number} || ')'"
IS_CONSUMER = (
    f"consumers.kind = '{CONSUMER_KIND}' AND consumers.name = {NAME.format(number='consumers.number')}"
)
