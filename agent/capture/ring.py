"""A ring of captured packets that the kernel fills: AF_PACKET with TPACKET_V3, as packet(7) and the kernel's
Documentation/networking/packet_mmap.rst describe it. It takes CAP_NET_RAW, no eBPF.

The socket delivers packets from the network layer on (SOCK_DGRAM), so every kind of interface is alike and
no link layer is parsed. Its memory is fixed; a packet that finds no room is counted by the kernel. A classic
filter, which any socket may have, leaves out in the kernel what cannot be of use:

    outgoing packets of a loopback interface   each comes in again
    packets for other hosts                    seen only because somebody listens to all of them
    anything but TCP over IPv4 or IPv6
"""

from __future__ import annotations

import ctypes
import mmap
import select
import socket
import struct
from collections.abc import Iterator

from agent.sources.captures import NANOSECONDS, Frame
from agent.sources.packets import RAW

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 263, 5, 6, 10  # linux/if_packet.h
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
TPACKET_V3 = 2
ETH_P_ALL = 0x0003
BLOCK_BYTES = 256 * 1024
"""A packet that is longer is cut: the snap length. Loopback's have up to 64 KiB."""
RETIRE_MS = 20  # a block is handed over after this time, even if it is not full
USER = 1  # TP_STATUS_USER: the block is ours; 0 gives it back
STATUS_AT = 8  # of a block, in struct tpacket_block_desc
BLOCK = struct.Struct("<8xIII")  # its status, number of packets, offset of the first
PACKET = struct.Struct("<IIIII4xHH")  # next, seconds, ns, captured, length, status, link layer, network layer
REQUEST = struct.Struct("<7I")  # struct tpacket_req3
STATISTICS = struct.Struct("<3I")  # packets, of them dropped, times that all blocks were full

ANCILLARY = 0xFFFFF000  # SKF_AD_OFF of linux/filter.h; what follows are its other SKF_AD_ numbers
PROTOCOL, KIND, HARDWARE = ANCILLARY, ANCILLARY + 4, ANCILLARY + 28
OTHER_HOST, OUTGOING = 3, 4  # PACKET_OTHERHOST and PACKET_OUTGOING
LOOPBACK = 772  # ARPHRD_LOOPBACK
LOAD, LOAD_BYTE, IF_EQUAL, RETURN = 0x20, 0x30, 0x15, 0x06
ALL, NOTHING = 0x40000, 0

INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jump if true, if false, operand
TCP_OF_THIS_HOST = (
    (LOAD, 0, 0, KIND),
    (IF_EQUAL, 16, 0, OTHER_HOST),
    (IF_EQUAL, 0, 2, OUTGOING),
    (LOAD, 0, 0, HARDWARE),
    (IF_EQUAL, 13, 0, LOOPBACK),
    (LOAD, 0, 0, PROTOCOL),
    (IF_EQUAL, 0, 2, 0x0800),
    (LOAD_BYTE, 0, 0, 9),  # IPv4: the protocol
    (IF_EQUAL, 8, 9, 6),
    (IF_EQUAL, 0, 8, 0x86DD),
    (LOAD_BYTE, 0, 0, 6),  # IPv6: the next header, TCP or an extension that may lead to it
    (IF_EQUAL, 5, 0, 6),
    (IF_EQUAL, 4, 0, 0),
    (IF_EQUAL, 3, 0, 43),
    (IF_EQUAL, 2, 0, 44),
    (IF_EQUAL, 1, 0, 60),
    (IF_EQUAL, 0, 1, 135),
    (RETURN, 0, 0, ALL),
    (RETURN, 0, 0, NOTHING),
)
NO_PACKET = ((RETURN, 0, 0, NOTHING),)


class PacketRing:
    """The packets of all interfaces in this network namespace, from `start` on. Raises OSError."""

    def __init__(self, ring_bytes: int) -> None:
        self._blocks = max(2, ring_bytes // BLOCK_BYTES)
        self._next = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        try:
            self._filter(NO_PACKET)  # what came before it is discarded when the ring is made
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
            size = self._blocks * BLOCK_BYTES
            request = REQUEST.pack(BLOCK_BYTES, self._blocks, BLOCK_BYTES, self._blocks, RETIRE_MS, 0, 0)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._memory = mmap.mmap(self._socket.fileno(), size)
        except BaseException:
            self._socket.close()
            raise

    def start(self) -> None:
        """Captures from here on."""
        self._filter(TCP_OF_THIS_HOST)

    def stop(self) -> None:
        """Captures no more packets; those in the ring can still be read. Signal handlers may call it."""
        self._filter(NO_PACKET)

    def wait(self, seconds: float) -> None:
        """Waits so long, or until a block is handed over."""
        select.select([self._socket], [], [], seconds)

    def block(self) -> Iterator[Frame] | None:
        """The packets of the next block; None if the kernel has handed none over. They must be read to their
        end before the next call.
        """
        at = self._next * BLOCK_BYTES
        status, packets, first = BLOCK.unpack_from(self._memory, at)
        return self._frames(at, packets, at + first) if status & USER else None

    def _frames(self, block: int, packets: int, at: int) -> Iterator[Frame]:
        memory = self._memory
        for _ in range(packets):
            following, seconds, ns, captured, length, _link, network = PACKET.unpack_from(memory, at)
            start = at + network
            yield Frame(seconds * NANOSECONDS + ns, RAW, memory[start : start + captured], length)
            at += following
        memory[block + STATUS_AT : block + STATUS_AT + 4] = bytes(4)
        self._next = (self._next + 1) % self._blocks

    def dropped(self) -> int:
        """Packets that found no room since the last call."""
        counts = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        return int(STATISTICS.unpack(counts)[1])

    def close(self) -> None:
        self._memory.close()
        self._socket.close()

    def _filter(self, program: tuple[tuple[int, int, int, int], ...]) -> None:
        code = b"".join(INSTRUCTION.pack(*one) for one in program)
        held = ctypes.create_string_buffer(code, len(code))
        self._socket.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(held))
        )
