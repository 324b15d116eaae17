"""A document → bytes, YAML or JSON, with members in their order of creation."""

from __future__ import annotations

import json

import yaml

from server.analysis.json import Json


class _Dumper(yaml.CSafeDumper):  # libyaml's is ten times as fast
    def ignore_aliases(self, data: object) -> bool:
        """Equal parts are written out: anchors are hard to read."""
        return True


def to_yaml(document: Json) -> bytes:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()


def to_json(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
