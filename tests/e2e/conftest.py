"""Shared by all end-to-end modules: a certificate and a folder. Modules whose agents need other options start
their own (one agent at a time).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.certificates import Certificate, make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")
