"""What a person may have meant, and how help looks."""

from __future__ import annotations

import pytest

from server import cli
from server.parser import joined

SERVER = ["--server", "http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["matsh"], "spectap: no command matsh; did you mean match?"),
        (["specs", "lsit"], "spectap specs: no action lsit; did you mean list?"),
        (["specs", "zzzz"], "spectap specs: no action zzzz; there are list, add, fetch, show, remove"),
        (["apis", *SERVER, "-o", "jsn"], "; did you mean json?"),
        (["apis", *SERVER, "--namspace", "x"], "--namspace x; did you mean --namespace?"),
        (["apis", *SERVER, "more"], "spectap apis: unrecognized arguments: more"),
    ],
)
def test_a_wrong_word_is_a_usage_error_with_what_was_meant(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    out, err = capsys.readouterr()
    assert (out, ended.value.code) == ("", 64)
    assert said in err.splitlines()[-1]
    assert err.startswith(f"usage: spectap {words[0]} " if len(words) > 1 else "usage: spectap [-h]")


def test_a_query_or_an_order_may_begin_with_a_minus() -> None:
    given = "apis -q -status:5xx --query -a:b --sort -count -q --server -q -o json"
    expected = "apis -q-status:5xx --query=-a:b --sort=-count -q --server -q -o json"
    assert joined(given.split()) == expected.split()


def test_examples_stand_in_lines_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        cli.main(["operations", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("Examples:") + 1] == "  spectap operations --server http://127.0.0.1:8080"
