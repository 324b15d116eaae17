"""What kustomize and Helm render of daemonset/, and how objects of both are compared."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.processes import REPOSITORY

HELM_LABELS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)
Objects = dict[str, dict[str, Any]]


def rendered(argv: list[object]) -> Objects:
    """The objects by kind and name."""
    done = subprocess.run(list(map(str, argv)), cwd=REPOSITORY, check=True, capture_output=True, text=True)
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}


def kustomized(tools: Path, folder: Path | None = None, components: Sequence[str] = ()) -> Objects:
    """The base, with components if a folder for a kustomization of one's own is given."""
    if folder is None:
        return rendered([tools / "kubectl", "kustomize", "daemonset/base"])
    write_kustomization(folder, "daemonset/base", [f"daemonset/components/{name}" for name in components])
    return rendered([tools / "kubectl", "kustomize", folder])


def write_kustomization(folder: Path, resource: str, components: Sequence[str]) -> None:
    """Writes a kustomization of one's own, of folders of this repository."""
    here = os.path.relpath(REPOSITORY, folder.resolve())
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "spectap",
        "resources": [f"{here}/{resource}"],
        "components": [f"{here}/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(own))


def helmed(tools: Path, *options: str) -> Objects:
    return rendered(
        [tools / "helm", "template", "spectap", "daemonset/chart", "--namespace", "spectap", *options]
    )


def plain(one: dict[str, Any]) -> dict[str, Any]:
    """The object without what only Helm states: its labels, and defaults of the API."""
    copy: dict[str, Any] = json.loads(json.dumps(one))
    copy["metadata"].pop("namespace", None)
    labels = copy["metadata"].get("labels", {})
    copy["metadata"]["labels"] = {name: text for name, text in labels.items() if name not in HELM_LABELS}
    for claim in copy["spec"].get("volumeClaimTemplates", ()) if "spec" in copy else ():
        claim["metadata"].pop("labels", None)  # kustomize's
    for container in containers(copy):
        container.pop("imagePullPolicy", None)
    return copy


def containers(one: dict[str, Any]) -> list[dict[str, Any]]:
    template = one.get("spec", {}).get("template", {})
    found: list[dict[str, Any]] = template.get("spec", {}).get("containers", [])
    return found
