"""The requests and responses of the routes of tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from server.api.models import Time

DAY_S = 86_400


class NewToken(BaseModel):
    name: str = Field(description="What people call it; no other token has this name.", max_length=100)
    cluster: str = Field(description="The cluster for which its holders deliver.", max_length=128)
    role: Literal["ingest"] = "ingest"


class Rotation(BaseModel):
    grace_s: int = Field(
        default=DAY_S,
        ge=0,
        le=30 * DAY_S,
        description="For how many seconds the previous secret stays valid; 0 ends it at once.",
    )


class Token(BaseModel):
    id: str
    name: str
    role: str
    cluster: str
    created: Time
    last_used: Time | None = Field(description="To the minute; null if it was never used.")
    rotated: Time | None
    previous_until: Time | None = Field(description="Until when the secret before the rotation is valid.")


class TokenWithSecret(Token):
    secret: str = Field(description="What agents send. It is stored nowhere and not shown again.")
