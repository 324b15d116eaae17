"""What the self-test reports of the capture programs, without a kernel to load them."""

from __future__ import annotations

from agent.doctor.facts import CheckState
from agent.doctor.selftest import loaded


def test_programs_that_may_not_probe_tls_limit_what_is_seen_and_say_why() -> None:
    assert loaded(None).state is CheckState.OK
    check = loaded("TLS capture disabled: this kernel is odd")
    assert (check.subject, check.state) == ("programs", CheckState.LIMITED)
    assert check.what == "TLS capture disabled: this kernel is odd"
    assert check.cure
