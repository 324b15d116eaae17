"""Tokens of clusters. A secret is in the answers of creation and rotation, and nowhere else."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from server.api import token_models as models
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.models import Page
from server.api.paging import DEFAULT_LIMIT, After, Limit, Place, decode, page
from server.api.render import moment, time
from server.services.tokens import NewSecret, TokenRow

router = APIRouter(prefix="/api/v1/tokens", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["tokens"])


@router.get("")
def list_tokens(
    here: Here,
    cluster: Place = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> Page[models.Token]:
    """The tokens of clusters, newest first, without secrets. Tokens in files are not listed."""
    return page(here.tokens.listed(cluster or None, limit, decode(cursor)), shown)


@router.post("", status_code=201)
async def create_token(here: Here, response: Response, said: models.NewToken) -> models.TokenWithSecret:
    """Makes a token with which agents deliver for one cluster. The answer alone has its secret."""
    return _with_secret(response, await here.write(here.tokens.create, said.name, said.cluster))


@router.post("/{id}/rotate")
async def rotate_token(
    here: Here, response: Response, id: str, said: models.Rotation
) -> models.TokenWithSecret:
    """Gives a token another secret, which the answer alone has. The previous one stays valid for a while; one
    that is older ends now.
    """
    return _with_secret(response, await here.write(here.tokens.rotate, id, said.grace_s))


@router.delete("/{id}", status_code=204)
async def revoke_token(here: Here, id: str) -> None:
    """Ends a token at once; its holders are answered 403."""
    await here.write(here.tokens.revoke, id)


def shown(row: TokenRow) -> models.Token:
    return models.Token(
        id=row.id,
        name=row.name,
        role=row.role,
        cluster=row.cluster,
        created=time(row.created),
        last_used=moment(row.last_used),
        rotated=moment(row.rotated),
        previous_until=moment(row.previous_until),
    )


def _with_secret(response: Response, made: NewSecret) -> models.TokenWithSecret:
    response.headers["cache-control"] = "no-store"
    return models.TokenWithSecret(**shown(made.row).model_dump(), secret=made.secret)
