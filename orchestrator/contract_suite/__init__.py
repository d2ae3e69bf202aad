"""What every task promises, as checks that ``check-task`` and the test suite run alike."""

from __future__ import annotations

from orchestrator.contract_suite import declaration, execution, export, progress
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
        fix="move such imports into the functions that compute",
        function=declaration.imports,
    ),
    Check(
        name="defaults",
        title="the default trial resolves",
        fix="the default model, data and parameters must fit each other; see resolve and normalize",
        function=declaration.defaults,
        needs=("attributes",),
    ),
    Check(
        name="normal_form",
        title="equal trials have equal ids",
        fix="normalize must set what the trial does not read to one value, and be idempotent",
        function=declaration.normal_form,
        needs=("defaults",),
    ),
    Check(
        name="identity",
        title="ids are the same in every process",
        fix="compute fingerprints from content with hashlib; hash() and sets differ by process",
        function=declaration.identity,
        needs=("defaults",),
    ),
    Check(
        name="packing",
        title="pack_key and estimate_memory are usable",
        fix="pack_key returns a tuple of plain values, estimate_memory a number of bytes",
        function=declaration.packing,
        needs=("defaults",),
    ),
    Check(
        name="spaces",
        title="every row of its spaces makes a trial",
        fix="fix the row, or the rule in Params or normalize that refuses it",
        function=declaration.spaces,
        needs=("defaults",),
    ),
    Check(
        name="stage_keys",
        title="stages can be sent to workers",
        fix="define the function of a stage at module level, and give it plain args",
        function=declaration.stage_keys,
        needs=("defaults",),
    ),
    Check(
        name="stages_repeat",
        title="stages are deterministic",
        fix="seed every random generator in the stage from its args",
        function=execution.stages_repeat,
        needs=("stage_keys",),
    ),
    Check(
        name="ends",
        title="trials run to their end",
        fix="each step needs a larger `at` and finite metrics; the last has done=True and the "
        "main metric",
        function=execution.ends,
        needs=("stages_repeat",),
    ),
    Check(
        name="num_steps",
        title="num_steps is where the last step is",
        fix="return the `at` of the trial's last step from num_steps",
        function=progress.num_steps,
        needs=("ends",),
    ),
    Check(
        name="columns",
        title="every metric column is reported",
        fix="fix the key of the column, or add example_params whose trial reports it",
        function=execution.columns,
        needs=("ends",),
    ),
    Check(
        name="samples",
        title="samples give the per-sample metrics",
        fix="one row per unit, and the metric is the mean over them (or its aggregate)",
        function=execution.samples,
        needs=("ends",),
    ),
    Check(
        name="weights",
        title="weights can be kept",
        fix="return a dict of numpy arrays or torch tensors from weights, and keep plain values",
        function=execution.weights,
        needs=("ends",),
    ),
    Check(
        name="export",
        title="a finished trial can be exported",
        fix="write files into the folder and return an Export whose usage is a Python program",
        function=export.exports,
        needs=("weights",),
    ),
    Check(
        name="repeats",
        title="a trial run again gives the same numbers",
        fix="draw random numbers from np.random.default_rng([trial.seed, epoch]) or the like",
        function=execution.repeats,
        needs=("ends",),
    ),
    Check(
        name="within_step",
        title="progress within a step grows",
        fix="call report_progress(done, total) with a done that grows to total",
        function=progress.within_step,
        needs=("repeats",),
    ),
    Check(
        name="leaves_state",
        title="advance leaves the given state alone",
        fix="make new arrays instead of writing into those of the state",
        function=execution.leaves_state,
        needs=("ends",),
    ),
    Check(
        name="resumes",
        title="a resumed trial gives the same numbers",
        fix="keep everything that advance reads between steps in State: moments, counters",
        function=execution.resumes,
        needs=("repeats", "leaves_state"),
    ),
    Check(
        name="packed",
        title="a pack gives what each trial gives alone",
        fix="members must share no state; or give trials that cannot run together other keys",
        function=execution.packed,
        needs=("repeats", "leaves_state"),
    ),
    Check(
        name="fails_alone",
        title="a damaged member fails, the others do not",
        fix="raise TrialError if a loss is not finite; an `advance` of your own returns a "
        "member's exception in its place",
        function=execution.fails_alone,
        needs=("packed",),
    ),
)
