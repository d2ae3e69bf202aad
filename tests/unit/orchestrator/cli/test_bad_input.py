"""Every kind of bad input: one line with the value and the fix, exit 2, nothing written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from bad_input import Case, data, models, options, published, results, spaces
from bad_input.running import arguments, tree
from captioned_layouts import coco, flickr, webdataset
from harness import run_command

TABLES = {
    "options": options.CASES,
    "spaces": spaces.CASES,
    "data": data.CASES,
    "published": published.CASES,
    "models": models.CASES,
    "results": results.CASES,
}
CASES = [(f"{name}-{i}", case) for name, cases in TABLES.items() for i, case in enumerate(cases)]


#: Hashes of files, so that the shipped model is read once.
CACHE = tempfile.TemporaryDirectory()


def refuse(case: Case) -> tuple[int, str, str, bool]:
    """(status, stdout, stderr, whether anything was written) of ``main`` in this process."""
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name).resolve() / "work"
        tmp.mkdir()
        case.prepare(tmp)
        before = tree(tmp)
        environment = {"XDG_CACHE_HOME": CACHE.name, **dict(case.environ)}
        done = run_command(*arguments(case, tmp), cwd=tmp, **environment)
        changed = tree(tmp) != before
        return done.returncode, done.stdout, done.stderr.replace(str(tmp), "TMP"), changed


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES])
def test_bad_input_prints_one_line_exits_2_and_writes_nothing(case: Case) -> None:
    status, out, err, changed = refuse(case)
    assert (status, out) == (2, ""), err
    assert case.message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert len(err) < 600, "too long to read"
    assert not changed


GOOD = [
    Case(args="sweep captioning --dry-run --data folder:TMP/d", message="", prepare=data.folder),
    Case(
        args="sweep captioning --dry-run --data karpathy:TMP/d", message="", prepare=data.karpathy
    ),
    Case(args="sweep captioning --dry-run --data voc:TMP/d", message="", prepare=data.voc),
    *(
        Case(
            args=f"sweep captioning --dry-run --data {make.__name__}:TMP/d",
            message="",
            prepare=make,
        )
        for make in (coco, flickr, webdataset)
    ),
    Case(args="sweep diffusion --dry-run --data clevr:TMP/d", message="", prepare=data.clevr),
    Case(
        args="sweep captioning --dry-run --data folder:TMP/d",
        message="",
        prepare=lambda tmp: data.picture(data.folder(tmp) / "val" / "3.png", (1, 1)),
    ),
    Case(args="sweep retrieval --dry-run --model TMP/m", message="", prepare=models.copied),
    Case(
        args="sweep retrieval --dry-run --model TMP/m+TMP/m --set start=random",
        message="",
        prepare=models.copied,
    ),
    Case(args="report", message="", prepare=results.sweep),
    Case(args="show s t1", message="", prepare=results.sweep),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.args)
def test_undamaged_input_is_accepted(case: Case) -> None:
    status, out, err, changed = refuse(case)
    assert status == 0
    assert all(line.startswith("Warning: the default model") for line in err.splitlines())
    assert out
    assert not changed
