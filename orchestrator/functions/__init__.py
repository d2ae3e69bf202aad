"""A plain function as a task.

declaration     the decorator ``task``, and ``shared`` for the defaults of a signature
signature       a signature -> the task's parameters
source          the identity of a function: its source and the modules of its own folder
own_modules     the modules of the user's folder that a file imports
syntax          the syntax tree of a module, without parts that change no result
loaded_code     refuses modules whose files were edited after their import
portable        a function that can be sent to another process
run             one trial of a function: yields become steps; ``checkpoint`` and ``samples``
saved_state     the nested state of ``checkpoint`` <-> arrays and plain values
shared_stage    ``shared`` -> the stages of a trial
task            ``FunctionTask``, which joins these
finding         FILE.py:FUNCTION -> its task; a task -> its search space
recorded        the task of a stored sweep whose function is not at hand
"""
