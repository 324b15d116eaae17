"""The parts of the stored data, by their names in logs and metrics."""

from __future__ import annotations

from enum import StrEnum


class StoredPart(StrEnum):
    """A part of the stored data that can be unreadable on its own."""

    APIS = "apis"
    OPERATIONS = "operations"
    CONSUMERS = "consumers"
    EXCHANGES = "exchanges"
    RECORDS = "records"
    DEVIATIONS = "deviations"
    PROPOSALS = "proposals"
    SPECIFICATIONS = "specifications"
    AGENTS = "agents"
    VERSIONS = "versions"
    DECISIONS = "decisions"
    TOKENS = "tokens"
