"""Exported models, loaded by transformers alone, give the numbers of their table."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from captioned_folder import draw_folder
from harness import small_cluster
from paths import ROOT
from PIL import Image
from tiny_models import save_tiny

from orchestrator.cli import main
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.sharing.model_export import export_model, keeping_command
from results.storage.reading import Sweep, read_sweep
from results.storage.weights import WeightStore
from tasks.contract import RequestError, StoreError
from tasks.datasets import concepts
from tasks.retrieval.stages import index_captions

PROGRAM = ROOT / "tests" / "exported.py"
TOLERANCE = 1e-6
DIFFUSION = (
    *("features=8", "draws=64", "batch_size=32", "num_steps=20", "num_samples=3"),
    *("epochs=2", "sampling_steps=4", "precision=float32"),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("photos"), train=24, val=24)


def run(folder: Path, task: str, *settings: str, **options: Any) -> Sweep:
    """A sweep of one configuration that keeps its weights."""
    space = folder / "one.py"
    grid = options.pop("grid", {"eta": [1.0]} if task == "diffusion" else {"split": ["val"]})
    space.write_text(f"GRID = {grid}\n")
    request = Request(
        task=task,
        space=str(space),
        settings=settings,
        out=str(folder / "out"),
        name="s",
        **{"engine": "local", **options},
    )
    assert run_sweep(make_plan(request)) == 0
    return read_sweep(str(folder / "out"), task, "s")


class Stranger:
    """A process without this project that runs the programs of exported folders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM)],
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, folder: Path, given: Mapping[str, Any], *paths: Path) -> Any:
        """Run the program in the README of a folder, with ``paths`` added to its import path."""
        request = {"folder": str(folder), "given": given, "paths": [str(path) for path in paths]}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        assert "result" in reply, reply["error"]
        return reply["result"]

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    started = Stranger()
    yield started
    started.close()


def retrieval_input(photos: Path, split: str = "val") -> dict[str, Any]:
    lines = (photos / split / "captions.jsonl").read_text().splitlines()
    captions = [json.loads(line)["captions"] for line in lines]
    distinct, row, owner = index_captions(captions)
    images = [str(photos / split / json.loads(line)["image"]) for line in lines]
    return {
        "images": images,
        "captions": distinct,
        "row": row.tolist(),
        "owner": owner.tolist(),
    }


def check_recalls(
    stranger: Stranger, folder: Path, sweep: Sweep, photos: Path, *paths: Path
) -> None:
    (row,) = sweep.rows()
    found = stranger.run(folder, retrieval_input(photos), *paths)
    for name, value in found.items():
        assert value == pytest.approx(row[f"metric.{name}"], abs=TOLERANCE), name


# --- retrieval ------------------------------------------------------------------------------------

NEW_HEADS = ("start=random", "lr=1e-2")
RETRIEVAL = {  # model -> settings
    "shipped": ("lr=1e-3",),
    "shipped, new width": (*NEW_HEADS, "head=linear", "embed_dim=20"),
    "blip, all of it": ("trainable=full", "lr=1e-3"),
    "blip, two layers": (*NEW_HEADS, "head=mlp"),
    "clip": ("learn_temperature=yes", "lr=1e-2"),
    "clip, all of it": ("trainable=full", "lr=1e-3"),
    "clip, adapters": ("trainable=lora", "lr=1e-2"),
    "clip, new heads": (*NEW_HEADS, "head=linear", "embed_dim=20"),
    "clip, new heads and adapters": (*NEW_HEADS, "head=linear", "trainable=lora"),
    "siglip": ("lr=1e-2",),
    "siglip, all of it": ("trainable=full", "lr=1e-3"),
    "siglip2": ("lr=1e-2", "max_tokens=12"),
    "siglip2, all of it": ("trainable=full", "lr=1e-3", "temperature=none", "loss=sigmoid"),
    "siglip2, adapters": ("trainable=lora", "lr=1e-3"),
    "metaclip_2": ("lr=1e-2", "temperature=none", "pairs=all", "lower_case=yes"),
    "metaclip_2, new heads": (*NEW_HEADS, "head=linear", "embed_dim=20", "max_tokens=8"),
}
IN_LOADER = (
    "metaclip_2, new heads",
    "blip, two layers",
    "clip, new heads",
    "clip, new heads and adapters",
)  # the architecture has no such heads


@pytest.mark.parametrize("case", RETRIEVAL)
def test_a_retrieval_model_scores_as_in_its_table(
    stranger: Stranger, case: str, tmp_path: Path, photos: Path
) -> None:
    kind = case.partition(",")[0]
    model = {} if kind == "shipped" else {"model": str(save_tiny(kind, tmp_path / "model"))}
    settings = ("epochs=2", "batch_size=8", "precision=float32", *RETRIEVAL[case])
    sweep = run(tmp_path, "retrieval", *settings, data=f"folder:{photos}", **model)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    assert (folder / "load.py").exists() == (case in IN_LOADER)
    check_recalls(stranger, folder, sweep, photos)


def test_export_contains_the_learned_temperature(tmp_path: Path, photos: Path) -> None:
    import transformers

    model = str(save_tiny("clip", tmp_path / "model"))
    settings = ("epochs=1", "batch_size=8", "precision=float32", "learn_temperature=yes", "lr=0.1")
    sweep = run(tmp_path, "retrieval", *settings, data=f"folder:{photos}", model=model)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    kept = WeightStore(str(tmp_path / "out"), "retrieval", "s").read(sweep.rows()[0]["trial_id"])
    assert kept is not None
    loaded = transformers.CLIPModel.from_pretrained(folder)
    wanted = -float(kept.arrays["weight.log_temperature"])
    assert loaded.logit_scale.item() == pytest.approx(wanted, abs=1e-6)
    assert wanted != pytest.approx(transformers.CLIPModel.from_pretrained(model).logit_scale.item())


@pytest.mark.parametrize("learn", ["yes", "no"])
def test_exported_siglip_has_the_temperature_and_bias_of_its_loss(
    learn: str, tmp_path: Path, photos: Path
) -> None:
    import transformers

    model = str(save_tiny("siglip", tmp_path / "model"))
    settings = ("temperature=none", f"learn_temperature={learn}", f"learn_bias={learn}")
    fixed = ("epochs=1", "batch_size=8", "precision=float32", "lr=0.1", "loss=sigmoid")
    sweep = run(tmp_path, "retrieval", *fixed, *settings, data=f"folder:{photos}", model=model)
    export = export_model(sweep, None, str(tmp_path / "export"))
    before, after = (
        transformers.SiglipModel.from_pretrained(each) for each in (model, export.folder)
    )
    kept = WeightStore(str(tmp_path / "out"), "retrieval", "s").read(sweep.rows()[0]["trial_id"])
    assert kept is not None
    for name, own, sign in (("scale", "log_temperature", -1), ("bias", "logit_bias", 1)):
        start, end = (getattr(each, f"logit_{name}").item() for each in (before, after))
        assert (end == pytest.approx(start, rel=1e-4)) is (learn == "no")
        if learn == "yes":
            assert end == pytest.approx(sign * float(kept.arrays[f"weight.{own}"]), abs=1e-6)


def test_exported_blip_has_its_temperature_for_the_next_training(
    tmp_path: Path, photos: Path
) -> None:
    from tasks.models.logit_scale import read_temperature

    model = str(save_tiny("blip", tmp_path / "model"))
    settings = ("epochs=1", "batch_size=8", "precision=float32", "temperature=0.07")
    sweep = run(tmp_path, "retrieval", *settings, data=f"folder:{photos}", model=model)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    assert read_temperature(model) is None
    assert read_temperature(str(folder)) == 0.07


PAIRS = {
    "vit+bert": ("head=linear",),
    "resnet+bert": ("head=mlp",),
    "dinov2+siglip": ("head=linear", "max_tokens=12"),
    "siglip2+metaclip_2": ("head=linear", "max_tokens=10", "lower_case=yes"),
    "clip+clip": ("head=linear", "trainable=full"),
    "clip+bert": ("head=linear", "trainable=lora"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pair_is_exported_as_two_folders_and_a_loader(
    stranger: Stranger, case: str, tmp_path: Path, photos: Path
) -> None:
    image, text = case.split("+")
    parts = [save_tiny(image, tmp_path / "one"), save_tiny(text, tmp_path / "two")]
    settings = ("start=random", "epochs=2", "batch_size=8", "lr=1e-2", "precision=float32")
    sweep = run(
        tmp_path,
        "retrieval",
        *(*settings, *PAIRS[case]),
        data=f"folder:{photos}",
        model="+".join(map(str, parts)),
    )
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    for part in parts:  # the export must not need them
        shutil.rmtree(part)
    assert {"image", "text", "heads.safetensors", "load.py"} <= {f.name for f in folder.iterdir()}
    check_recalls(stranger, folder, sweep, photos)


FACTORY = """
import numpy as np
import torch

def encoder():
    torch.manual_seed(5)
    def prepare(images):
        small = [np.asarray(image.resize((8, 8)), dtype=np.float32) for image in images]
        return torch.from_numpy(np.stack(small)).flatten(1) / 255
    return torch.nn.Linear(192, 16), prepare
"""


@pytest.mark.parametrize("trainable", ["head", "lora", "full"])
def test_loader_imports_the_factory(
    stranger: Stranger,
    trainable: str,
    tmp_path: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    name = f"exported_factory_{trainable}"
    (package / f"{name}.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(package))
    text = save_tiny("bert", tmp_path / "text")
    settings = ("start=random", "epochs=2", "batch_size=8", "lr=1e-2", "precision=float32")
    sweep = run(
        tmp_path,
        "retrieval",
        *(*settings, f"trainable={trainable}"),
        data=f"folder:{photos}",
        model=f"{name}:encoder+{text}",
    )
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    assert (folder / "image.safetensors").exists() == (trainable != "head")
    check_recalls(stranger, folder, sweep, photos, package)


# --- captioning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        ("decoding=greedy",),
        ("decoding=greedy", "prompt=", "min_length=4", "repetition_penalty=1.3"),
        ("decoding=beam", "num_beams=3", "prompt=this is "),
    ],
    ids=" ".join,
)
def test_exported_captioner_gives_the_same_captions(
    stranger: Stranger, settings: tuple[str, ...], tmp_path: Path, photos: Path
) -> None:
    sweep = run(tmp_path, "captioning", *settings, data=f"folder:{photos}")
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    check_captions(stranger, folder, sweep, photos)


def check_captions(stranger: Stranger, folder: Path, sweep: Sweep, photos: Path) -> None:
    samples = sweep.samples.sort_by("image").to_pylist()
    given = {
        "images": retrieval_input(photos)["images"],
        "references": [sample["references"] for sample in samples],
    }
    found = stranger.run(folder, given)
    assert found["captions"] == [sample["caption"] for sample in samples]
    expected = sweep.rows()[0]["metric.bleu4_13a"]
    assert found["bleu4_13a"] == pytest.approx(expected, abs=TOLERANCE)


def test_exported_captioner_has_the_sampling_parameters(
    stranger: Stranger, tmp_path: Path, photos: Path
) -> None:
    settings = ("top_k=none", "top_p=0.9", "temperature=0.6", "num_images=4")
    sweep = run(tmp_path, "captioning", *settings, data=f"folder:{photos}")
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    config = json.loads((folder / "generation_config.json").read_text())
    expected = {"do_sample": True, "top_k": 0, "top_p": 0.9, "temperature": 0.6, "min_length": 10}
    assert {name: config[name] for name in expected} == expected
    images = retrieval_input(photos)["images"][:2]
    assert stranger.run(folder, {"images": images}) == {}


# --- diffusion ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache for the judge of pictures, so that it is fitted once."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("sampler=ancestral", "schedule=cosine", "prediction=v", "ema=0"),
        ("sampler=dpm", "guidance=2", "drop_condition=0.2", "attention=yes"),
        ("prediction=x0", "weighting=min_snr"),
        ("network=dit", "depth=2", "width=16", "heads=2", "patch_size=7"),
        ("prediction=flow", "sampler=heun", "guidance=2", "drop_condition=0.2"),
    ],
    ids=lambda settings: " ".join(settings) or "ddim",
)
def test_exported_diffusion_model_draws_the_same_pictures(
    stranger: Stranger, settings: tuple[str, ...], tmp_path: Path, probe: str
) -> None:
    sweep = run(tmp_path, "diffusion", *DIFFUSION, *settings, seeds=(3,), cache=probe)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    check_pictures(stranger, folder, sweep)


NETWORK = """
import torch

class Network(torch.nn.Module):
    def __init__(self, channels, num_conditions):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels)
        self.outward = torch.nn.Conv2d(channels + num_conditions + 1, channels, 3, padding=1)

    def forward(self, x, time, condition):
        about = torch.cat([condition, time[:, None]], dim=1)[:, :, None, None]
        return self.outward(torch.cat([self.norm(x), about.expand(-1, -1, *x.shape[2:])], dim=1))

def network(channels, size, num_conditions):
    return Network(channels, num_conditions)
"""


def test_exported_diffusion_model_imports_its_factory(
    stranger: Stranger, tmp_path: Path, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "exported_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(package))
    model = "exported_network:network"
    sweep = run(tmp_path, "diffusion", *DIFFUSION, seeds=(3,), cache=probe, model=model)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    check_pictures(stranger, folder, sweep, package)


def check_pictures(stranger: Stranger, folder: Path, sweep: Sweep, *paths: Path) -> None:
    """The exported model must draw exactly the pictures that the sweep scored."""
    (row,) = sweep.rows()
    given = {
        "descriptions": [concepts.describe(name) for name in concepts.CONDITIONS],
        "options": {"seed": row["seed"], "num_images": row["param.num_samples"]},
    }
    drawn = np.array(stranger.run(folder, given, *paths), dtype=np.uint8)
    samples = sweep.samples.filter(pc.not_equal(sweep.samples["group"], "mean")).to_pylist()
    by_name = {sample["sample"]: sample["picture"] for sample in samples}
    number = row["param.num_samples"]
    names = [f"{name}-{index:03}" for name in concepts.CONDITIONS for index in range(number)]
    stored = [np.asarray(Image.open(io.BytesIO(by_name[name]))) for name in names]
    assert np.array_equal(drawn, np.stack(stored))


def test_unknown_description_is_refused(tmp_path: Path, probe: str) -> None:
    from tasks.diffusion.pipeline import load

    sweep = run(tmp_path, "diffusion", *DIFFUSION, cache=probe)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    with pytest.raises(ValueError, match=r"must be one of large red circle, .* but got 'a cat'"):
        load(folder)(["a cat"])


# --- the other engine -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with small_cluster() as address:
        yield address


@pytest.mark.parametrize("task", ["retrieval", "captioning", "diffusion"])
def test_weights_kept_on_ray_can_be_exported(
    task: str, tmp_path: Path, photos: Path, stranger: Stranger, probe: str, cluster: str
) -> None:
    settings = {
        "retrieval": ("epochs=2", "batch_size=8", "precision=float32", "lr=1e-3"),
        "captioning": ("decoding=greedy",),
        "diffusion": DIFFUSION,
    }
    more = {"cache": probe} if task == "diffusion" else {"data": f"folder:{photos}"}
    # One thread, as in the process of ``stranger``: more can round a pixel differently.
    on_ray = {"engine": "ray", "address": cluster, "cpus_per_trial": 1}
    sweep = run(tmp_path, task, *settings[task], **on_ray, **more)
    folder = export_model(sweep, None, str(tmp_path / "export")).folder
    if task == "retrieval":
        check_recalls(stranger, folder, sweep, photos)
    elif task == "captioning":
        check_captions(stranger, folder, sweep, photos)
    else:
        check_pictures(stranger, folder, sweep)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    run(folder, "toy", grid={"degree": [1, 3, 5]}, seeds=2, keep="2")
    return folder / "out"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Exit status and output of a command."""
    before = sys.argv
    sys.argv = ["orchestrator", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out + captured.err


def test_task_without_export_writes_arrays_parameters_and_a_card(
    stranger: Stranger, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file

    folder = tmp_path / "new" / "export"
    status, text = call(capsys, "export", "s", folder, "--out", toy)
    assert status == 0
    assert "the first seed of the best row" in text
    record = json.loads((folder / "export.json").read_text())
    assert record["trial_id"] in text
    kept = WeightStore(str(toy), "toy", "s").read(record["trial_id"])
    assert kept is not None
    assert np.array_equal(
        load_file(folder / "weights.safetensors")["weights"], kept.arrays["weights"]
    )
    assert record["params"]["degree"] == kept.metadata["params"]["degree"]
    assert stranger.run(folder, {}) == {}


def test_a_trial_is_exported_by_its_id(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = sorted(WeightStore(str(toy), "toy", "s").sizes())
    for trial_id in kept:
        status, text = call(
            capsys, "export", "toy/s", trial_id[:10], tmp_path / trial_id, "--out", toy
        )
        assert (status, trial_id in text) == (0, True), text
    weights = {(tmp_path / t / "weights.safetensors").read_bytes() for t in kept}
    assert len(weights) == len(kept) == 4


def test_a_trial_without_weights_names_the_command_that_keeps_them(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_sweep(str(toy), "toy", "s").rows()
    kept = WeightStore(str(toy), "toy", "s").sizes()
    lost = next(row["trial_id"] for row in rows if row["trial_id"] not in kept)
    status, text = call(capsys, "export", "s", lost, tmp_path / "e", "--out", toy)
    assert status == 2
    assert f"weights of trial {lost} were not kept" in text
    assert text.rstrip().endswith("--keep all")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("orchestrator sweep toy", "orchestrator sweep toy --keep best"),
        (
            "orchestrator sweep toy --keep none --seeds 2",
            "orchestrator sweep toy --seeds 2 --keep best",
        ),
        ("orchestrator sweep toy --keep=none", "orchestrator sweep toy --keep best"),
        (
            "orchestrator sweep toy --final test --seeds 2 --keep 2",
            "orchestrator sweep toy --seeds 2 --keep best",
        ),
        ("orchestrator sweep toy --final=test", "orchestrator sweep toy --keep best"),
        (
            "orchestrator sweep toy --set 'a=b c'",
            "orchestrator sweep toy --set 'a=b c' --keep best",
        ),
    ],
)
def test_keeping_command(given: str, expected: str) -> None:
    assert keeping_command(shlex.split(given), "best") == expected


def test_suggested_command_makes_the_export_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(capsys, *["sweep", "toy", "--engine", "local", "--keep", "none"])[0] == 0
    status, text = call(capsys, "export", "paper", "best")
    assert status == 2
    found = re.search(r"python -m orchestrator (sweep .*)", text)
    assert found, text
    assert call(capsys, *shlex.split(found[1]))[0] == 0
    assert call(capsys, "export", "paper", "best")[0] == 0
    assert (tmp_path / "best" / "README.md").is_file()


def test_damaged_weights_are_named_and_refused(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(toy, tmp_path / "out")
    store = WeightStore(str(tmp_path / "out"), "toy", "s")
    for file in Path(store.uri).glob("*.safetensors"):
        blob = bytearray(file.read_bytes())
        blob[-1] ^= 1
        file.write_bytes(blob)
    status, text = call(capsys, "export", "s", tmp_path / "e", "--out", tmp_path / "out")
    assert status == 2
    assert ".safetensors are damaged" in text
    assert not (tmp_path / "e").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_changed_model_is_refused_but_missing_data_is_not(tmp_path: Path, photos: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    model = save_tiny("clip", tmp_path / "model")
    settings = ("epochs=1", "batch_size=8", "precision=float32")
    sweep = run(tmp_path, "retrieval", *settings, data=f"folder:{data}", model=str(model))
    shutil.rmtree(data)
    export_model(sweep, None, str(tmp_path / "export"))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"more": 1}))
    with pytest.raises(RequestError, match=r"the model .* has changed since the sweep"):
        export_model(sweep, None, str(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_overwrite_replaces_an_earlier_export(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "e"
    folder.mkdir()  # an empty folder is accepted
    assert call(capsys, "export", "s", folder, "--out", toy)[0] == 0
    (folder / "left over").write_text("")
    status, text = call(capsys, "export", "s", folder, "--out", toy)
    assert status == 2
    assert "is not empty; name a new folder, or add --overwrite" in text
    assert call(capsys, "export", "s", folder, "--out", toy, "--overwrite")[0] == 0
    assert not (folder / "left over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_overwrite_refuses_other_folders(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    status, text = call(capsys, "export", "s", tmp_path, "--out", toy, "--overwrite")
    assert status == 2
    assert "is not an export" in text
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_failed_export_leaves_the_earlier_one(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = read_sweep(str(toy), "toy", "s")
    folder = export_model(sweep, None, str(tmp_path / "e")).folder
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(RequestError, match="cannot be written: No space left on device"):
        export_model(sweep, None, str(folder), overwrite=True)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s"], "export requires a folder to write: export NAME [TRIAL] DIR"),
        ([], "which sweep?"),
        (["s", "zzz", "{tmp}/e"], "s has no trial 'zzz'"),
        (["s", "{file}"], "is a file; name a new folder"),
        (["s", "s3://bucket/e"], "DIR must be a local folder"),
        (["s", "."], "must not be the current directory"),
        (["s", "{file}/e"], "cannot be written: Not a directory"),
        (["s", "{tmp}/e", "--private"], "--private requires --push-to-hub"),
        (["s", "{tmp}/e", "--push-to-hub", "a b"], "--push-to-hub takes an id"),
        (["s", "{tmp}/e", "--push-to-hub", "me/x"], "HF_HUB_OFFLINE is set; unset it"),
        (["nosuch", "{tmp}/e"], "no sweep named 'nosuch'"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    filled = [word.format(tmp=tmp_path, file=file) for word in words]
    status, text = call(capsys, "export", *filled, "--out", toy)
    assert status == 2, text
    assert message in text
    assert text.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_trial_in_place_of_the_folder_is_refused(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = read_sweep(str(toy), "toy", "s").rows()[0]["trial_id"][:8]
    status, text = call(capsys, "export", "s", trial, "--out", toy)
    assert status == 2
    assert f"{trial} is a trial; add a folder" in text


def test_an_unfinished_trial_has_no_weights(toy: Path, tmp_path: Path) -> None:
    sweep = read_sweep(str(toy), "toy", "s")
    row = sweep.rows()[0]
    row["status"] = "stopped"
    with pytest.raises(StoreError, match="is stopped, but only finished trials have weights"):
        export_model(sweep, row["trial_id"], str(tmp_path / "e"))
