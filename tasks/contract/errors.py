"""The exceptions that this project raises on purpose.

SweepError              the base class
├── RequestError        the request was wrong: one line on stderr, exit status 2
│   ├── DataError       a data set is missing, damaged or of the wrong layout
│   └── ModelError      a model is missing, damaged or of the wrong architecture
├── TrialError          one trial cannot continue: it becomes a row, the others continue
└── StoreError          results cannot be written or read
"""

from __future__ import annotations


class SweepError(Exception):
    """The base class of every error that this project raises on purpose."""


class RequestError(SweepError):
    """The request was wrong. The message says in one line what, and how to fix it."""


class DataError(RequestError):
    """A data set is missing, damaged or of the wrong layout."""


class ModelError(RequestError):
    """A model is missing, damaged or of the wrong architecture."""


class TrialError(SweepError):
    """One trial cannot continue. It becomes a row with this reason; the others continue."""


class StoreError(SweepError):
    """Results cannot be written or read."""
