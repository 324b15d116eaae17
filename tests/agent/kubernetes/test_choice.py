"""Which pods are captured."""

from __future__ import annotations

import pytest

from agent.kubernetes.choice import AGGREGATION, ALL, ANNOTATED, CAPTURE, CaptureChoice

YES, NO, ODD = {CAPTURE: "true"}, {CAPTURE: " False "}, {CAPTURE: "maybe"}
LEFT_OUT = frozenset({"kube-system", "spectap"})


@pytest.mark.parametrize(
    ("space", "pod", "of_namespace", "of_all", "of_annotated"),
    [
        ("shop", None, None, True, False),
        ("shop", {}, {"x": "y"}, True, False),
        ("shop", ODD, ODD, True, False),
        ("shop", YES, None, True, True),
        ("shop", NO, None, False, False),
        ("shop", None, YES, True, True),
        ("shop", None, NO, False, False),
        ("shop", YES, NO, True, True),  # the pod's own counts first
        ("shop", NO, YES, False, False),
        ("kube-system", None, None, False, False),
        ("spectap", None, None, False, False),
        ("kube-system", YES, None, True, True),
        ("kube-system", None, YES, True, True),
    ],
)
def test_by_pod_then_namespace_then_mode(
    space: str,
    pod: dict[str, str] | None,
    of_namespace: dict[str, str] | None,
    of_all: bool,
    of_annotated: bool,
) -> None:
    for mode, expected in ((ALL, of_all), (ANNOTATED, of_annotated)):
        assert CaptureChoice(mode, LEFT_OUT).captures(space, pod, of_namespace) is expected


def test_annotations_in_namespaces_that_are_not_listed_have_no_effect() -> None:
    choice = CaptureChoice(ALL, LEFT_OUT, heeded=frozenset({"shop"}))
    assert not choice.captures("shop", NO, None)
    assert choice.captures("other", NO, NO)
    assert not choice.captures("kube-system", YES, YES)
    assert not CaptureChoice(ANNOTATED, LEFT_OUT, frozenset({"shop"})).captures("other", YES, YES)


@pytest.mark.parametrize(
    ("pod", "of_namespace", "header"),
    [
        ("X-Team", None, "x-team"),
        (" x-team ", "x-other", "x-team"),
        (None, "X-Other", "x-other"),
        ("no name", "x-other", "x-other"),
        ("x" * 65, None, None),
        ("", "", None),
        (None, None, None),
    ],
)
def test_calls_are_grouped_by_the_header_of_the_pod_else_of_its_namespace(
    pod: str | None, of_namespace: str | None, header: str | None
) -> None:
    listed = CaptureChoice(heeded=frozenset({"shop"}))
    given = [None if text is None else {AGGREGATION: text} for text in (pod, of_namespace)]
    assert listed.aggregation_header("shop", *given) == header
    assert listed.aggregation_header("other", *given) is None
    assert CaptureChoice().aggregation_header("shop", *given) is None  # nobody is listed
