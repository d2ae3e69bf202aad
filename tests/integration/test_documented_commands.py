"""Every command in the documentation works: it is run, or a reduced form, or it is planned."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from attribute_folders import draw_attribute_folder
from bad_input import data
from captioned_folder import draw_folder
from captioned_layouts import coco, flickr, hub, webdataset
from documented import (
    LAUNCHERS,
    MODULES,
    PAGES,
    REDUCED_BENCHMARKS,
    REDUCED_SWEEPS,
    RUN_BY_CI,
    Command,
    code_blocks,
    commands_of,
    split_commands,
)
from harness import run_command
from masked_folders import draw_masked_folder, save_voc, scene_photos
from paths import ROOT, SHARED
from served import served_pages
from tutorial import install_first_task, install_network

from results.storage.reading import find_sweeps, read_sweep
from results.storage.weights import WeightStore

COMMANDS = [command for page in PAGES for command in commands_of(page)]
OURS = [c for c in COMMANDS if c.kind in ("python -m orchestrator", "orchestrator")]
SWEEPS = [c for c in OURS if c.arguments[:1] == ("sweep",)]
READING = ("report", "show", "compare", "check", "list", "verify", "prune", "query", "page")
ARCHIVES = [c for c in OURS if any(word.endswith(".zip") for word in c.arguments)]
EXPORTS = [c for c in OURS if c.arguments[:1] == ("export",)]
READERS = [c for c in OURS if c.arguments[:1] and c.arguments[0] in READING and c not in ARCHIVES]
SERVERS = [c for c in OURS if c.arguments[:1] == ("serve",)]
#: Commands to a running sweep; tests/faults/test_control.py runs them on one.
STEERING = ("ps", "attach", "pause", "resume", "stop", "cancel", "queue")
STEERED = [c for c in OURS if c.arguments[:1] and c.arguments[0] in STEERING]
OTHERS = [c for c in OURS if c not in (*SWEEPS, *READERS, *ARCHIVES, *EXPORTS, *SERVERS, *STEERED)]
BENCHMARKS = [c for c in COMMANDS if c.kind.startswith("python -m benchmarks")]
RAY = [c for c in COMMANDS if c.kind == "ray"]
LAUNCHED = [c for c in COMMANDS if c.kind in LAUNCHERS]
RAN_AS_MODULES = [c for c in COMMANDS if c.kind.removeprefix("python -m ") in MODULES]


def by_name(commands: Sequence[Command]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("command", commands, ids=str)


def test_every_documented_command_has_a_test() -> None:
    dealt = {*OURS, *BENCHMARKS, *RAY, *LAUNCHED, *RAN_AS_MODULES}
    left = [c for c in COMMANDS if c not in dealt and not c.kind.startswith(RUN_BY_CI)]
    assert not left, f"add them to tests/documented.py: {', '.join(map(str, left))}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python -m benchmarks    what there is", [("python", "-m", "benchmarks")]),
        (
            ".venv/bin/pip install -e . && .venv/bin/ruff check .  # both",
            [("pip", "install", "-e", "."), ("ruff", "check", ".")],
        ),
        ("RAY_X=1 ray up cluster.yaml", [("ray", "up", "cluster.yaml")]),
        ("ray exec c.yaml 'ray  status'", [("ray", "exec", "c.yaml", "ray  status")]),
        ("  lr    decay  ", []),
        ("it's output", []),
    ],
)
def test_split_commands(line: str, words: list[tuple[str, ...]]) -> None:
    assert split_commands(line) == words


# --- values for placeholders ----------------------------------------------------------------------


PLACEHOLDER = r"\b(?!TRIAL)[A-Z]{3,}\b"


class Place:
    """A folder with tiny data of every layout, in which commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        photos = root / "photos"
        photos.mkdir()
        draw_folder(photos, train=24, val=16, test=16)
        listed = [
            json.loads(line) | {"split": split}
            for split in ("train", "val", "test")
            for line in (photos / split / "captions.jsonl").read_text().splitlines()
        ]
        images = [
            {
                "filename": entry["image"],
                "filepath": entry["split"],
                "split": entry["split"],
                "sentences": [{"raw": caption} for caption in entry["captions"]],
            }
            for entry in listed
        ]
        (photos / "dataset_tiny.json").write_text(json.dumps({"images": images}))
        masks = draw_masked_folder(root / "masks", train=12, val=8)
        attributes = draw_attribute_folder(root / "attributes", 100)
        train_only = root / "train-only"
        shutil.copytree(photos / "train", train_only / "train")
        layouts = {
            "voc": data.voc,
            "clevr": data.clevr,
            "coco": lambda tmp: coco(tmp, num_images=24),
            "flickr": lambda tmp: flickr(tmp, num_images=200),
            "webdataset": lambda tmp: webdataset(tmp, num_images=50),
        }
        self.values = {f"{name}:DIR": f"{name}:{photos}" for name in ("folder", "karpathy")}
        for name, make in layouts.items():
            (root / name).mkdir()
            self.values[f"{name}:DIR"] = f"{name}:{make(root / name)}"
        if importlib.util.find_spec("datasets") is not None:
            repository = hub(root / "hub", num_images=80)
            options = ",captions=caption,rows=1000,streaming"
            for more in ("", options):
                self.values[f"hub:USER/NAME{more}"] = f"hub:{repository}{more}"
        shards = "x-{train,val}-{000..000}.tar"
        self.values |= {
            f"webdataset:DIR/{shards}": f"{self.values['webdataset:DIR']}/{shards}",
            "karpathy:PHOTOS": f"karpathy:{photos}",
            "folder:DATA": f"folder:{photos}",
            "folder:MASKS": f"folder:{masks}",
            "folder:IMAGES": f"folder:{attributes}",
            "voc:VOC2012": f"voc:{save_voc(root / 'VOC2012', scene_photos(masks, 24), num_val=4)}",
            "folder:DIR,val=0.1": f"folder:{train_only},val=0.1",
            "s3://BUCKET/runs": str(root / "bucket"),
            "s3://BUCKET/runs/retrieval/paper": "/mnt/other/runs/retrieval/paper",
            "DIR": str(ROOT / "tests" / "data" / "sweeps"),
            "FOLDER": str(ROOT / "tasks" / "assets" / "blip-scenes"),
            "FILE.py": str(root / "space.py"),
            "TASK": "retrieval",
            "NAME": "paper",
            "OTHER": "grid",
            "...": "retrieval",
        }
        (root / "space.py").write_text("GRID = {'lr': [1e-3, 1e-2]}\n")
        spaces = ROOT / "docs" / "how-to" / "search-spaces.md"
        (root / "my_space.py").write_text(_saved_file(spaces))
        (root / "sweep.yaml").write_text(_saved_file(spaces, "yaml"))
        (root / "train.py").write_text(_saved_file(ROOT / "docs" / "how-to" / "function.md"))
        # A link, since another test of this process may have imported the function.
        (root / "toy_function.py").symlink_to(ROOT / "examples" / "toy" / "toy_function.py")
        self._made: set[tuple[str, str]] = set()

    def fill(self, words: Sequence[str]) -> list[str]:
        """The words with values in place of placeholders."""
        sql = tuple(f"{keyword} " for keyword in ("SELECT", "DESCRIBE"))
        unknown = [
            word
            for word in words
            if re.search(PLACEHOLDER, word) and word not in self.values and not word.startswith(sql)
        ]
        assert not unknown, f"give them values in Place: {unknown}"
        return [self.values.get(word, word) for word in words]

    def run(self, *words: str, statuses: Sequence[int] = (0,)) -> str:
        """Run ``python -m orchestrator WORDS`` in this process and folder; returns its output."""
        # A common cache, so that stages such as the judge of pictures are computed once.
        environment = {"HOME": str(self.root), "ORCHESTRATOR_CACHE": str(self.root / "cache")}
        done = run_command(*words, cwd=self.root, COLUMNS="160", **environment)
        assert done.returncode in statuses, done.stdout + done.stderr
        assert "error: " not in done.stderr
        return done.stdout

    def sweep(self, words: Sequence[str]) -> None:
        """Run a documented sweep in this process, with tiny data and two trials of each task."""
        options = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
        drop = ("--gpus-per-trial", "--cpus-per-trial", "--address")  # not with --engine local
        elsewhere = ("--background", "--queue")  # start another process
        kept = [
            word
            for before, word in zip(words[options - 1 :], words[options:], strict=False)
            if before not in drop and word not in drop and word not in elsewhere
        ]
        for task in words[1:options]:
            reduced = list(REDUCED_SWEEPS[task])
            if "--data" in kept and "--data" in reduced:
                reduced[:2] = []
            reduced += ["--engine", "local", "--budget", "2trials"]
            self.run("sweep", task, *without_set(kept, reduced), *self.fill(reduced))

    def prepare(self, task: str, name: str) -> str:
        """The folder of a finished sweep, for commands that read one."""
        out = str(self.root / f"runs-{task}")
        if (task, name) not in self._made:
            self._made.add((task, name))
            space = ["--space", name] if name in ("grid", "search") else []
            self.sweep(["sweep", task, "--name", name, "--out", out, *space])
        return out


def _saved_file(page: Path, language: str = "python") -> str:
    """The file that a page asks its reader to save: its first block of the language."""
    return code_blocks(page, language)[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    installed = tmp_path_factory.mktemp("site")
    install_first_task(installed)
    install_network(installed)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(installed))
        yield Place(tmp_path_factory.mktemp("user"))


# --- our own commands -----------------------------------------------------------------------------


def needs_wheels(words: Sequence[str]) -> None:
    if any("benchmarks.encoders" in word for word in words):
        for package in ("all_minilm_l6_v2", "efficientnet_lite_pytorch"):
            if importlib.util.find_spec(package) is None:
                pytest.skip("requirements-encoders.txt is not installed")
    if any(word.startswith("hub:") for word in words):
        pytest.importorskip("datasets", reason="datasets is not installed")


@by_name(SWEEPS)
def test_documented_sweep_can_be_planned(place: Place, command: Command) -> None:
    needs_wheels(command.arguments)
    words = place.fill(command.arguments)
    if "--from" in words:
        stored = words.index("--from") + 1
        words[stored] = f"{place.prepare('retrieval', 'paper')}/retrieval/paper/sweep.json"
    if "--learn-from" in words:
        earlier = words.index("--learn-from") + 1
        task, name = words[1], words[earlier]
        words[earlier] = f"{place.prepare(task, name)}/{task}/{name}"
        words += place.fill(REDUCED_SWEEPS[task])  # as the earlier sweep
    assert "trial" in place.run(*words, "--dry-run")


@by_name([c for c in SWEEPS if "clevr:DIR" not in c.arguments and "--dry-run" not in c.arguments])
def test_documented_sweep_runs(place: Place, command: Command, tmp_path: Path) -> None:
    needs_wheels(command.arguments)
    place.sweep([*place.fill(command.arguments), "--out", str(tmp_path)])
    assert find_sweeps(str(tmp_path))
    for task, name in find_sweeps(str(tmp_path)):
        rows = read_sweep(str(tmp_path), task, name).rows()
        assert rows
        assert {row["status"] for row in rows} <= {"finished", "stopped"}


def without_set(words: Sequence[str], reduced: Sequence[str]) -> list[str]:
    """The words without each ``--set`` for which ``reduced`` has another value."""
    pairs = itertools.pairwise(reduced)
    replaced = {value.partition("=")[0] for option, value in pairs if option == "--set"}
    kept: list[str] = []
    for word in words:
        if kept and kept[-1] == "--set" and word.partition("=")[0] in replaced:
            kept.pop()
        else:
            kept.append(word)
    return kept


@by_name(READERS)
def test_documented_report_commands_run(place: Place, command: Command, tmp_path: Path) -> None:
    task = command.page.stem if command.page.stem in REDUCED_SWEEPS else "retrieval"
    verb, *words = place.fill(command.arguments)
    positional = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    values = dict(zip(words[positional:], words[positional + 1 :], strict=False))
    task = values.get("--task", task)
    named = 1 if verb in ("show", "page") else positional
    names = [] if verb == "query" else words[:named]
    names += [values["--against"]] if "--against" in values else []
    stored = ROOT / values.get("--out", "no such folder")
    if stored.is_dir():  # a sweep that is part of the repository
        words[0], words[words.index("--out") + 1] = "stored", str(stored)
    else:
        for name in names or ["paper"]:  # NAME, TASK/NAME or OUT/TASK/NAME
            *above, short = name.rsplit("/", 2)
            task = above[-1] if above else task
            out = place.prepare(task, short)
            if len(above) == 2:
                words[words.index(name)] = f"{out}/{task}/{short}"
        words += ["--out", out]  # the last one counts
    if verb == "prune":  # other commands read the original
        words[-1] = str(shutil.copytree(out, tmp_path / "copy"))
    if verb == "verify" and "--engine" not in words:
        words += ["--engine", "local"]
    if verb == "show" and positional == 2:  # a real trial id instead of the one on the page
        words[1] = read_sweep(out, task, short).rows()[0]["trial_id"][:8]
    written = ("--save", "--pictures", "--to", "--parquet")
    files = [tmp_path / values[option] for option in written if option in values]
    files += [tmp_path / words[1]] if verb == "page" else []
    for file in files:
        words[words.index(file.name)] = str(file)
    # The status of `check` depends on the verdicts, which are not tested here.
    assert place.run(verb, *words, statuses=(0, 1) if verb == "check" else (0,))
    assert all(
        any(file.iterdir()) if file.is_dir() else file.stat().st_size > 100 for file in files
    )


@by_name(ARCHIVES)
def test_documented_archive_commands_run(place: Place, command: Command, tmp_path: Path) -> None:
    out = place.prepare("retrieval", "paper")
    verb, *words = place.fill(command.arguments)
    file = tmp_path / "paper.zip"
    if verb != "archive":
        place.run("archive", "paper", str(file), "--out", out)
    else:
        file.touch()  # `--overwrite` has a file to replace
        words += [] if "--overwrite" in words else ["--overwrite"]
    reduced = {"paper.zip": str(file), "paper-replay": "paper"}  # its results are the same
    words = [reduced.get(word, word) for word in words]
    if verb == "replay":
        out = str(tmp_path / "again")
        words += ["--engine", "local"]
    assert place.run(verb, *words, "--out", out)
    assert file.stat().st_size > 1000


@by_name(EXPORTS)
def test_documented_export_runs(place: Place, command: Command, tmp_path: Path) -> None:
    """Without the upload, which ``test_hub_upload.py`` tests with a stand-in for the Hub."""
    _, name, *words = command.arguments
    if "--push-to-hub" in words:
        words = words[: words.index("--push-to-hub")]
    task, _, short = place.fill([name])[0].rpartition("/")
    task = task or "retrieval"
    out = place.prepare(task, short)
    if len(words) == 2:  # a real trial id instead of the one on the page
        words[0] = next(iter(WeightStore(out, task, short).sizes()))
    words[-1] = str(tmp_path / words[-1])
    assert place.run("export", f"{task}/{short}", *words, "--out", out)
    assert (tmp_path / words[-1] / "README.md").is_file()


@by_name(SERVERS)
def test_documented_server_answers(place: Place, command: Command) -> None:
    _, *words = command.arguments
    if "--port" in words:  # another test may use it
        del words[words.index("--port") : words.index("--port") + 2]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with (
        served_pages(place.prepare("retrieval", "paper"), *words) as address,
        browser.open(address.replace("0.0.0.0", "127.0.0.1")) as answer,
    ):
        assert "retrieval/paper" in answer.read().decode()


@by_name(STEERED)
def test_commands_to_running_sweeps_are_understood(
    place: Place, command: Command, tmp_path: Path
) -> None:
    words = place.fill(command.arguments)
    if words[0] == "queue":  # an empty queue
        done = run_command(*words, XDG_STATE_HOME=str(tmp_path))
        assert "queue is empty" in done.stdout or "sweeps of the queue match" in done.stderr
        return
    out = place.prepare("retrieval", "paper")
    done = run_command(*words, "--out", out, cwd=place.root)
    if done.returncode:
        assert done.returncode == 2
        assert "retrieval/paper is not running" in " ".join(done.stderr.split())


@by_name(OTHERS)
def test_other_documented_commands_run(place: Place, command: Command) -> None:
    words = place.fill(command.arguments)
    if words[0] != "doctor":
        assert place.run(*words)
        return
    done = in_a_process(["-m", "orchestrator", *words], place.root)  # it starts and stops a Ray
    assert done.returncode in (0, 1), done.stderr  # 1: something is wrong with this machine
    assert "python" in done.stdout


def in_a_process(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_first_command_of_the_readme_runs_on_ray(place: Place, tmp_path: Path) -> None:
    words = next(c.words for c in SWEEPS if c.page.name == "README.md")[1:]
    reduced = place.fill(REDUCED_SWEEPS["retrieval"])
    done = in_a_process([*words, *reduced, "--out", "out", "--budget", "2trials"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_sweep(str(tmp_path / "out"), *find_sweeps(str(tmp_path / "out"))[0]).rows()


# --- benchmarks and other modules -----------------------------------------------------------------


class ParsedError(Exception):
    """The options were valid; the program stops here."""


def parse_alone(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], words: Sequence[str]
) -> None:
    """Run ``call`` with these words until it has parsed them."""
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser) -> None:
        parse(self)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", ["program", *words])
    with pytest.raises(ParsedError):
        call()


def benchmark_of(command: Command) -> tuple[str, tuple[str, ...]]:
    """The name of the benchmark, empty for the list of all, and its arguments."""
    _, _, name = command.kind.partition("benchmarks.")
    words = command.arguments
    return (name, words) if name else ("".join(words[:1]), words[1:])


@pytest.fixture(scope="module")
def already_run() -> set[str]:
    """Names of the benchmarks that have run: each reduced form runs once."""
    return set()


@by_name(BENCHMARKS)
def test_documented_benchmark_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, already_run: set[str], command: Command
) -> None:
    name, words = benchmark_of(command)
    reduced = REDUCED_BENCHMARKS[name] if name else ()
    run_below = name == "flickr8k_captioner"
    if run_below and not words:  # only mentioned in a sentence
        return
    if reduced is None or run_below or name in already_run:
        parse_alone(monkeypatch, importlib.import_module(f"benchmarks.{name}").main, words)
        return
    already_run.add(name)
    values = {"DIR": SHARED / "flickr8k-mini", "OUT": tmp_path, "FOLDER": tmp_path}
    if name in ("flickr8k", "encoders"):
        needs_wheels(["benchmarks.encoders"])
    if name == "flickr8k" and not SHARED.is_dir():
        pytest.skip("the photos of ../shared/data are not on this machine")
    run_benchmark(name, [str(values.get(word, word)) for word in (*words, *reduced)])


def run_benchmark(name: str, words: Sequence[str]) -> None:
    done = in_a_process(["-m", "benchmarks", *([name] if name else []), *words], ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_captioner_trained_on_photos_can_be_swept(
    flickr: Path, place: Place, tmp_path: Path
) -> None:
    """The recipe of ``benchmarks/flickr8k_captioner.py``, from photos to the table."""
    folder = tmp_path / "captioner"
    options = ["--tokenizer", str(SHARED / "bert-base-uncased"), "--out", str(folder)]
    reduced = REDUCED_BENCHMARKS["flickr8k_captioner"] or ()
    run_benchmark("flickr8k_captioner", [str(flickr), *options, *reduced])
    words = f"sweep captioning --model {folder} --data karpathy:{flickr} --set split=test".split()
    place.sweep([*words, "--out", str(tmp_path)])
    assert find_sweeps(str(tmp_path), "captioning")


@by_name(RAN_AS_MODULES)
def test_documented_module_accepts_its_options(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    module = importlib.import_module(MODULES[command.kind.removeprefix("python -m ")])
    parse_alone(monkeypatch, module.main, command.arguments)


# --- Ray, pip and files ---------------------------------------------------------------------------


@by_name(RAY)
def test_documented_ray_commands_are_valid(command: Command) -> None:
    from ray.scripts.scripts import cli

    group, words = cli, list(command.arguments)
    context = group.make_context("ray", ["--help"], resilient_parsing=True)
    while hasattr(group, "commands"):
        group = group.commands[words.pop(0)]
    group.make_context(group.name, words, parent=context)
    for word in words[: words.index("--") if "--" in words else None]:
        assert not word.endswith(".yaml") or (ROOT / word).is_file(), word


@by_name(LAUNCHED)
def test_documented_recipe_exists(command: Command) -> None:
    for word in command.arguments:
        if word.endswith((".yaml", ".sbatch")):
            assert (ROOT / word).is_file(), word


@by_name([c for c in COMMANDS if c.kind in ("pip", "python -m pytest")])
def test_files_that_a_command_names_exist(command: Command) -> None:
    for word in command.arguments:
        if word.endswith((".lock", ".txt", ".py")) or "/" in word:
            assert (ROOT / word).exists(), word


@by_name([c for c in COMMANDS if any(word.startswith(".[") for word in c.arguments)])
def test_extras_that_a_command_names_exist(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in command.arguments:
        if word.startswith(".["):
            assert set(word[2:-1].split(",")) <= set(project["optional-dependencies"])
