"""Weights that real sweeps keep, on both engines, in a bucket and on a full disk."""

from __future__ import annotations

from pathlib import Path

from buckets import BUCKET, serve
from disks import fill_up, small_disk
from harness import Run, engine_args, small_cluster
from weights_of_runs import totals_of

from results.storage.reading import read_sweep
from results.storage.weights import (
    WeightStore,
)

SIX = "GRID = {'level': list(range(6))}\n"


def test_both_engines_keep_the_same_weights(tmp_path: Path) -> None:
    found = []
    with small_cluster() as address:
        for engine in ("local", "ray"):
            (tmp_path / engine).mkdir()
            options = (*engine_args(engine, address), "--keep=all")
            run = Run(tmp_path / engine, *options, space=SIX)
            assert "Kept the weights of 6 trials" in run.end()
            found.append(totals_of(run))
        assert found[0] == found[1]
        assert len(found[0]) == 6
        run = Run(tmp_path / "ray", "--address", address, "--keep=best", space=SIX)
        assert "Kept the weights of 1 trial" in run.end()
        assert totals_of(run) == dict([max(found[0].items(), key=lambda item: item[1])])


def test_a_bucket_keeps_weights(tmp_path: Path) -> None:
    with serve():
        out = f"s3://{BUCKET}/kept"
        run = Run(tmp_path, "--engine=local", "--keep=2", space=SIX, out=out)
        output = run.end()
        assert f"in {out}/fragile/s/weights" in output
        assert f"export fragile/s DIR --out {out}" in output
        sweep = read_sweep(out, "fragile", "s")
        by_total = sorted(sweep.rows(), key=lambda row: -float(row["metric.total"]))
        assert list(totals_of(run)) == sorted(row["param.level"] for row in by_total[:2])
        Run(tmp_path, "--engine=local", "--keep=none", space=SIX, out=out).end()
        assert not totals_of(run)


def test_small_disk_costs_weights_but_no_trial(tmp_path: Path) -> None:
    space = "GRID = {'level': [5, 4, 3, 2, 1, 0]}\n"  # the best comes last
    with small_disk(tmp_path / "disk", "1m") as disk:
        run = Run(tmp_path, "--engine=local", "--set=kept=300000", space=space, out=str(disk))
        output, errors = run.process.communicate(timeout=120)
        assert run.process.returncode == 0, output + errors
        text = " ".join((output + errors).split())
        assert text.count("Weights were not saved: the weights need 0.3") == 1
        assert "The trials continue, and their results are complete." in text
        assert len(run.totals()) == 6
        assert "To train it again, add --keep best to the command." in text
        first = totals_of(run)
        assert len(first) == 1  # the best of those that fit
        sweep = read_sweep(str(disk), "fragile", "s")
        assert not WeightStore(str(disk), "fragile", "s").leftovers()
        assert not sweep.damaged
        fill_up(disk / "filler")
        again = Run(tmp_path, "--engine=local", "--set=kept=300000", space=space, out=str(disk))
        again.process.communicate(timeout=120)
        assert totals_of(run) == first
