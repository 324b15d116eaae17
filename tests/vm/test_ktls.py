"""A file that the kernel encrypts and sends for OpenSSL (SSL_sendfile) is counted; what follows is
captured.
"""

from __future__ import annotations

import json

import pytest

from tests.vm import machine
from tests.vm.cases import cases, found, python
from tests.vm.machine import Kernel
from tests.vm.sent_file import ANSWERED, FILE_BYTES, TARGETS

pytestmark = pytest.mark.vm


@pytest.mark.parametrize(("kernel", "mode"), cases(found()[-1:], "lazy"))
def test_a_file_sent_by_ssl_sendfile_has_a_size_and_no_content(kernel: Kernel, mode: str) -> None:
    finished = machine.run(kernel, ["sh", "-c", python("tests.vm.sent_file")], append=f"preempt={mode}")
    seen = json.loads(finished.output.splitlines()[-1])
    assert seen["encrypted"] == 1, "the kernel encrypts"
    answers = {"/file": [200, FILE_BYTES, "unseen"], "/answer": [200, len(ANSWERED), "complete"]}
    assert seen["answers"] == [answers[target] for target in TARGETS]
