"""The image of a container, from what runtimes leave on the host."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.probes import images
from agent.probes.images import Images

ID = "0123456789abcdef" * 4
OTHER = "f" * 64
NAME = "registry.example:5000/shop/checkout:1.2@sha256:" + "a" * 64

CRI = {"annotations": {"io.kubernetes.cri.image-name": NAME}}
CRIO = {"annotations": {"io.kubernetes.cri-o.ImageName": NAME}}
DOCKER = {"ID": ID, "Config": {"Image": NAME, "Env": ["PASSWORD=hunter2"]}, "Image": "sha256:" + "b" * 64}
STORE = [{"id": OTHER, "metadata": "{}"}, {"id": ID, "metadata": json.dumps({"image-name": NAME})}]
STORAGE = "containers/storage/overlay-containers"

WRITTEN = {
    "containerd": (f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json", CRI),
    "k3s": (f"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json", CRI),
    "docker": (f"var/lib/docker/containers/{ID}/config.v2.json", DOCKER),
    "cri-o": (f"run/{STORAGE}/{ID}/userdata/config.json", CRIO),
    "podman": (f"var/lib/{STORAGE}/containers.json", STORE),
    "podman --rm": (f"var/lib/{STORAGE}/volatile-containers.json", STORE),
}


def written(host: Path, path: str, content: bytes) -> None:
    (host / path).parent.mkdir(parents=True, exist_ok=True)
    (host / path).write_bytes(content)


@pytest.mark.parametrize(("path", "content"), WRITTEN.values(), ids=WRITTEN)
def test_the_image_is_the_name_the_runtime_was_given(tmp_path: Path, path: str, content: Any) -> None:
    written(tmp_path, path, json.dumps(content).encode())
    found = Images([str(tmp_path)])
    assert found.of(ID) == NAME
    assert found.of(OTHER) is None


def test_a_file_without_the_image_does_not_hide_the_next(tmp_path: Path) -> None:
    written(tmp_path, f"var/lib/{STORAGE}/{ID}/userdata/config.json", b'{"annotations": {}}')
    written(tmp_path, *_packed("podman"))
    assert Images([str(tmp_path)]).of(ID) == NAME


def test_an_agent_in_a_container_finds_what_is_on_the_host(tmp_path: Path) -> None:
    own, host = tmp_path / "own", tmp_path / "host"
    own.mkdir()
    written(host, *_packed("containerd"))
    assert Images([str(own), str(host)]).of(ID) == NAME


def test_a_runtime_that_was_moved_is_found_through_the_hosts_own_links(tmp_path: Path) -> None:
    path, content = _packed("docker")
    written(tmp_path, path.replace("var/lib", "data"), content)
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "var/lib/docker").symlink_to("/data/docker")
    assert Images([str(tmp_path)]).of(ID) == NAME


def test_without_runtimes_or_files_to_read_the_image_is_unknown(tmp_path: Path) -> None:
    assert Images([str(tmp_path / "absent")]).of(ID) is None
    for path, _ in WRITTEN.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / path)  # opening it must not wait for a writer
    assert Images([str(tmp_path)]).of(ID) is None


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, content = _packed("docker")
    written(tmp_path, path, content)
    monkeypatch.setattr(images, "MAX_FILE", len(content))
    assert Images([str(tmp_path)]).of(ID) == NAME
    monkeypatch.setattr(images, "MAX_FILE", len(content) - 1)
    assert Images([str(tmp_path)]).of(ID) is None


@pytest.mark.parametrize("name", ["", "a" * 256, "app\nx", "<b>", "name with=secret", 5, None, ["a"]])
def test_what_is_no_name_of_an_image_is_none(tmp_path: Path, name: object) -> None:
    path, _ = WRITTEN["docker"]
    written(tmp_path, path, json.dumps({"Config": {"Image": name}}).encode())
    assert Images([str(tmp_path)]).of(ID) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=64))
def test_any_file_names_an_image_or_none_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    host = tmp_path_factory.mktemp("host")
    for path, _ in WRITTEN.values():
        written(host, path, content)
    found = Images([str(host)]).of(ID)
    assert found is None or images.IMAGE.fullmatch(found)


def _packed(runtime: str) -> tuple[str, bytes]:
    path, content = WRITTEN[runtime]
    return path, json.dumps(content).encode()
