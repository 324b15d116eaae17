"""Files that commands write."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.offline.files import replacing


def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    with pytest.raises(TypeError), replacing(path) as out:
        out.writelines([b"half", None])  # type: ignore[list-item]
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("before", [path])
    with replacing(path) as out:
        out.write(b"after")
        assert path.read_text() == "before"
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("after", [path])


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        text = pool.submit(pipe.read_text)
        with replacing(pipe) as out:
            out.write(b"all")
        assert text.result() == "all"
    assert pipe.is_fifo()
