"""The results of `check` as JUnit XML, which CI servers read: a case for each target."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from floe_monitor.cli.report import failing, one_line
from floe_monitor.domain.remediation import remediation_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.cli.profile_import import Lost
    from floe_monitor.domain.events import ProbeResult

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(results: Sequence[ProbeResult], unchecked: Sequence[Lost], *, strict: bool) -> str:
    """UNHEALTHY is a failure, with `strict` DEGRADED is too. What is no target is skipped, or an error where
    that makes the command fail."""
    suite = ET.Element("testsuite", name="floe-monitor check")
    for result in results:
        _add_result(suite, result, strict)
    for each in unchecked:
        case = _add_case(suite, each.profile, each.output or each.profile, 0.0)
        kind = "error" if strict or not results else "skipped"
        ET.SubElement(case, kind, message=_legal(f"not checked: {each.reason}"))
    cases = list(suite)
    counted = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    totals = {key: str(number) for key, number in counted.items()}
    totals["time"] = f"{sum(result.duration for result in results):.3f}"
    suite.attrib.update(totals)
    if results:
        began = datetime.fromtimestamp(min(result.started_at for result in results), UTC)
        suite.set("timestamp", began.strftime("%Y-%m-%dT%H:%M:%S"))
    suites = ET.Element("testsuites", {key: text for key, text in totals.items() if key != "skipped"})
    suites.append(suite)
    ET.indent(suites)
    text: str = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_result(suite: ET.Element, result: ProbeResult, strict: bool) -> None:
    case = _add_case(suite, result.plugin, result.target, result.duration)
    lines = [f"{check.name}: {check.status.value} {check.message}".rstrip() for check in result.checks]
    lines += [f"warning: {warning}" for warning in result.warnings]
    if remediation := remediation_for(result):
        lines.append(f"do: {remediation}")
    if result.status.value in failing(strict=strict):
        kind = result.error_type.value if result.error_type else result.status.value
        failure = ET.SubElement(case, "failure", type=kind, message=_legal(one_line(result)))
        failure.text = _legal("\n".join(lines))
    else:
        said = ET.SubElement(case, "system-out")
        said.text = _legal("\n".join([one_line(result), *lines]))


def _add_case(suite: ET.Element, group: str, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_legal(group), name=_legal(name), time=f"{seconds:.3f}")


def _legal(text: str) -> str:
    """Without the characters that XML cannot hold, not even escaped."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
