"""Decides when to checkpoint the members of a pack: at the first step, then every few seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from tasks.contract import Member

#: Seconds between two checkpoints of a trial. A killed process loses at most this time and the
#: current step. Writing the checkpoint of a large model may take a second.
DEFAULT_INTERVAL = 5.0

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class CheckpointWriter:
    """Writes the checkpoints of one process.

    The first step of each trial is saved at once, and a later one if ``interval`` seconds have
    passed since the last save. Otherwise, ``flush`` saves the latest step. It is called on a halt.
    """

    checkpoints: Checkpoints
    interval: float = DEFAULT_INTERVAL
    _saved_at: dict[str, float] = field(default_factory=dict)  # by trial id
    _unsaved: dict[str, tuple[Member, Sequence[TimedStep]]] = field(default_factory=dict)

    def start(self) -> None:
        """Start a new pack, and discard the state of the previous one."""
        self._saved_at.clear()
        self._unsaved.clear()

    def step(self, member: Member, steps: Sequence[TimedStep]) -> None:
        """Save a member after a step, now or later.

        Args:
            member: the member with its new state.
            steps: all steps of the member so far.

        Raises:
            TypeError, ValueError, AttributeError: if the state cannot be serialized.
            StoreError: if the checkpoint cannot be written.
        """
        if not member.state.resumable:
            return
        trial_id = member.trial.id
        saved_at = self._saved_at.get(trial_id)
        if saved_at is not None and time.monotonic() < saved_at + self.interval:
            self._unsaved[trial_id] = member, steps
            return
        self._save(member, steps)

    def discard(self, trial_id: str) -> None:
        """Discard the unsaved step of a member, for example because it has ended."""
        self._unsaved.pop(trial_id, None)

    def is_flushed(self) -> bool:
        """Return whether all steps are saved."""
        return not self._unsaved

    def flush(self) -> None:
        """Save all unsaved steps.

        Raises:
            StoreError: if a checkpoint cannot be written.
        """
        for member, steps in list(self._unsaved.values()):
            try:
                self._save(member, steps)
            except (TypeError, ValueError, AttributeError) as error:
                self.discard(member.trial.id)  # keeps its last checkpoint
                logger.warning("trial %s: its state cannot be saved: %s", member.trial.id, error)

    def _save(self, member: Member, steps: Sequence[TimedStep]) -> None:
        self.checkpoints.save(member.trial.id, member.state, steps, member.trial)
        self._saved_at[member.trial.id] = time.monotonic()
        self.discard(member.trial.id)
