"""The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B), by hpack's table of states: half a byte
leads from one state to the next, and may complete a symbol.
"""

from __future__ import annotations

from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE

_STEPS = [state << 16 | symbol << 8 | flags for state, flags, symbol in HUFFMAN_TABLE]
"""The step for 16 times the state + half a byte: the next state, a symbol, and flags."""

_EMIT, _FAIL, _COMPLETE = HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_COMPLETE


def decoded(coded: bytes) -> bytes:
    """The text that `coded` stands for. Raises ValueError if it is no code, or ends within one."""
    steps, emit, fail = _STEPS, _EMIT, _FAIL
    found = bytearray()
    step = _COMPLETE
    for byte in coded:
        step = steps[(step >> 16) * 16 + (byte >> 4)]
        if step & emit:
            found.append(step >> 8 & 0xFF)
        if step & fail:
            raise ValueError("not a code")
        step = steps[(step >> 16) * 16 + (byte & 0xF)]
        if step & emit:
            found.append(step >> 8 & 0xFF)
        if step & fail:
            raise ValueError("not a code")
    if not step & _COMPLETE:
        raise ValueError("cut")
    return bytes(found)
