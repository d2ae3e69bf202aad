"""When the members of a pack are checkpointed: at once, and then every few seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from tasks.contract import Member

#: Seconds between two checkpoints of a trial: what a killed process loses at most, besides the step
#: that is running. Writing the checkpoint of a large model may take a second.
INTERVAL = 5.0

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class CheckpointWriter:
    """Writes the checkpoints of one process.

    The first step of each trial is saved at once; a later one when ``interval`` seconds have passed
    since the last save. The others wait for ``flush``, which a halt calls between two steps.
    """

    checkpoints: Checkpoints
    interval: float = INTERVAL
    _saved_at: dict[str, float] = field(default_factory=dict)
    _waiting: dict[str, tuple[Member, Sequence[TimedStep]]] = field(default_factory=dict)

    def start(self) -> None:
        """Begin a pack: nothing of an earlier one is saved any more."""
        self._saved_at.clear()
        self._waiting.clear()

    def step(self, member: Member, steps: Sequence[TimedStep]) -> None:
        """A member made a step; ``steps`` are all it has made, and grow with it.

        Raises:
            TypeError, ValueError, AttributeError: if its state cannot be saved.
            StoreError: if the checkpoint cannot be written.
        """
        trial_id = member.trial.id
        saved_at = self._saved_at.get(trial_id)
        if saved_at is not None and time.monotonic() < saved_at + self.interval:
            self._waiting[trial_id] = member, steps
            return
        self._save(member, steps)

    def forget(self, trial_id: str) -> None:
        """A member has ended, or must stop: it needs no checkpoint."""
        self._waiting.pop(trial_id, None)

    def is_flushed(self) -> bool:
        """Whether every step that was made is saved."""
        return not self._waiting

    def flush(self) -> None:
        """Save what waits.

        Raises:
            StoreError: if a checkpoint cannot be written.
        """
        for member, steps in list(self._waiting.values()):
            try:
                self._save(member, steps)
            except (TypeError, ValueError, AttributeError) as error:
                self.forget(member.trial.id)  # its last checkpoint stays
                logger.warning("trial %s: its state cannot be saved: %s", member.trial.id, error)

    def _save(self, member: Member, steps: Sequence[TimedStep]) -> None:
        self.checkpoints.save(member.trial.id, member.state, steps, member.trial)
        self._saved_at[member.trial.id] = time.monotonic()
        self.forget(member.trial.id)
