"""JUnit XML: a test case for each operation, which fails with each deviation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport, ReportRow, calls
from server.offline.tables import plain


def as_junit(found: Sequence[SpecReport]) -> Iterator[str]:
    """A suite for each specification. Described operations without calls are skipped; undocumented calls are
    cases of their own.
    """
    root = ElementTree.Element("testsuites")
    root.extend(_suite(report, spec) for report, spec in found)
    ElementTree.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(report: MatchReport, spec: SpecFile) -> ElementTree.Element:
    failing: dict[str, list[ReportRow]] = {}
    for row in report.rows():
        failing.setdefault(row.operation, []).append(row)
    names = sorted({*spec.operations, *failing})
    skipped = [name for name in names if name not in report.calls and name not in failing]
    suite = ElementTree.Element(
        "testsuite",
        name=_text(str(spec.path)),
        tests=str(len(names)),
        failures=str(len(failing)),
        errors="0",
        skipped=str(len(skipped)),
    )
    for name in names:
        case = ElementTree.SubElement(suite, "testcase", classname=_text(spec.path.stem), name=_text(name))
        if name in skipped:
            ElementTree.SubElement(case, "skipped", message="no calls")
        elif name in failing:
            _fail(case, failing[name], spec)
    return suite


def _fail(case: ElementTree.Element, rows: list[ReportRow], spec: SpecFile) -> None:
    """One failure a case, as readers of the format expect, with a line for each deviation."""
    told = [
        f"{row.rule} {row.located()}: {row.message}"
        f" ({calls(row.calls)}, first #{row.first}, line {spec.line(row)})"
        for row in rows
    ]
    failure = ElementTree.SubElement(case, "failure", type=rows[0].rule, message=_text(rows[0].message))
    failure.text = _text("\n".join(told))


def _text(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold (section 2.2), nor commands."""
    return "\n".join(plain(line) if line else "" for line in text.split("\n"))
