"""The command line. It imports neither torch nor Ray until a sweep runs.

Each command has its own file. The other files are

    entry       the Typer application, ``main``, and how errors are printed
    options     options that several commands share
    parsing     converts the text of an option to its value
    elsewhere   runs `sweep` in the background or in the queue
    json_output what --json prints
    usage       explains errors in a command line, and suggests what to type
"""

from orchestrator.cli import (
    archive,
    attach,
    check,
    check_task,
    compare,
    completion,
    control,
    doctor,
    export,
    list_,
    page,
    prune,
    ps,
    query,
    queue,
    replay,
    report,
    serve,
    show,
    sweep,
    tasks,
    verify,
)
from orchestrator.cli.entry import app, main

app.command()(tasks.tasks)
app.command()(sweep.sweep)
app.command()(ps.ps)
app.command()(attach.attach)
app.command()(control.pause)
app.command()(control.resume)
app.command()(control.stop)
app.command()(control.cancel)
app.command()(queue.queue)
app.command("list")(list_.list_)
app.command("ls", hidden=True)(list_.list_)
app.command()(report.report)
app.command()(compare.compare)
app.command()(check.check)
app.command()(show.show)
app.command()(serve.serve)
app.command()(page.page)
app.command()(query.query)
app.command()(verify.verify)
app.command()(prune.prune)
app.command()(archive.archive)
app.command()(replay.replay)
app.command()(export.export)
app.command()(doctor.doctor)
app.command("check-task")(check_task.check_task)
app.command()(completion.completion)

__all__ = ["app", "main"]
