"""Definitions of the custom resources that daemonset/ can install, from the Go modules of their projects.

All are under the Apache License 2.0. `go mod download` fetches a module (5 MB each) once; its sum is compared
here.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.processes import REPOSITORY

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spectap-cluster/modules"
GO = REPOSITORY / ".venv/go/current/go/bin"  # what `make setup-tests` fetches


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module, the folder in it with definitions, and their files by kind."""

    name: str
    sum: str
    folder: str
    files: dict[str, str]


MODULES = (
    Module(
        "github.com/cert-manager/cert-manager@v1.21.2",
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        "deploy/crds",
        {"Certificate": "cert-manager.io_certificates.yaml", "Issuer": "cert-manager.io_issuers.yaml"},
    ),
    Module(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd",
        {
            "PodMonitor": "monitoring.coreos.com_podmonitors.yaml",
            "ServiceMonitor": "monitoring.coreos.com_servicemonitors.yaml",
        },
    ),
    Module(
        "sigs.k8s.io/gateway-api@v1.4.1",
        "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
        "config/crd/standard",
        {"HTTPRoute": "gateway.networking.k8s.io_httproutes.yaml"},
    ),
)
KINDS = frozenset(kind for module in MODULES for kind in module.files)


@cache
def definitions() -> dict[str, Path]:
    """The file with the definition of each kind."""
    return {kind: fetched(module) / file for module in MODULES for kind, file in module.files.items()}


def fetched(module: Module) -> Path:
    """The folder with a module's definitions."""
    own = {"GOMODCACHE": str(CACHE), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local", "GOSUMDB": "off"}
    done = subprocess.run(
        ["go", "mod", "download", "-json", module.name],
        env=os.environ | own | {"PATH": f"{GO}:{os.environ['PATH']}"},
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)
    assert said["Sum"] == module.sum
    return Path(said["Dir"]) / module.folder


def schema(kind: str, version: str) -> dict[str, Any]:
    """The JSON schema of a kind. As in the API server with strict validation, unknown fields are errors."""
    spec = yaml.safe_load(definitions()[kind].read_text())["spec"]
    (found,) = (one for one in spec["versions"] if one["name"] == version and one["served"])
    schema: dict[str, Any] = closed(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    properties, kept = schema.get("properties"), schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(properties, dict) and schema.get("type") == "object" and not kept:
        found.setdefault("additionalProperties", False)
    return found
