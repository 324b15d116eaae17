"""A receipt of the spool's last transaction in a second file, so that lost transactions are counted.

SQLite silently ignores the part of its journal after the first damaged frame: committed transactions, on
which the agent has relied. A receipt has the number of the last one; a file with a smaller number has lost
some. The receipt is written after each transaction, without waiting for the disk: it survives the process. If
the receipt is missing or damaged, nothing counts as lost.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgpack

from agent.ledger import Exchanges
from agent.ship.epochs import Epoch
from agent.ship.parcel import BatchAddress
from agent.ship.spool_tables import Sent

SUFFIX = ".receipt"
_CHECK = 4  # bytes of CRC-32, and as many of length, at the start


@dataclass(frozen=True, slots=True)
class Receipt:
    """The state after transaction `revision`: the epochs, the place before which everything is settled, the
    batch being sent.
    """

    revision: int
    epochs: Mapping[str, Epoch]
    settled: int = 0
    sent: Sent | None = None

    def with_lost(self, left: Mapping[str, int]) -> dict[str, Epoch]:
        """The epochs, with only `left` records each; the missing ones are counted."""
        lost = {name: epoch.records - left.get(name, 0) for name, epoch in self.epochs.items()}
        return {
            name: epoch.with_counts({Exchanges.SPOOL_UNREADABLE: lost[name]})
            if lost[name] > 0
            else replace(epoch, records=left.get(name, 0))
            for name, epoch in self.epochs.items()
        }


class ReceiptFile:
    """The receipt beside the spool's `file`, accessible to its owner only. A failed write is ignored: an old
    receipt reports no loss.
    """

    def __init__(self, file: Path) -> None:
        self._path = file.with_suffix(SUFFIX)
        self._open: int | None = None

    def read(self) -> Receipt | None:
        """The last receipt; None if it is missing or damaged."""
        try:
            return _unpacked(self._path.read_bytes())
        except OSError:
            return None

    def write(self, receipt: Receipt) -> None:
        with suppress(OSError):
            if self._open is None:
                self._open = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            os.pwrite(self._open, _packed(receipt), 0)

    def close(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None


def _packed(receipt: Receipt) -> bytes:
    epochs = {
        name: (one.agent, one.next_seq, one.ledger, one.at, one.ended, one.records)
        for name, one in receipt.epochs.items()
    }
    sent = None
    if receipt.sent is not None:
        address, first, until = receipt.sent
        sent = (address.agent, address.epoch, address.seq, address.head, first, until)
    raw: bytes = msgpack.packb((receipt.revision, epochs, receipt.settled, sent))
    return zlib.crc32(raw).to_bytes(_CHECK, "big") + len(raw).to_bytes(_CHECK, "big") + raw


def _unpacked(raw: bytes) -> Receipt | None:
    check, length = (int.from_bytes(raw[at : at + _CHECK], "big") for at in (0, _CHECK))
    raw = raw[2 * _CHECK : 2 * _CHECK + length]
    if not raw or zlib.crc32(raw) != check:
        return None
    revision, epochs, settled, sent = msgpack.unpackb(raw)
    return Receipt(
        revision,
        {name: Epoch(*fields) for name, fields in epochs.items()},
        settled,
        None if sent is None else (BatchAddress(*sent[:4]), *sent[4:]),
    )
