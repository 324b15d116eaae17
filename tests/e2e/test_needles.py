"""The canary's search finds a planted secret in every documented form."""

from __future__ import annotations

import base64
import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

from tests.e2e.needles import database_images, files, found_in

SECRET = b"Sphinx/of+black=quartz-0042"


@pytest.mark.parametrize(
    "hide",
    [
        lambda secret: secret,
        lambda secret: secret.upper(),
        lambda secret: secret[3:18],
        lambda secret: quote(secret, safe="").encode(),
        lambda secret: "".join(f"%{byte:02X}" for byte in secret).encode(),
        lambda secret: quote(quote(secret, safe=""), safe="").encode(),
        lambda secret: secret.hex().encode(),
        lambda secret: "".join(f"\\u{byte:04X}" for byte in secret).encode(),
        lambda secret: base64.b64encode(b"user:" + secret),
        lambda secret: base64.b64encode(b"{" + secret + b"}"),
        lambda secret: base64.urlsafe_b64encode(b"{1" + secret + b"..}"),
        lambda secret: gzip.compress(b"x" + secret),
        lambda secret: zstandard.compress(gzip.compress(b'{"a": "' + secret)),
    ],
)
def test_a_secret_is_found_however_it_hides(hide: Callable[[bytes], bytes]) -> None:
    text = b"before " + hide(SECRET) + b" after"
    compressed = hide(SECRET)
    assert found_in({"it": SECRET}, {"text": text, "whole": compressed})


def test_nothing_is_found_where_nothing_is() -> None:
    assert found_in({"it": SECRET}, {"text": b"Sphinx of something else", "empty": b""}) == []


def test_compressed_cells_of_a_database_and_its_journal_are_searched(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (a BLOB, b TEXT)")
    database.execute("INSERT INTO t VALUES (?, 'x')", (zstandard.compress(b"one " + SECRET),))
    database.execute("INSERT INTO t VALUES (NULL, ?)", (SECRET.decode(),))
    database.commit()
    in_rows = found_in({"it": SECRET}, database_images(tmp_path))
    in_files = found_in({"it": SECRET}, files(tmp_path))
    database.close()
    assert in_rows
    assert any("some.db-wal" in text for text in in_files)
