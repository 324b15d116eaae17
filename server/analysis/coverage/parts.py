"""One exchange → the parts of its operation that it exercised, right or wrong."""

from __future__ import annotations

from agent.wire import Record
from server.analysis.coverage.names import DEVIATING, HIT, NO_ANSWER, PROBE, REFUSED, UNSEEN, WATCH, PartNames
from server.analysis.coverage.outline import Outline
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.parameters import is_on
from server.analysis.specs.kinds import Fault, Verdict


def parts_of(judged: Judged, outline: Outline) -> PartNames:
    """The parts that an exchange exercised, each once; none where it has no operation."""
    record, judgement, bodies = judged.record, judged.judgement, judged.bodies
    offer = outline.offers.get(judgement.operation or "")
    request, response = record.request, record.response
    if offer is None or request is None:
        return ()
    offered = outline.parts(offer)
    watched = offer.watch_switch is not None and is_on(request.query, offer.watch_switch)
    found = [(WATCH if watched else HIT) + status_class(record)]
    if judgement.verdict is Verdict.DEVIATING:
        found.append(DEVIATING)
    if judgement.fault is Fault.CALLER:
        found.append(REFUSED)
    found += offered.parameters(request)
    sent = offered.sent.exercised(request.body, request.content_type, bodies)
    found += sent
    answer = offered.answer(response.status) if response else None
    if response is not None and answer is not None:
        answered = answer.exercised(response.body, response.content_type, bodies)
        if answered != (UNSEEN,) or sent != answered:
            found += answered
    return tuple(found)


def undescribed_answer(judged: Judged) -> str:
    """How an undescribed call was answered: `probe` if the server says that there is no such operation, else
    as `status_class`.
    """
    return PROBE if judged.judgement.fault is Fault.CALLER else status_class(judged.record)


def status_class(record: Record) -> str:
    """Such as "2xx"; "none" where no answer was seen."""
    return f"{record.response.status // 100}xx" if record.response else NO_ANSWER
