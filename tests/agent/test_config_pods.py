"""The options about pods: what they choose, and what is refused with its cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.checks import SettingError
from agent.kube.access import Access
from agent.kubernetes.choice import ANNOTATED, CaptureChoice, PodSettings
from tests.agent.kube.api import account
from tests.agent.test_config import SERVER, settings

PROXY = "http://127.0.0.1:8001"


def test_without_kubernetes_nothing_is_asked() -> None:
    assert settings(*SERVER).pods is None


def test_the_options_say_which_pods_are_captured(tmp_path: Path) -> None:
    folder = account(tmp_path)
    given = ("--kubernetes", "--kubernetes-api", PROXY, "--kubernetes-account", str(folder))
    named = ("--node", "node-1", "--cluster", "east")
    assert settings(*SERVER, *given, *named).pods == PodSettings(
        Access(PROXY, folder), "node-1", "east", CaptureChoice("all", frozenset({"kube-system", "spectap"}))
    )
    found = settings(
        *(*SERVER, *given, "--capture", ANNOTATED), "--annotations-from", "shop", "--annotations-from", "till"
    ).pods
    assert found is not None
    assert found.choice == CaptureChoice(
        ANNOTATED, frozenset({"kube-system", "spectap"}), frozenset({"shop", "till"})
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--capture", "annotated"), "--capture has an effect only with --kubernetes"),
        (("--annotations-from", "shop"), "--annotations-from has an effect only with --kubernetes"),
        (("--kubernetes-api", PROXY), "--kubernetes-api has an effect only with --kubernetes"),
        (("--kubernetes", "--kubernetes-api", "http://api.test"), "on loopback only"),
        (("--kubernetes",), "address is unknown"),
        (
            ("--kubernetes", "--no-capture", "--telemetry-listen", "127.0.0.1:9000"),
            "leave out --kubernetes",
        ),
    ],
)
def test_what_has_no_effect_or_cannot_work_is_refused(
    given: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SettingError, match=said):
        settings(*SERVER, *given)
