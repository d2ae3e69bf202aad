"""Turns plain functions into tasks.

declaration     the decorator ``task``, and ``shared``, which is used in signatures
signature       reads the parameters of the task from the signature
source          hashes the source of the function and the modules that it imports
own_modules     finds the modules of the user's folder that a file imports
syntax          parses a module, and removes the parts that do not affect results
loaded_code     refuses modules whose files were edited after their import
portable        sends a function to other processes
run             runs one trial of a function: each yield is a step; ``checkpoint`` and ``samples``
saved_state     converts the state of ``checkpoint`` to arrays and plain values, and back
shared_stage    makes the stages of a trial from ``shared``
task            ``FunctionTask``, which combines these
finding         finds the task of FILE.py:FUNCTION, and the search space of a task
recorded        the task of a stored sweep without the function's code
"""
