"""Which pods are captured, by the annotation spectap.io/capture of the pod, else of its namespace.

| annotation        | --capture all                                  | --capture annotated |
|-------------------|------------------------------------------------|---------------------|
| "true"            | captured                                       | captured            |
| "false"           | not captured                                   | not captured        |
| none, other texts | captured, but for kube-system and the agent's  | not captured        |
|                   | own namespace                                  |                     |

Where an administrator lists namespaces, annotations in others have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kube.access import Access

CAPTURE = "spectap.io/capture"
SYSTEM = "kube-system"
ALL, ANNOTATED = "all", "annotated"
CHOICES = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class CaptureChoice:
    """`mode` is ALL or ANNOTATED; `left_out` are the namespaces that are not captured unless annotated;
    `heeded` are those whose annotations have an effect, None for all.
    """

    mode: str = ALL
    left_out: frozenset[str] = frozenset({SYSTEM})
    heeded: frozenset[str] | None = None

    def captures(
        self, namespace: str, pod: Mapping[str, str] | None, of_namespace: Mapping[str, str] | None
    ) -> bool:
        """Whether a pod with these annotations is captured."""
        if self.heeded is None or namespace in self.heeded:
            for annotations in (pod, of_namespace):
                choice = CHOICES.get((annotations or {}).get(CAPTURE, "").strip().lower())
                if choice is not None:
                    return choice
        return self.mode == ALL and namespace not in self.left_out

    @property
    def captures_unknown(self) -> bool:
        """Whether what is not annotated is captured."""
        return self.mode == ALL


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Where pods are read from, of which node, and which are captured."""

    access: Access
    node: str
    cluster: str | None
    choice: CaptureChoice
