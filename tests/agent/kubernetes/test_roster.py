"""What has changed of a node's pods since it was last asked."""

from __future__ import annotations

import msgspec

from agent.events import PodGone, PodSeen
from agent.kube.objects import KubernetesObject, Meta, Pod
from agent.kubernetes.choice import AGGREGATION, CAPTURE, CaptureChoice
from agent.kubernetes.roster import Roster
from tests.agent.kube.api import UID, pod

OTHER = UID.replace("1", "9")


def described(uid: str = UID, space: str = "shop", ip: str = "10.1.0.5") -> Pod:
    return msgspec.convert(pod(uid=uid, space=space, ip=ip), Pod)


def space(name: str = "shop", **annotations: str) -> KubernetesObject:
    return KubernetesObject(Meta(name=name, annotations=annotations))


def opted_out(name: str = "shop") -> KubernetesObject:
    return KubernetesObject(Meta(name=name, annotations={CAPTURE: "false"}))


def taken(roster: Roster) -> list[tuple[str, bool | None]]:
    return [(one.uid, one.captured if isinstance(one, PodSeen) else None) for one in roster.take()]


def test_no_pod_is_told_before_the_namespaces_are_known() -> None:
    roster = Roster(CaptureChoice())
    roster.replace_pods([described()])
    roster.put_namespace(space())
    assert not roster.changed
    roster.replace_namespaces([opted_out()])
    assert roster.changed
    assert taken(roster) == [(UID, False)]
    assert not roster.changed
    assert taken(roster) == []


def test_a_pod_whose_namespace_is_not_known_yet_is_told_with_that_namespaces_choice() -> None:
    roster = Roster(CaptureChoice())
    roster.replace_namespaces([space("other")])
    roster.put_pod(described())
    assert taken(roster) == []
    roster.put_namespace(opted_out())
    assert taken(roster) == [(UID, False)]


def test_a_change_is_told_once_and_what_stays_the_same_never() -> None:
    roster = Roster(CaptureChoice())
    roster.replace_namespaces([space()])
    roster.put_pod(described())
    roster.put_pod(described(ip="10.1.0.6"))
    (told,) = roster.take()
    assert isinstance(told, PodSeen)
    assert told.ips == ("10.1.0.6",)
    roster.put_pod(described(ip="10.1.0.6"))
    roster.put_namespace(space(note="another"))
    roster.replace_pods([described(ip="10.1.0.6")])
    assert taken(roster) == []


def test_a_namespace_that_opts_out_takes_its_pods_along() -> None:
    roster = Roster(CaptureChoice())
    roster.replace_namespaces([space("shop"), space("other")])
    roster.replace_pods([described(), described(OTHER, "other")])
    assert taken(roster) == [(UID, True), (OTHER, True)]
    roster.put_namespace(opted_out())
    assert taken(roster) == [(UID, False)]
    roster.put_namespace(space())
    assert taken(roster) == [(UID, True)]
    roster.remove_namespace(space())
    roster.replace_namespaces([opted_out("other")])
    assert taken(roster) == [(OTHER, False)]


def test_a_pod_that_was_removed_or_is_in_a_list_no_more_is_gone() -> None:
    roster = Roster(CaptureChoice())
    roster.replace_namespaces([space()])
    roster.replace_pods([described(), described(OTHER)])
    assert len(roster.take()) == 2
    roster.remove_pod(described())
    assert roster.take() == [PodGone(0, UID)]
    roster.replace_pods([])
    assert roster.take() == [PodGone(0, OTHER)]
    roster.remove_pod(described())
    assert roster.take() == []


def test_a_header_that_the_namespace_names_from_now_on_is_told_of_its_pods() -> None:
    roster = Roster(CaptureChoice(heeded=frozenset({"shop"})))
    roster.replace_namespaces([space()])
    roster.put_pod(described())
    before = roster.take()
    roster.put_namespace(space(**{AGGREGATION: "X-Team"}))
    told = [*before, *roster.take()]
    assert [one.aggregation_header for one in told if isinstance(one, PodSeen)] == [None, "x-team"]
