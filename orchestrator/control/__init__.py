"""Control of a running sweep from another process, by files in the sweep's folder.

    <sweep>/control/<driver>/driver.json              the process that runs the sweep, and its state
    <sweep>/control/<driver>/<number>-<action>.json   a command for this driver
    <sweep>/control/<driver>/<number>-<action>.answer what the driver did

Files work in a bucket and need no port. Each is written atomically. A command names its driver, so
that a later run of the sweep never follows the commands to an earlier one.

    drivers   ``driver.json``: written by the driver, read by ``ps`` and ``attach``
    processes  whether a process of this machine still runs
    commands  commands and their answers
    json_files  reads and writes these files
    steering  what the commands ask for, shared by the listener and the sweep
    listener  the driver's thread that reads commands and writes ``driver.json``
"""
