"""A failed use case has a status for programs and a sentence for people."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from server.api import errors as programs
from server.services import errors
from server.ui import door

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_translated_at_both_doors(kind: type[Exception]) -> None:
    app = FastAPI()
    programs.install(app)
    assert any(one in app.exception_handlers for one in kind.__mro__ if one is not Exception)
    assert any(issubclass(kind, one) for one in door.ERRORS)


def test_people_read_a_sentence() -> None:
    assert door.sentence(errors.UnknownApi()) == "No such API."
