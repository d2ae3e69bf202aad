"""The exceptions that this project raises on purpose.

SweepError              the base class
├── RequestError        the request is wrong: one line on stderr, exit status 2
│   ├── DataError       a data set is missing, damaged or of the wrong layout
│   └── ModelError      a model is missing, damaged or of the wrong architecture
├── TrialError          one trial cannot continue: its row says why, the others continue
└── StoreError          results cannot be written or read
"""

from __future__ import annotations


class SweepError(Exception):
    """The base class of every error that this project raises on purpose."""


class RequestError(SweepError):
    """The request is wrong. The message says what is wrong and how to fix it, in one line."""


class DataError(RequestError):
    """A data set is missing, damaged or of the wrong layout."""


class ModelError(RequestError):
    """A model is missing, damaged or of the wrong architecture."""


class TrialError(SweepError):
    """One trial cannot continue. Its row in the results has this reason; the others continue."""


class StoreError(SweepError):
    """Results cannot be written or read."""
