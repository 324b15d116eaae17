"""What is stored, by the names that logs and metrics use."""

from __future__ import annotations

from enum import StrEnum


class StoredPart(StrEnum):
    """What may be unreadable by itself."""

    APIS = "apis"
    OPERATIONS = "operations"
    EXCHANGES = "exchanges"
    RECORDS = "records"
    DEVIATIONS = "deviations"
    PROPOSALS = "proposals"
    SPECIFICATIONS = "specifications"
    AGENTS = "agents"
    VERSIONS = "versions"
    DECISIONS = "decisions"
