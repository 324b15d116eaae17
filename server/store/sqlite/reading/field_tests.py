"""By what each list tests each field of a filter."""

from __future__ import annotations

from collections.abc import Sequence

from server.store.filters import FilterField, FilterValue
from server.store.rows import DeviationState
from server.store.sqlite.reading.conditions import (
    Clause,
    FieldTest,
    FieldTests,
    beginning,
    by_number,
    containing,
    fault_pairs,
    in_lines,
    severity_pairs,
    tested,
    translated,
)

API_NAME = "(SELECT name FROM apis WHERE apis.number = {})"
HOSTS = "(SELECT group_concat(host, ' ') FROM hosts WHERE hosts.api = apis.number)"
NAMED_APIS = "IN (SELECT coalesce(merged_into, number) FROM apis WHERE name {})"
NAMED_CONSUMERS = "IN (SELECT number FROM consumers WHERE name {})"
AT_HOSTS = "IN (SELECT api FROM hosts WHERE host {})"
PAIR = "kind || ' ' || \"where\" {}"


def _consumers(column: str, within: str = "{}") -> FieldTest:
    """Tests the number in a column; `within` has it in braces."""
    return by_number(
        tested(within.format(f"{column} {{}}")), tested(within.format(f"{column} {NAMED_CONSUMERS}"))
    )


def _apis(column: str) -> FieldTest:
    return by_number(tested(f"{column} {{}}"), tested(f"{column} {NAMED_APIS}"))


# Exchanges

_PATH = "CAST(exchanges.path AS TEXT)"
_SHOWN = """EXISTS (SELECT 1 FROM
    json_each(iif(json_valid(exchanges.deviations), exchanges.deviations, '[]')) AS shown
    WHERE iif(shown.type = 'array', {}, NULL) {{}})"""
_KIND, _WHERE = "json_extract(shown.value, '$[1]')", "json_extract(shown.value, '$[2]')"

EXCHANGES: FieldTests = {
    FilterField.API: _apis("exchanges.api"),
    FilterField.HOST: tested(f"exchanges.api {AT_HOSTS}"),
    FilterField.OPERATION: by_number(tested("exchanges.operation {}"), tested("operations.key {}")),
    FilterField.METHOD: tested("exchanges.method {}"),
    FilterField.PATH: tested(f"{_PATH} {{}}"),
    FilterField.PATH_PREFIX: beginning(_PATH),
    FilterField.STATUS: tested("exchanges.status {}"),
    FilterField.VERDICT: tested("exchanges.verdict {}"),
    FilterField.FAULT: tested("exchanges.fault {}"),
    FilterField.KIND: tested(_SHOWN.format(_KIND)),
    FilterField.SEVERITY: translated(severity_pairs, tested(_SHOWN.format(f"{_KIND} || ' ' || {_WHERE}"))),
    FilterField.CONSUMER: _consumers("exchanges.consumer"),
    FilterField.NAMESPACE: in_lines("exchanges.namespaces"),
    FilterField.WORKLOAD: in_lines("exchanges.workloads"),
    FilterField.CLUSTER: in_lines("exchanges.clusters"),
    FilterField.POD: in_lines("exchanges.pods"),
    FilterField.IMAGE: in_lines("exchanges.images"),
    FilterField.DEPRECATED: tested("exchanges.deprecated {}"),
    FilterField.TOOK: tested("exchanges.duration {}"),
    FilterField.TEXT: containing(_PATH, "operations.key", "consumers.name", API_NAME.format("exchanges.api")),
}

# Operations

_CALLED = "EXISTS (SELECT 1 FROM calls WHERE calls.operation = operations.number AND {})"
_JUDGED = "EXISTS (SELECT 1 FROM verdicts WHERE verdicts.operation = operations.number AND verdict {})"
_DEVIATES = """EXISTS (SELECT 1 FROM deviations
    WHERE deviations.api = operations.api AND deviations.operation = operations.key AND {})"""
_OF_API = "EXISTS (SELECT 1 FROM apis WHERE apis.number = operations.api AND apis.{} {{}})"
_STORED = "SELECT 1 FROM exchanges WHERE exchanges.api = {} AND "


def _stored(api: str, column: str) -> FieldTest:
    """Tests the lines of stored exchanges of an API."""
    of_exchange = in_lines(f"exchanges.{column}")

    def test(values: Sequence[FilterValue]) -> Clause:
        condition, found = of_exchange(values)
        return f"EXISTS ({_STORED.format(api)} {condition})", found

    return test


OPERATIONS: FieldTests = {
    FilterField.API: _apis("operations.api"),
    FilterField.HOST: tested(f"operations.api {AT_HOSTS}"),
    FilterField.OPERATION: by_number(tested("operations.number {}"), tested("operations.key {}")),
    FilterField.METHOD: tested("operations.method {}"),
    FilterField.PATH: tested("operations.template {}"),
    FilterField.PATH_PREFIX: beginning("operations.template"),
    FilterField.STATUS: tested(_CALLED.format("status {}")),
    FilterField.VERDICT: tested(_JUDGED),
    FilterField.FAULT: translated(fault_pairs, tested(_DEVIATES.format(PAIR))),
    FilterField.KIND: tested(_DEVIATES.format("kind {}")),
    FilterField.DEPRECATED: tested("operations.deprecated {}"),
    FilterField.SEVERITY: translated(severity_pairs, tested(_DEVIATES.format(PAIR))),
    FilterField.CONSUMER: _consumers("consumer", _CALLED),
    FilterField.NAMESPACE: tested(_OF_API.format("namespace")),
    FilterField.WORKLOAD: tested(_OF_API.format("workload")),
    FilterField.CLUSTER: tested(_OF_API.format("cluster")),
    FilterField.POD: _stored("operations.api", "pods"),
    FilterField.IMAGE: _stored("operations.api", "images"),
    FilterField.TEXT: containing(
        "operations.key", "operations.operation_id", API_NAME.format("operations.api")
    ),
}

# Consumers, by their calls, each joined with its operation and its consumer

_DEVIATING = """calls.consumer IN (SELECT consumer FROM deviation_calls
    JOIN deviations ON deviations.number = deviation WHERE {})"""

CONSUMERS: FieldTests = {
    **OPERATIONS,
    FilterField.STATUS: tested("calls.status {}"),
    FilterField.VERDICT: tested("calls.verdict {}"),
    FilterField.FAULT: tested("calls.fault {}"),
    FilterField.KIND: tested(_DEVIATING.format("deviations.kind {}")),
    FilterField.SEVERITY: translated(severity_pairs, tested(_DEVIATING.format(PAIR))),
    FilterField.CONSUMER: _consumers("calls.consumer"),
    FilterField.TEXT: containing("consumers.name"),
}

# APIs, each joined with its operations

APIS: FieldTests = {
    **{field: test for field, test in OPERATIONS.items() if field is not FilterField.DEPRECATED},
    FilterField.API: by_number(tested("apis.number {}"), tested("apis.name {}")),
    FilterField.SPECIFIED: tested("EXISTS (SELECT 1 FROM specs WHERE specs.api = apis.number) {}"),
    FilterField.EXTERNAL: tested("1 - apis.internal {}"),
    FilterField.HOST: tested(f"apis.number {AT_HOSTS}"),
    FilterField.NAMESPACE: tested("apis.namespace {}"),
    FilterField.WORKLOAD: tested("apis.workload {}"),
    FilterField.CLUSTER: tested("apis.cluster {}"),
    FilterField.POD: _stored("apis.number", "pods"),
    FilterField.IMAGE: _stored("apis.number", "images"),
    FilterField.TEXT: containing("apis.name", HOSTS),
}

# Deviations, each joined with its API and the decision on it

_METHOD = "substr(deviations.operation, 1, instr(deviations.operation, ' ') - 1)"
_TEMPLATE = "substr(deviations.operation, instr(deviations.operation, ' ') + 1)"
_SHOWS = """EXISTS (SELECT 1 FROM operations
    WHERE operations.api = deviations.api AND operations.key = deviations.operation AND {})"""
_SENT = """EXISTS (SELECT 1 FROM deviation_calls
    WHERE deviation_calls.deviation = deviations.number AND {})"""
_PLACED = "deviations.kind || ' ' || deviations.\"where\" {}"

DEVIATIONS: FieldTests = {
    FilterField.API: _apis("deviations.api"),
    FilterField.HOST: tested(f"deviations.api {AT_HOSTS}"),
    FilterField.OPERATION: by_number(
        tested(_SHOWS.format("operations.number {}")), tested("deviations.operation {}")
    ),
    FilterField.METHOD: tested(f"{_METHOD} {{}}"),
    FilterField.PATH: tested(f"{_TEMPLATE} {{}}"),
    FilterField.PATH_PREFIX: beginning(_TEMPLATE),
    FilterField.STATUS: tested(_SHOWS.format(_CALLED.format("status {}"))),
    FilterField.VERDICT: tested(_SHOWS.format(_JUDGED)),
    FilterField.FAULT: translated(fault_pairs, tested(_PLACED)),
    FilterField.KIND: tested("deviations.kind {}"),
    FilterField.SEVERITY: translated(severity_pairs, tested(_PLACED)),
    FilterField.STATE: tested(f"coalesce(deviation_decisions.state, '{DeviationState.OPEN}') {{}}"),
    FilterField.CONSUMER: _consumers("consumer", _SENT),
    FilterField.NAMESPACE: tested("apis.namespace {}"),
    FilterField.WORKLOAD: tested("apis.workload {}"),
    FilterField.CLUSTER: tested("apis.cluster {}"),
    FilterField.POD: _stored("apis.number", "pods"),
    FilterField.IMAGE: _stored("apis.number", "images"),
    FilterField.TEXT: containing("deviations.operation", "deviations.message", "deviations.pointer"),
}
