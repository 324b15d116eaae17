"""The commands: the module of each, whose `add_parser` adds it, its line in `spectap --help`, and examples.

They stand here, apart from the modules, so that `spectap --help` imports none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class ProgramCommand(NamedTuple):
    """A command of `spectap`; `examples` of one with actions are in ACTION_EXAMPLES, too."""

    module: str
    help: str
    examples: Sequence[str]


URL = "--server http://127.0.0.1:8080"
COMMANDS: Mapping[str, ProgramCommand] = {
    "up": ProgramCommand(
        "server.up",
        "run server and agent on this machine",
        ("spectap up", "spectap up --demo", "spectap up --exclude-port 22 --data /var/lib/spectap"),
    ),
    "server": ProgramCommand(
        "server.cli",
        "run the analysis server",
        (
            "spectap server",
            "spectap server --listen 0.0.0.0:8080 --ingest-token-file ingest --admin-token-file admin",
        ),
    ),
    "agents": ProgramCommand(
        "server.offline.agents",
        "list the agents of a server, with their lag and what became of what they saw",
        (
            f"spectap agents {URL}",
            "spectap agents --cluster east --watch 5",
            "spectap agents --node n1 -o json",
        ),
    ),
    "apis": ProgramCommand(
        "server.offline.lists.apis",
        "list the APIs of a server",
        (
            f"spectap apis {URL}",
            "spectap apis --namespace shop --sort -exchanges -o wide",
            "spectap apis -q 'specified:no since:1d' -o json",
        ),
    ),
    "completion": ProgramCommand(
        "server.completion",
        "print the completion of a shell",
        (
            "spectap completion bash > ~/.local/share/bash-completion/completions/spectap",
            "spectap completion zsh > ~/.zfunc/_spectap",
        ),
    ),
    "consumers": ProgramCommand(
        "server.offline.lists.consumers",
        "list who calls",
        (
            f"spectap consumers {URL}",
            "spectap consumers --api 'orders*' --deprecated yes -o csv",
            "spectap consumers -q 'status:5xx since:1d' --sort -calls",
        ),
    ),
    "coverage": ProgramCommand(
        "server.offline.coverage",
        "show how much of a specification traffic exercised",
        (
            "spectap coverage --spec openapi.yaml traffic.har",
            f"spectap coverage {URL} --api orders.example --by workload",
            "spectap coverage --api orders.example --by workload --used-by 'shop/*' --not-by 'tests/*'",
        ),
    ),
    "deviations": ProgramCommand(
        "server.offline.lists.deviations",
        "list the deviations from specifications",
        (
            f"spectap deviations {URL}",
            "spectap deviations --severity high --namespace shop --new-since 1d",
            "spectap deviations --state all --sort -count -o csv",
        ),
    ),
    "exchanges": ProgramCommand(
        "server.offline.lists.exchanges",
        "list stored exchanges",
        (
            f"spectap exchanges {URL} --limit 20",
            "spectap exchanges -q 'status:5xx -consumer:legacy* since:1h'",
            "spectap exchanges --workload checkout --took '>500ms' -o json",
        ),
    ),
    "export": ProgramCommand(
        "server.offline.exporting",
        "write a server's exchanges to a HAR file",
        (f"spectap export {URL} -o traffic.har", "spectap export -q 'status:5xx since:1h' > failures.har"),
    ),
    "import": ProgramCommand(
        "server.offline.importing",
        "send the exchanges in files to a server",
        (f"spectap import traffic.har {URL}", "spectap import audit.log capture.pcap --json"),
    ),
    "ledger": ProgramCommand(
        "server.offline.lists.ledger",
        "show what became of every byte and exchange",
        (f"spectap ledger {URL}", "spectap ledger --cluster east -o csv", "spectap ledger -o json"),
    ),
    "match": ProgramCommand(
        "server.offline.matching",
        "check the exchanges in files against a specification",
        (
            "spectap match --spec openapi.yaml traffic.har",
            "spectap match --spec openapi.yaml -o github --fail-on shadow traffic.har",
        ),
    ),
    "mcp": ProgramCommand(
        "server.offline.mcp",
        "let an assistant read a server, by the Model Context Protocol",
        (f"spectap mcp {URL}",),
    ),
    "operations": ProgramCommand(
        "server.offline.lists.operations",
        "list the operations of all APIs",
        (
            f"spectap operations {URL}",
            "spectap operations --state zombie --workload checkout -o csv",
            "spectap operations -q 'api:orders* method:POST' --sort -last_seen",
        ),
    ),
    "rebuild": ProgramCommand(
        "server.offline.rebuilding",
        "write a specification learned from the traffic in files",
        ("spectap rebuild traffic.har -o openapi.yaml",),
    ),
    "spec": ProgramCommand(
        "server.offline.api_spec",
        "print or replace the specification of an API, or compare versions of its learned document",
        ("spectap spec get orders.example", "spectap spec diff orders.example"),
    ),
    "specs": ProgramCommand(
        "server.offline.specifications",
        "list, add, fetch, show or remove the specifications of a server",
        (f"spectap specs list {URL}", "spectap specs add openapi.yaml"),
    ),
    "tail": ProgramCommand(
        "server.offline.tailing",
        "show exchanges as they come",
        (
            f"spectap tail {URL}",
            "spectap tail -q 'status:5xx -consumer:legacy*'",
            "spectap tail --workload checkout -o json | jq -r .operation",
        ),
    ),
    "tokens": ProgramCommand(
        "server.offline.tokens",
        "list, create, rotate or revoke the tokens of clusters on a server",
        (f"spectap tokens list {URL}", "spectap tokens create east-agents --cluster east"),
    ),
    "try": ProgramCommand(
        "server.offline.trying",
        "show whose calls a proposed specification would break",
        (f"spectap try openapi.yaml {URL}", "spectap try openapi.yaml --since 1d -o json"),
    ),
}
ACTION_EXAMPLES: Mapping[str, Sequence[str]] = {
    "spec get": (
        "spectap spec get orders.example",
        "spectap spec get orders.example --learned > openapi.yaml",
    ),
    "spec put": ("spectap spec put orders.example openapi.yaml",),
    "spec diff": (
        "spectap spec diff orders.example",
        "spectap spec diff orders.example 1.0.0 2.0.0 -o json",
    ),
    "specs list": (f"spectap specs list {URL}", "spectap specs list --cluster east --json"),
    "specs add": ("spectap specs add openapi.yaml", "spectap specs add openapi.yaml --host orders.example"),
    "specs fetch": ("spectap specs fetch http://orders.example/openapi.json",),
    "specs show": ("spectap specs show 920f74f55fba2790",),
    "specs remove": ("spectap specs remove 920f74f55fba2790",),
    "tokens list": (f"spectap tokens list {URL}", "spectap tokens list --cluster east --json"),
    "tokens create": ("spectap tokens create east-agents --cluster east > token",),
    "tokens rotate": ("spectap tokens rotate east-agents --grace-s 3600 > token",),
    "tokens revoke": ("spectap tokens revoke east-agents",),
}


def examples(command: str) -> Sequence[str]:
    """Those of a command, or of one with an action, such as `specs add`."""
    known = COMMANDS.get(command)
    return ACTION_EXAMPLES.get(command, ()) if known is None else known.examples
