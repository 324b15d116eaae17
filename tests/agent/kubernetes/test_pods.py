"""What is kept of a pod, and that nothing else is."""

from __future__ import annotations

import msgspec

from agent.events import PodContainer, PodSeen
from agent.kube.objects import Pod
from agent.kubernetes.pods import pod_seen, resident_of
from agent.wire import Residents
from server.ingest.decode import decode
from tests.agent.kube.api import SECRET, UID, Object, pod
from tests.server.records import batch

DIGEST = "0123456789abcdef" * 2


def described(one: Object) -> Pod:
    return msgspec.json.decode(msgspec.json.encode(one), type=Pod)


def test_names_addresses_containers_and_chosen_labels_are_kept_and_no_secret() -> None:
    raw = pod()
    assert SECRET in str(raw)
    seen = pod_seen(described(raw), captured=True)
    assert SECRET not in str(seen)
    assert seen == PodSeen(
        time_ns=0,
        uid=UID,
        name="cart-7d4b9c6f5-abcde",
        namespace="shop",
        node="node-1",
        workload="cart",
        workload_kind="Deployment",
        labels=(
            ("app.kubernetes.io/name", "cart"),
            ("helm.sh/chart", "shop-1.2.3"),
            ("meta.helm.sh/release-name", "shop"),
        ),
        ips=("10.1.0.5",),
        containers=(PodContainer("c" * 64, "web", "registry.test/cart:1.2", "sha256:" + "d" * 64),),
        captured=True,
    )


def claimed(uid: str, owner: str = "Node", mirror: bool = True) -> str:
    """The UID that is taken for that of a pod whose annotations claim this one."""
    mirrored = {"kubernetes.io/config.mirror": uid} if mirror else {}
    raw = pod(annotations={"kubernetes.io/config.hash": uid, **mirrored})
    raw["metadata"]["ownerReferences"][0]["kind"] = owner
    return pod_seen(described(raw), True).uid


def test_a_static_pod_has_the_uid_that_its_cgroup_has() -> None:
    assert claimed(DIGEST) == DIGEST


def test_no_annotation_makes_a_pod_another_one() -> None:
    assert claimed("99999999-9999-9999-9999-999999999999") == UID
    assert claimed(DIGEST, owner="ReplicaSet") == claimed(DIGEST, mirror=False) == claimed("") == UID


def test_the_nodes_addresses_and_those_of_a_pod_that_has_ended_are_not_the_pods() -> None:
    for place, field, value in (("spec", "hostNetwork", True), ("status", "phase", "Succeeded")):
        raw = pod()
        raw[place][field] = value
        assert pod_seen(described(raw), True).ips == ()


def test_a_pod_that_does_not_run_yet_has_what_is_known() -> None:
    bare = {"metadata": {"name": "new", "namespace": "shop", "uid": UID}, "spec": {}, "status": {}}
    seen = pod_seen(described(bare), True)
    assert (seen.name, seen.node, seen.workload, seen.ips, seen.containers) == ("new", None, None, (), ())
    waiting = pod()
    waiting["status"]["containerStatuses"] = [{"name": "web", "image": "cart", "imageID": ""}]
    assert pod_seen(described(waiting), True).containers == (PodContainer(None, "web", "cart", None),)


def test_texts_that_anyone_may_write_are_as_short_as_the_server_takes_them() -> None:
    raw = pod(annotations={"meta.helm.sh/release-name": "r" * 64})
    raw["metadata"]["ownerReferences"][0]["name"] = "w" * 254
    one = described(raw)
    sent = Residents(None, "node-1", (resident_of(one, pod_seen(one, True)),))
    assert decode(batch(1, [], residents=sent)).batch.residents == sent
    assert (sent.pods[0].workload, sent.pods[0].labels.get("meta.helm.sh/release-name")) == (None, None)
