"""What annotations of the pod, else of its namespace, choose.

spectap.io/capture: which pods are captured.

| annotation        | --capture all                                  | --capture annotated |
|-------------------|------------------------------------------------|---------------------|
| "true"            | captured                                       | captured            |
| "false"           | not captured                                   | not captured        |
| none, other texts | captured, but for kube-system and the agent's  | not captured        |
|                   | own namespace                                  |                     |

Where an administrator lists namespaces, annotations in others have no effect.

spectap.io/aggregation-header: the request header by whose value a pod's calls are grouped. It keeps a value
that is masked otherwise, also of the pods that call, so it has an effect in listed namespaces only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.kube.access import Access

CAPTURE = "spectap.io/capture"
AGGREGATION = "spectap.io/aggregation-header"
SYSTEM = "kube-system"
ALL, ANNOTATED = "all", "annotated"
CHOICES = {"true": True, "false": False}
HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
"""A header's name; longer ones are masked."""

Annotations = Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class CaptureChoice:
    """`mode` is ALL or ANNOTATED; `left_out` are the namespaces that are not captured unless annotated;
    `heeded` are those whose annotations have an effect, None for all.
    """

    mode: str = ALL
    left_out: frozenset[str] = frozenset({SYSTEM})
    heeded: frozenset[str] | None = None

    def captures(self, namespace: str, pod: Annotations, of_namespace: Annotations) -> bool:
        """Whether a pod with these annotations is captured."""
        if self.heeded is None or namespace in self.heeded:
            for text in _texts(CAPTURE, pod, of_namespace):
                if text in CHOICES:
                    return CHOICES[text]
        return self.mode == ALL and namespace not in self.left_out

    def aggregation_header(self, namespace: str, pod: Annotations, of_namespace: Annotations) -> str | None:
        """The header, in lower case, that groups the calls of a pod with these annotations."""
        if self.heeded is None or namespace not in self.heeded:
            return None
        return next(filter(HEADER.fullmatch, _texts(AGGREGATION, pod, of_namespace)), None)

    @property
    def captures_unknown(self) -> bool:
        """Whether what is not annotated is captured."""
        return self.mode == ALL


def _texts(key: str, *annotations: Annotations) -> Iterator[str]:
    for some in annotations:
        yield (some or {}).get(key, "").strip().lower()


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Where pods are read from, of which node, and which are captured."""

    access: Access
    node: str
    cluster: str | None
    choice: CaptureChoice
