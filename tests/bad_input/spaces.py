"""Space files: syntax, types, sizes, and searches that fail."""

from __future__ import annotations

from bad_input import Case, write

HEAD = "from search_spaces.space import Row, Table\nimport itertools\n"


def space(content: str | bytes, message: str, task: str = "retrieval", more: str = "") -> Case:
    """A sweep over the file ``s.py``."""
    if isinstance(content, str):
        content = HEAD + content
    args = f"sweep {task} --space TMP/s.py {more}".strip()
    return Case(args=args, message=message, prepare=write("s.py", content))


def search(body: str, message: str) -> Case:
    """A search whose function has this body. It is called before anything is written."""
    return space(f"def search(trial):\n    {body}\n", message, more="--engine local")


def claims(content: str, message: str) -> Case:
    """A REPORT of two rows, a and b, with claims, errata or published numbers."""
    rows = "A, B = Row(params={'lr': 0.1}, label='a'), Row(params={'lr': 0.2}, label='b')\n"
    head = "from search_spaces.space import Claim, Erratum, Published, Value\n"
    return space(f"{head}{rows}REPORT = (Table(title='t', rows=(A, B)),)\n{content}", message)


CASES = [
    # Files.
    Case(args="sweep retrieval --space TMP/none.py", message="no such space file: "),
    Case(
        args="sweep retrieval --space TMP/d.py",
        prepare=lambda tmp: (tmp / "d.py").mkdir(),
        message="no such space file: TMP/d.py",
    ),
    Case(
        args="sweep retrieval --space TMP/s.txt",
        prepare=write("s.txt", "GRID = {}"),
        message="a FILE.py or FILE.py:grid, but got",
    ),
    Case(
        args="sweep retrieval --space TMP/空間.py",
        prepare=write("空間.py", "GRID = {'lr': [1e-3]}"),
        message="but got ''; give another with --name",
    ),
    space("GRID = {", "s.py, line 3: '{' was never closed; fix the file"),
    space(b"GRID = '\xff'", "s.py, line 1: (unicode error) 'utf-8' codec can't decode"),
    space(b"GRID = 1\x00", "null bytes"),
    space("raise KeyError('lr')", "s.py, line 3: KeyError: 'lr'; fix the file"),
    space("import nosuchpackage", "s.py, line 3: ModuleNotFoundError: No module named"),
    space("import sys; sys.exit(3)", "s.py ends the program (SystemExit(3)); remove that call"),
    space("quit()", "s.py ends the program"),
    space("def f(): f()\nf()", "s.py, line 3: RecursionError"),
    space("", "must define REPORT, GRID or search, but defines none of them"),
    space("grid = {'lr': [1]}", "REPORT, GRID or search, but defines none of them"),
    space(
        "GRID = {}\nREPORT = ()",
        "s.py defines paper, grid; choose one with --space TMP/s.py:paper or --space TMP/s.py:grid",
    ),
    Case(
        args="sweep retrieval --space TMP/s.py:search",
        prepare=write("s.py", "GRID = {'lr': [1e-3]}"),
        message="s.py does not define search; available: grid",
    ),
    Case(
        args="sweep retrieval --space TMP/s.py:rows",
        prepare=write("s.py", "GRID = {'lr': [1e-3]}"),
        message="a FILE.py or FILE.py:grid, but got 'TMP/s.py:rows'",
    ),
    # Grids.
    space("GRID = {}", "the grid 's' is empty; add an axis, such as"),
    space("GRID = []", "the grid 's' is empty; add an axis, such as"),
    space("GRID = None", "must be a dict of lists, or a tuple of such dicts, but is None"),
    space("GRID = 'lr'", "or a tuple of such dicts, but is 'lr'"),
    space("GRID = [1, 2]", "or a tuple of such dicts, but is [1, 2]"),
    space("GRID = itertools.count()", "or a tuple of such dicts, but is count(0)"),
    space("GRID = {'lr': itertools.count()}", "must be a non-empty list, but lr is count(0)"),
    space("GRID = {'lr': []}", "must be a non-empty list, but lr is []"),
    space("GRID = {'start': 'random'}", "must be a non-empty list, but start is 'random'"),
    space("GRID = {'lr': 1e-3}", "must be a non-empty list, but lr is 0.001"),
    space("GRID = {'lr': {1e-3}}", "must be a non-empty list, but lr is {0.001}"),
    space("GRID = {'epochs': range(10**9)}", "1,000,000,000 configurations x 1 seed are"),
    space("GRID = {'epochs': range(10**5), 'lr': range(10**4)}", "are 1,000,000,000 trials, but"),
    space(
        "GRID = {'epochs': range(10**5)}", "500,000 trials, but a sweep has at m", more="--seeds 5"
    ),
    space("GRID = {'epochs': range(10**40)}", "9,223,372,036,854,775,807 trials, but a sweep"),
    space("GRID = {'lrr': [1]}", "retrieval has no parameter 'lrr'; did you mean 'lr'?"),
    space("GRID = {3: [1]}", "retrieval has no parameter 3; available:"),
    space("GRID = {'lr': ['fast']}", "lr must be float, but got 'fast'"),
    space("GRID = {'lr': [[1e-3]]}", "lr must be float, but got [0.001]"),
    space("GRID = {'lr': [None]}", "lr must be float, but got None"),
    space("GRID = {'lr': [float('nan')]}", "lr must be finite, but got nan"),
    space("GRID = {'lr': [10**400]}", "lr must be finite, but got inf"),
    space("GRID = {'epochs': [2**70]}", "epochs must fit into 64 bits"),
    space("GRID = {'epochs': [True]}", "epochs must be int, but got True"),
    space("GRID = {'epochs': [1.0]}", "epochs must be int, but got 1.0"),
    space("GRID = {'augment': [1]}", "augment must be bool, but got 1"),
    space("GRID = {'prompt': ['\\ud800']}", "prompt must be UTF-8 text", task="captioning"),
    space("GRID = {'lr': [1e-3, -1]}", "`lr > 0` must hold, but got lr=-1.0"),
    # Reports.
    space("REPORT = ()", "the space 's' has no rows; add rows to its tables"),
    space("REPORT = (Table(title='t', rows=()),)", "the space 's' has no rows"),
    space("REPORT = 3", "REPORT of the space 's' must be a tuple of Table, but is 3"),
    space("REPORT = Table(title='t', rows=())", "must be a tuple of Table, but is Table("),
    space("REPORT = [{'lr': 1}]", "must be a tuple of Table, but is [{'lr': 1}]"),
    space("REPORT = itertools.count()", "must be a tuple of Table, but is count(0)"),
    space("REPORT = (Table(title='t', rows=3),)", "must be a tuple of Row, but are 3"),
    space("REPORT = (Table(title='t', rows=({},)),)", "must be a tuple of Row, but are ({},)"),
    space(
        "REPORT = (Table(title='t', rows=(Row(params=[1]),)),)",
        "params of a row of 't' must be a dict, but are [1]",
    ),
    space(
        "REPORT = (Table(title='t', rows=(Row(params={}, report={'metric.i2t_r1': 'high'}),)),)",
        "must be a dict of names to numbers, but are {'metric.i2t_r1': 'high'}",
    ),
    space(
        "REPORT = (Table(title='t', rows=(Row(params={}, report={'metric.i2t_r1': 1e999}),)),)",
        "must be a dict of names to numbers, but are {'metric.i2t_r1': inf}",
    ),
    space(
        "REPORT = (Table(title='t', rows=(Row(params={}, report={'r1': 1.0}),)),)",
        "a number of a row of 't' must be named metric.<name>, step.<at>.<name> or first.<level>.<",
    ),
    space(
        "REPORT = (Table(title='t', rows=(Row(params={}, report={'metric.r1': 0.5}),)),)",
        "'t' has a number of the unknown metric 'r1'; available: i2t_r1",
    ),
    space(
        "REPORT = (Table(title='t', rows=(Row(params={}, report={'metric.i2t_r1': 58}),)),)",
        "metric.i2t_r1 of a row of 't' must be from 0 to 1, but is 58; write 0.58",
    ),
    space("REPORT = (Table(title=3, rows=(Row(params={}),)),)", "numbers of a row of 3 must be"),
    space("Row(params={}, reprot={})", "unexpected keyword argument 'reprot'"),
    # Claims.
    space(
        "CLAIMS = (3,)\nGRID = {'lr': [1e-3]}\n",
        "s.py defines CLAIMS but no REPORT, whose rows they are about; add a REPORT, or remove",
    ),
    claims("CLAIMS = 3", "CLAIMS must be a tuple of Claim, but is 3; write CLAIMS = (Claim(...),)"),
    claims("CLAIMS = Claim('x', A, '>', B)", "CLAIMS must be a tuple of Claim, but is Claim("),
    claims("CLAIMS = ('A > B',)", "CLAIMS must be a tuple of Claim, but is ('A > B',)"),
    claims(
        "CLAIMS = (Claim('', A, '>', B),)",
        "the text of a claim must be a non-empty string, but is ''",
    ),
    claims("CLAIMS = (Claim('x', A, '!=', B),)", "'x' has the relation '!='; use one of >, <, >="),
    claims("CLAIMS = (Claim('x', A, [], B),)", "the claim 'x' has the relation []; use one of"),
    claims("CLAIMS = (Claim('x', A, '>', A),)", "the claim 'x' compares a row with itself"),
    claims("CLAIMS = (Claim('x', 1, '>', 2),)", "compares two numbers; one side must be a row"),
    claims("CLAIMS = (Claim('x', A, '>', None),)", "a side of the claim 'x' must be a Row, its"),
    claims("CLAIMS = (Claim('x', A, '>', True),)", "a Value or a number, but is True"),
    claims(
        "CLAIMS = (Claim('x', A, '>', Row(params={'lr': 0.3})),)",
        "the claim 'x' names a row that is not in REPORT: {'lr': 0.3}; use a row of its tables",
    ),
    claims("CLAIMS = (Claim('x', A, '>', 'c'),)", "no row of REPORT has the label 'c'; available"),
    claims(
        "CLAIMS = (Claim('x', Value(A, 'i2t_r2'), '>', B),)",
        "'x' names the unknown metric 'i2t_r2'; did you mean 'i2t_r",
    ),
    claims("CLAIMS = (Claim('x', A, '>=', B),)", "'x' uses >=, which requires a margin above 0"),
    claims("CLAIMS = (Claim('x', A, '>', B, 0.1),)", "has a margin, but > takes none; remove it"),
    claims("CLAIMS = (Claim('x', A, '==', B, -1),)", "'x' has the margin -1; use a number of at"),
    claims("PUBLISHED = 3", "PUBLISHED must be a Published, but is 3"),
    claims(
        "PUBLISHED = Published(model='m', data='d', num_units=0)",
        "num_units of PUBLISHED must be above 0, but is 0",
    ),
    claims(
        "PUBLISHED = Published(model='m', data='d', num_units=9, standard_error=1.0)",
        "PUBLISHED has both num_units and standard_error; remove one of the two",
    ),
    claims("ERRATA = (3,)", "ERRATA must be a tuple of Erratum, but is (3,)"),
    claims(
        "ERRATA = (Erratum(text=''),)",
        "the text of an erratum must be a non-empty string, but is ''",
    ),
    claims("ERRATA = (Erratum(text='e', best='c'),)", "no row of REPORT has the label 'c'"),
    claims(
        "ERRATA = (Erratum(text='e', shares_of=1.5),)",
        "must be an integer of at least 1, but is 1.5",
    ),
    # Searches.
    space("search = 3", "search of the space 's' must be a function of an Optuna trial"),
    search("return 3", "must return a dict of parameters, but returned 3"),
    search("return None", "must return a dict of parameters, but returned None"),
    search("return {1: 2}", "must return a dict of parameters, but returned {1: 2}"),
    search("return {'lrr': 1.0}", "has no parameter 'lrr'; did you mean 'lr'?"),
    search("return {'lr': 'x'}", "lr must be float, but got 'x'"),
    search("return {'lr': float('nan')}", "lr must be finite, but got nan"),
    search("raise OSError('no')", "failed at line 4 of TMP/s.py: OSError: no; fix it"),
    search("raise SystemExit(2)", "TMP/s.py: SystemExit: 2; fix it"),
    search("return trial.sugest_float('lr', 0, 1)", "s.py: AttributeError"),
    search("import optuna; raise optuna.TrialPruned()", "must not raise TrialPruned; use --pruner"),
    search("return {'lr': trial.suggest_float('lr', 1.0, 0.1)}", "ValueError: "),
    search("return {'lr': trial.suggest_float('lr', -1.0, -0.1)}", "`lr > 0` must hold"),
    search("return {'lr': trial.suggest_float('rate', 1e-3, 0.1)}", "suggests 'rate', which is no"),
    search(
        "trial.suggest_float('lr', 0.1, 1); return {'lr': trial.suggest_float('lr', 0.2, 1)}",
        "RuntimeWarning: Inconsistent parameter values",
    ),
    search(
        "trial.suggest_int('epochs', 1, 2); return {'lr': trial.suggest_float('epochs', 0.2, 1)}",
        "ValueError: Cannot set different distribution kind",
    ),
    search(
        "e = trial.suggest_int('epochs', 1, 2)\n"
        "    return {'lr': trial.suggest_float('lr', .1, 1) if e == 1 else "
        "trial.suggest_categorical('lr', [.1, .2])}",
        "ValueError: Cannot set different distribution kind to the same parameter name",
    ),
]
