"""``TrialListener``: receives the trials that the coordinator records."""

from __future__ import annotations

from orchestrator.execution.trial_results import RunningTrial


class TrialListener:
    """Receives trials with all their steps. Its methods must not wait; the default does nothing."""

    def stepped(self, running: RunningTrial) -> None:
        """A trial has a new step. The sweep's own thread calls this."""

    def ended(self, running: RunningTrial) -> None:
        """A trial ended or was interrupted, and its result is durable.

        The thread that writes results calls this.
        """
