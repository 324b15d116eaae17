"""Everything that a person can type, set or read is documented where they would look."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import agent.cli
import agent.status
import server.cli
from agent.ledger import Bytes, Exchanges, Kernel
from server.api.metrics import Metrics, Sources
from server.learning.outcomes import REASONS, LearningStep

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in ROOT.glob("**/*.md") if ".venv" not in page.parts)
MAINS: dict[str, Callable[[list[str]], int]] = {
    "spectap": server.cli.main,
    "spectap-agent": agent.cli.main,
}
COMMANDS = {
    "spectap": (
        *("up", "server", "agents", "apis", "completion", "consumers", "coverage", "deviations", "exchanges"),
        *("export", "import", "ledger", "match", "mcp", "operations", "rebuild", "spec", "specs", "tail"),
        *("tokens", "try"),
    ),
    "spectap-agent": ("run", "record", "read", "replay", "doctor"),
}


ACTIONS = {
    "spectap spec": ("get", "put", "diff"),
    "spectap specs": ("list", "add", "fetch", "show", "remove"),
    "spectap tokens": ("list", "create", "rotate", "revoke"),
}


def help_of(program: str, *words: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit) as end:
        MAINS[program]([*words, "--help"])
    assert end.value.code in (0, None)
    return out.getvalue()


def commands() -> Iterator[tuple[str, str]]:
    """Each command, and each action of one, with its help. Asserts that the help lists no others."""
    for program, names in COMMANDS.items():
        listed = re.findall(r"^ {4}([a-z][a-z-]*)(?: |$)", help_of(program), flags=re.MULTILINE)
        assert sorted(listed) == sorted(names)
        for name in listed:
            command, text = f"{program} {name}", help_of(program, name)
            yield command, text
            actions = re.findall(r"^ {4}([a-z]+) ", text, flags=re.MULTILINE) if "ACTION" in text else []
            assert sorted(actions) == sorted(ACTIONS.get(command, ()))
            for action in actions:
                yield f"{command} {action}", help_of(program, name, action)


def documented() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def test_every_command_and_option_is_documented() -> None:
    text = documented()
    typed = {command for command, _ in commands()}
    typed |= {option for _, help in commands() for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", help)}
    assert not {word for word in typed if not re.search(rf"`[^`\n]*{re.escape(word)}(?![\w-])", text)}


def test_every_command_of_the_server_shows_examples() -> None:
    assert [
        name for name, help in commands() if "spectap-agent" not in name and "Examples:\n" not in help
    ] == []


def test_every_metric_and_bucket_is_documented() -> None:
    text = documented()
    nothing = Sources(file_bytes=lambda: 0, waiting=lambda: 0, dropped=lambda: 0)
    names = {*agent.status.METRICS, *Metrics(nothing).names(), *Bytes, *Exchanges, *Kernel}
    names |= {*REASONS, *LearningStep}
    assert not {name for name in names if not re.search(rf"`{name}(_total)?[`{{]", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_of_the_tree_that_a_map_names_exists(page: str) -> None:
    named = re.findall(r"`((?:agent|bpf|server|tests)/[\w./-]*)`", (ROOT / page).read_text())
    examples = {"agent/a/b.py", "tests/agent/a/test_b.py"}
    assert named
    assert not [path for path in named if path not in examples and not (ROOT / path).exists()]
