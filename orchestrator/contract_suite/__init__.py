"""Checks of the task contract, which ``check-task`` and the test suite run."""

from __future__ import annotations

from orchestrator.contract_suite import declaration, execution, export, images, progress
from orchestrator.contract_suite.check import Check, Outcome, run_check, run_checks
from orchestrator.contract_suite.subject import Subject, ViolationError

__all__ = ["CHECKS", "Check", "Outcome", "Subject", "ViolationError", "run_check", "run_checks"]

CHECKS: tuple[Check, ...] = (
    Check(
        name="attributes",
        title="declares valid attributes",
        fix="docs/reference/task-contract.md lists every attribute and method of a task",
        function=declaration.attributes,
    ),
    Check(
        name="parameters",
        title="Params is frozen and explains each field",
        fix='put """...""" below each field, with its meaning, unit and range',
        function=declaration.parameters,
        needs=("attributes",),
    ),
    Check(
        name="imports",
        title="importing the task loads nothing heavy",
        fix="move these imports into the functions that use them",
        function=declaration.imports,
    ),
    Check(
        name="defaults",
        title="the default trial resolves",
        fix="make the default model, data and parameters fit each other, in resolve and normalize",
        function=declaration.defaults,
        needs=("attributes",),
    ),
    Check(
        name="normal_form",
        title="equal trials have equal ids",
        fix="set parameters that the trial does not read to one value; make normalize idempotent",
        function=declaration.normal_form,
        needs=("defaults",),
    ),
    Check(
        name="identity",
        title="ids are the same in every process",
        fix="hash content with hashlib; hash() and the order of sets differ between processes",
        function=declaration.identity,
        needs=("defaults",),
    ),
    Check(
        name="packing",
        title="pack_key and estimate_memory are usable",
        fix="return a tuple of plain values from pack_key, and bytes from estimate_memory",
        function=declaration.packing,
        needs=("defaults",),
    ),
    Check(
        name="spaces",
        title="every row of its spaces gives a trial",
        fix="fix the row, or the rule in Params or normalize that refuses it",
        function=declaration.spaces,
        needs=("defaults",),
    ),
    Check(
        name="stage_keys",
        title="stages can be sent to workers",
        fix="define the function of a stage at module level, and pass it plain args",
        function=declaration.stage_keys,
        needs=("defaults",),
    ),
    Check(
        name="stages_repeat",
        title="stages are deterministic",
        fix="seed every random generator of the stage from its args",
        function=execution.stages_repeat,
        needs=("stage_keys",),
    ),
    Check(
        name="ends",
        title="trials finish",
        fix="return a larger `at` and finite metrics in each step, and done=True and the main "
        "metric in the last",
        function=execution.ends,
        needs=("stages_repeat",),
    ),
    Check(
        name="num_steps",
        title="num_steps is the `at` of the last step",
        fix="return the `at` of the trial's last step from num_steps",
        function=progress.num_steps,
        needs=("ends",),
    ),
    Check(
        name="columns",
        title="every metric column is reported",
        fix="fix the key of the column, or add example_params with a trial that reports it",
        function=execution.columns,
        needs=("ends",),
    ),
    Check(
        name="samples",
        title="samples give the per-sample metrics",
        fix="return one row per unit, so that their mean (or aggregate) is the metric",
        function=execution.samples,
        needs=("ends",),
    ),
    Check(
        name="images",
        title="the images that samples name can be shown",
        fix="return ids that load_image accepts, in the samples' column image_id",
        function=images.images,
        needs=("ends",),
    ),
    Check(
        name="weights",
        title="weights can be saved",
        fix="return a dict of numpy arrays or torch tensors from weights, and store plain values "
        "in State.values",
        function=execution.weights,
        needs=("ends",),
    ),
    Check(
        name="export",
        title="a finished trial can be exported",
        fix="write files to the folder, and return an Export whose usage is a Python program",
        function=export.exports,
        needs=("weights",),
    ),
    Check(
        name="repeats",
        title="a repeated trial gives the same numbers",
        fix="seed every random generator from the trial, as in "
        "np.random.default_rng([trial.seed, epoch])",
        function=execution.repeats,
        needs=("ends",),
    ),
    Check(
        name="within_step",
        title="progress within a step increases",
        fix="call report_progress(done, total) with increasing values of done, up to total",
        function=progress.within_step,
        needs=("repeats",),
    ),
    Check(
        name="leaves_state",
        title="advance does not change its input state",
        fix="create new arrays instead of writing to those of the state",
        function=execution.leaves_state,
        needs=("ends",),
    ),
    Check(
        name="resumes",
        title="a resumed trial gives the same numbers",
        fix="store everything that a step reads from earlier steps in State: moments, counters",
        function=execution.resumes,
        needs=("repeats", "leaves_state"),
    ),
    Check(
        name="packed",
        title="a pack gives the same numbers as its trials alone",
        fix="do not share state between members, or return different pack keys for such trials",
        function=execution.packed,
        needs=("repeats", "leaves_state"),
    ),
    Check(
        name="fails_alone",
        title="only the damaged member of a pack fails",
        fix="raise TrialError if a loss is not finite; if you override `advance`, return a "
        "member's exception in place of its result",
        function=execution.fails_alone,
        needs=("packed",),
    ),
)
