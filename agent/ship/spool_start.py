"""Starting with an existing spool: earlier epochs, the batch being sent, and the server it is for."""

from __future__ import annotations

from agent.ledger import Exchanges
from agent.ship import spool_tables as tables
from agent.ship.disk import Disk, Writing
from agent.ship.epochs import Epoch, Epochs
from agent.ship.receipt import Receipt
from agent.ship.spool_config import SpoolConfig
from agent.ship.spool_file import DAMAGED, SpoolBroken, SpoolHeld, translated

SECOND = 1_000_000_000


def epochs_in(disk: Disk, own: str, mine: Epoch) -> tuple[Epochs, int]:
    """All epochs, with the `own` one, and how many records the file has lost; the epochs count them.

    Raises SpoolBroken, and ValueError and TypeError if the file is damaged.
    """
    with translated():
        records = tables.waiting(disk.execute)
        past = tables.epochs(disk.execute, records)
    if own in past or not records.keys() <= past.keys():
        raise SpoolBroken(DAMAGED)  # parcels of no known start, or of this one, which gave the file up before
    epochs = Epochs(own, mine, past)
    return (epochs, 0) if disk.lost_to is None else _restored(disk, disk.lost_to, epochs, own)


def _restored(disk: Disk, receipt: Receipt, found: Epochs, own: str) -> tuple[Epochs, int]:
    """The receipt's epochs, with the records that are left."""
    with translated():
        left = tables.waiting(disk.execute, receipt.settled)
    if not left.keys() <= receipt.epochs.keys():
        raise SpoolBroken(DAMAGED)
    past = {name: epoch for name, epoch in receipt.with_lost(left).items() if name != own}
    epochs = Epochs(own, found.own, past)
    epochs.gone |= found.as_map().keys() - past.keys() - {own}
    with disk.transaction(epochs, receipt.settled) as writing:
        writing.sent = receipt.sent
    return epochs, sum(receipt.epochs[name].records - epoch.records for name, epoch in past.items())


def bind(disk: Disk, config: SpoolConfig, epochs: Epochs, now: int) -> None:
    """Binds the spool to the configured server. Raises SpoolHeld if it holds records for another server that
    are neither to be forwarded nor too old.
    """
    with translated():
        before = tables.destination(disk.execute)
        records, newest = tables.total(disk.execute)
    if before is not None and _same_server(before, config.server):
        return
    if before is not None:
        of_age = records and newest >= now - config.most_age_s * SECOND
        if of_age and not config.forward:
            raise SpoolHeld(
                f"it holds {records:,} records for {before}: start the agent with that --server, or "
                "with --forward-spool to send them to this one"
            )
        epochs.move_to_new_server()
    with disk.transaction(epochs, 0) as writing:
        if before is not None:
            writing.sent = None  # that was for another server
            tables.set_stopped(writing.execute, None)
        trim(writing, config, epochs, 0, now)


def _same_server(one: str, other: str | None) -> bool:
    """Whether two destinations are one server, to which TLS may have come or gone."""
    return other is not None and one.partition("://")[2] == other.partition("://")[2]


def trim(writing: Writing, config: SpoolConfig, epochs: Epochs, since: int, now: int, room: int = 0) -> bool:
    """Drops records from the place `since` on that are too old, or leave no `room` (bytes) within the size,
    oldest first, and counts them. Returns whether there is that room.
    """
    oldest = now - config.most_age_s * SECOND
    while row := tables.oldest(writing.execute, since):
        number, epoch, records, at = row
        if at < oldest:
            bucket = Exchanges.SPOOL_EXPIRED
        elif tables.used_bytes(writing.execute) + room > config.most_bytes:
            bucket = Exchanges.SPOOL_FULL
        else:
            break
        if epoch not in epochs:
            raise SpoolBroken(DAMAGED)
        tables.drop(writing.execute, number)
        before = writing.epochs.get(epoch) or epochs[epoch]
        writing.epochs[epoch] = before.with_counts({bucket: records})
    return tables.used_bytes(writing.execute) + room <= config.most_bytes
