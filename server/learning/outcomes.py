"""The outcomes of stored exchanges in learning, and the steps that may fail."""

from __future__ import annotations

from enum import StrEnum

from server.analysis.rebuild.learn_input import LearnOutcome


class NotLearnt(StrEnum):
    """Why a stored exchange was not learned, besides the learner's own reasons."""

    SAMPLED_OUT = "sampled_out"
    FAILED = "failed"
    NOT_SAVED = "not_saved"  # learned and lost again: the API's learner could not be stored


REASONS = (
    *(one.value for one in LearnOutcome if one is not LearnOutcome.LEARNT),
    NotLearnt.FAILED.value,
    NotLearnt.NOT_SAVED.value,
)
"""Why exchanges were not learned, apart from sampling."""


class LearningStep(StrEnum):
    """A step that may fail, for one API or as a whole."""

    LOAD = "load"
    LEARN = "learn"
    PUBLISH = "publish"
    SAVE = "save"
