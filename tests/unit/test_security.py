"""Files are data: nothing in a folder is ever run.

``docs/explanation/threat-model.md`` names these tests.
"""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

from orchestrator.execution.stages import StageCache
from orchestrator.saving.checkpoints import Checkpoints
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult
from tasks.contract import ModelError, Stage, State
from tasks.models import folders
from tasks.models.loading import LOCAL

PACKAGES = ("orchestrator", "tasks", "search_spaces", "results", "benchmarks", "examples")
SHIPPED = ROOT / "tasks" / "assets" / "blip-scenes"


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)[:1]  # type: ignore[return-value]


def bomb(mark: Path) -> bytes:
    blob = pickle.dumps(Bomb(mark))
    pickle.loads(blob)  # it works
    mark.unlink()
    return blob


# --- what the sources call ------------------------------------------------------------------------

#: How `doctor` has Ray send its questions to a node whose checkout may differ: it loads nothing.
SENT_BY_VALUE = {"orchestrator/doctor/cluster.py": ["ray.cloudpickle"]}
#: Without any of these, a file does not need to be parsed, which takes a while for all of them.
MAY_BE_UNSAFE = re.compile(
    r"pickle|dill|joblib|shelve|marshal|eval|exec|\bcompile|__import__|system|\bload\b|remote_code|shell"
)
LOADERS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


def dangers(file: Path) -> Iterator[str]:
    """Every call or import in a file that could run code from what it reads."""
    text = file.read_text()
    for node in ast.walk(ast.parse(text)) if MAY_BE_UNSAFE.search(text) else ():
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = []
        yield from (name for name in names if LOADERS & set(name.split(".")))
        if not isinstance(node, ast.Call):
            continue
        name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        if name in ("eval", "exec", "compile", "__import__", "os.system", "yaml.load"):
            yield name
        if name in ("torch.load", "th.load") and given.get("weights_only") != "True":
            yield name
        if name in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            yield name
        if given.get("trust_remote_code", "False") != "False" or given.get("shell") == "True":
            yield name


def test_no_source_loads_pickles_or_runs_what_it_reads() -> None:
    found = {
        str(file.relative_to(ROOT)): sorted(set(dangers(file)))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }
    assert {file: names for file, names in found.items() if names} == SENT_BY_VALUE


def test_scan_finds_each_unsafe_call(tmp_path: Path) -> None:
    lines = [
        "import pickle",
        "from joblib import load",
        "torch.load(f)",
        "np.load(f, allow_pickle=True)",
        "AutoModel.from_pretrained(f, trust_remote_code=True)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
    ]
    for line in lines:
        (tmp_path / "x.py").write_text(line)
        assert list(dangers(tmp_path / "x.py")), line
    (tmp_path / "x.py").write_text("torch.load(f, weights_only=True)\nnp.load(f)")
    assert not list(dangers(tmp_path / "x.py"))


#: These load models that the project made: the recipe of the shipped one, and exported programs.
OWN_MODELS = ("recipe.py", "exported.py")


def test_every_model_is_loaded_without_remote_code() -> None:
    for file in (ROOT / "tasks").rglob("*.py"):
        text = file.read_text()
        if file.name in OWN_MODELS or "from_pretrained" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("from_pretrained"):
                call = ast.unparse(node)  # a wrapper passes on the options that it is called with
                assert "**LOCAL" in call or "**options" in call, f"{file.name}: {call}"
    assert LOCAL["trust_remote_code"] is False


# --- planted pickles ------------------------------------------------------------------------------


def draw() -> dict[str, np.ndarray]:
    """A stage."""
    return {"x": np.zeros(3)}


@pytest.mark.parametrize("suffix", [".safetensors", ".arrow"])
@pytest.mark.parametrize("place", ["uri", "kept"])
def test_a_pickle_among_kept_stages_is_not_run(tmp_path: Path, suffix: str, place: str) -> None:
    stage, cache = Stage(function=draw), StageCache(**{"uri": None, place: str(tmp_path)})
    cache.save(stage, draw(), 1.0)
    assert cache.load(stage) is not None
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / f"{stage.key}{suffix}").write_bytes(bomb(tmp_path / "mark"))
    assert cache.load(stage) is None
    assert not (tmp_path / "mark").exists()


def test_a_pickle_among_the_checkpoints_is_not_run(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path))
    checkpoints.save("t", State(arrays={"x": np.zeros(3)}, values={}), [])
    assert checkpoints.load("t", "cpu") is not None
    (tmp_path / "t.safetensors").write_bytes(bomb(tmp_path / "mark"))
    assert checkpoints.load("t", "cpu") is None
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth"])
def test_pickled_weights_are_refused_unread(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "blip"}')
    (tmp_path / name).write_bytes(bomb(tmp_path / "mark"))
    with pytest.raises(ModelError, match="safetensors"):
        folders.resolve(str(tmp_path))
    assert not (tmp_path / "mark").exists()


def test_pickles_beside_the_weights_are_not_run(tmp_path: Path) -> None:
    from tasks.models.dual import load_dual_encoder

    model = tmp_path / "m"
    shutil.copytree(SHIPPED, model)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pkl"):
        (model / name).write_bytes(bomb(tmp_path / "mark"))
    load_dual_encoder(str(model), "1", "cpu", "float32")
    assert not (tmp_path / "mark").exists()


CODE = """
open({mark!r}, "w").close()
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizer, BlipImageProcessor
class Config(PretrainedConfig):
    model_type = "own"
class Model(PreTrainedModel):
    config_class = Config
class Tokenizer(PreTrainedTokenizer):
    pass
class Processor(BlipImageProcessor):
    pass
"""


@pytest.mark.parametrize("known", [True, False], ids=["of a known kind", "of its own kind"])
def test_code_in_a_model_folder_is_not_run(tmp_path: Path, known: bool) -> None:
    from tasks.models.dual import load_dual_encoder
    from tasks.models.pair import load_pair

    model, mark = tmp_path / "m", tmp_path / "mark"
    shutil.copytree(SHIPPED, model)
    (model / "own.py").write_text(CODE.format(mark=str(mark)))
    own: dict[str, object] = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    own |= {"AutoTokenizer": ["own.Tokenizer", None], "AutoImageProcessor": "own.Processor"}
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        config = json.loads((model / name).read_text()) | {"auto_map": own}
        if not known and name == "config.json":
            config["model_type"] = "own"
        (model / name).write_text(json.dumps(config))
    if known:
        load_dual_encoder(str(model), "2", "cpu", "float32")
    else:
        with pytest.raises(ModelError, match="needs code from its checkpoint, which is never run"):
            load_pair(f"{model}+{model}", "cpu", "float32")
    assert not mark.exists()


# --- exports --------------------------------------------------------------------------------------


def test_html_export_escapes_scripts_in_results(tmp_path: Path) -> None:
    from toy_results import PARAMS, manifest, result

    from results.export import FORMATS, sweep_document

    script = "<script>alert(1)</script>"
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    failed = {**result(1).trial, "status": "failed", "reason": script}
    store.add([TrialResult(trial=failed, steps=[], samples=None), result(2, lr=0.2)])
    store.write_manifest(manifest(model={"name": script, "fingerprint": "m"}))
    page = FORMATS["html"]([sweep_document(read_sweep(str(tmp_path), "toy", "s"))])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2  # the model and the reason
