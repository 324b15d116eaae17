"""The record: one agent's account of an exchange, and what carries it to the server.

The only package of the agent that the server imports. `record` has the fields, `batch` the msgpack form,
`balance` the sums of a batch's ledger, `residents` the pods of a node, `segments` what paths keep.
"""

from __future__ import annotations

from agent.wire.balance import LOSSES as LOSSES
from agent.wire.balance import TOTALS as TOTALS
from agent.wire.balance import Balance as Balance
from agent.wire.balance import balances as balances
from agent.wire.balance import lost as lost
from agent.wire.batch import EARLIER as EARLIER
from agent.wire.batch import MAX_BATCH as MAX_BATCH
from agent.wire.batch import MAX_RECORDS as MAX_RECORDS
from agent.wire.batch import MAX_VALUES as MAX_VALUES
from agent.wire.batch import VERSION as VERSION
from agent.wire.batch import Batch as Batch
from agent.wire.batch import Capture as Capture
from agent.wire.batch import CaptureScope as CaptureScope
from agent.wire.batch import WireError as WireError
from agent.wire.batch import decode_batch as decode_batch
from agent.wire.batch import decode_record as decode_record
from agent.wire.batch import pack_batch as pack_batch
from agent.wire.batch import pack_head as pack_head
from agent.wire.batch import pack_record as pack_record
from agent.wire.batch import read_packed as read_packed
from agent.wire.batch import read_records as read_records
from agent.wire.batch import split_batch as split_batch
from agent.wire.record import FROM_FILES as FROM_FILES
from agent.wire.record import Body as Body
from agent.wire.record import Consumer as Consumer
from agent.wire.record import Endpoint as Endpoint
from agent.wire.record import Grpc as Grpc
from agent.wire.record import Mask as Mask
from agent.wire.record import Pairs as Pairs
from agent.wire.record import Process as Process
from agent.wire.record import Record as Record
from agent.wire.record import Request as Request
from agent.wire.record import Response as Response
from agent.wire.record import SubOperation as SubOperation
from agent.wire.record import Timing as Timing
from agent.wire.record import WebSocket as WebSocket
from agent.wire.record import WebSocketHalf as WebSocketHalf
from agent.wire.record import WebSocketText as WebSocketText
from agent.wire.residents import Resident as Resident
from agent.wire.residents import Residents as Residents
from agent.wire.segments import is_plain as is_plain
