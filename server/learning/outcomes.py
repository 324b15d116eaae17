"""What becomes of stored exchanges in learning, and what may fail."""

from __future__ import annotations

from enum import StrEnum

from server.analysis.rebuild.learn_input import LearnOutcome


class NotLearnt(StrEnum):
    """Why a stored exchange taught nothing, beside the learner's own reasons."""

    SAMPLED_OUT = "sampled_out"
    FAILED = "failed"
    NOT_SAVED = "not_saved"  # learned, and lost again: the learner of the API could not be stored


REASONS = (
    *(one.value for one in LearnOutcome if one is not LearnOutcome.LEARNT),
    NotLearnt.FAILED.value,
    NotLearnt.NOT_SAVED.value,
)
"""Why exchanges taught nothing, apart from sampling."""


class LearningStep(StrEnum):
    """What may fail; of one API, or as a whole."""

    LOAD = "load"
    LEARN = "learn"
    PUBLISH = "publish"
    SAVE = "save"
