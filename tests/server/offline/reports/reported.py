"""A report of a small file with something of every kind, for the tests of formats."""

from __future__ import annotations

from pathlib import Path

from agent.wire import Body
from server.analysis.specs.load import load
from server.offline import reading
from server.offline.judged_call import JudgedCall
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport
from tests.server.records import record

SPEC = """\
openapi: 3.0.3
info: {title: shop, version: '1'}
paths:
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses:
        '200':
          description: ok
          content:
            application/json: {schema: {type: object, properties: {name: {type: string}}}}
        default: {description: failed}
  /old:
    get:
      deprecated: true
      responses: {'200': {description: ok}}
  /quiet:
    get:
      responses: {'200': {description: ok}}
"""
DEVIATING_BODY = Body(11, b'{"name": 7}', "complete")


def reported(
    tmp_path: Path, *paths: str, text: str = SPEC, name: str = "shop.yaml", method: str = "GET"
) -> SpecReport:
    """The report of calls of these paths, whose answers have a name that is not of the specified type."""
    file = tmp_path / name
    file.write_text(text)
    specification = load(text.encode())
    report, names = MatchReport(), reading.unmasked().names
    for i, path in enumerate(paths):
        one = record(i, path=path, method=method)
        assert one.response is not None
        if path.startswith("/pets/"):
            answer = type(one.response)(200, (), (), DEVIATING_BODY, "application/json")
            one = record(i, path=path, method=method, response=answer)
        report.add(JudgedCall(i, one, specification.match(one), names))
    return SpecReport(report, SpecFile(file, specification))
