"""What trackers wrote, read back from their real local stores."""

from __future__ import annotations

import json
import struct
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Curve = list[tuple[int, float]]

#: The main metric of each task that a test tracks.
METRICS = {"toy": "error", "fragile": "total"}


@dataclass(kw_only=True)
class Found:
    """What a store has of one trial."""

    parameters: dict[str, str]
    curves: dict[str, Curve]
    status: str = ""
    reason: str = ""  # of a failure, in the stores that have a field for it
    last_step: int | None = None  # of the metrics and samples in W&B
    files: set[str] = field(default_factory=set)  # "table" and "picture"


class Store(ABC):
    """Reads what a tracker wrote."""

    task = "toy"  # of the sweeps
    keeps_all = True  # all metrics, samples and the report; otherwise only the main metric

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.chdir(folder)

    @abstractmethod
    def trials(self, name: str) -> dict[str, Found]:
        """What it has of the trials of a sweep. Fails if a trial has several runs."""

    @abstractmethod
    def report(self, name: str) -> str:
        """The text of the report."""


class TensorBoardStore(Store):
    def _load(self, folder: Path) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder))
        events.Reload()
        return events

    def trials(self, name: str) -> dict[str, Found]:
        found = {}
        for folder in (self.folder / "out" / self.task / name / "tensorboard").iterdir():
            if folder.name == "report":
                continue
            events = self._load(folder)
            tags = events.Tags()
            text = {tag: _text(events, tag) for tag in tags["tensors"]}
            plugin = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
            found[folder.name] = Found(
                parameters=_hparams(plugin),
                curves={
                    tag.replace("r_1", "r@1"): [(e.step, e.value) for e in events.Scalars(tag)]
                    for tag in tags["scalars"]
                },
                status=text.get("status/text_summary", ""),
                files={"picture" for tag in tags["images"] if tag == "samples"}
                | {"table" for tag in text if tag == "samples/text_summary"},
            )
        return found

    def report(self, name: str) -> str:
        events = self._load(self.folder / "out" / self.task / name / "tensorboard/report")
        return _text(events, "report/text_summary")


def _text(events: Any, tag: str) -> str:
    values = [e.tensor_proto.string_val for e in events.Tensors(tag)]
    return values[-1][0].decode() if values and values[-1] else ""


def _hparams(content: bytes) -> dict[str, str]:
    from tensorboard.plugins.hparams import metadata

    info = metadata.parse_session_start_info_plugin_data(content)
    return {
        name: str(getattr(value, value.WhichOneof("kind"))) for name, value in info.hparams.items()
    }


class MlflowStore(Store):
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")

    def _runs(self, name: str) -> dict[str, Any]:
        import mlflow

        self.client = mlflow.MlflowClient()
        experiment = self.client.get_experiment_by_name(f"{self.task}/{name}")
        runs = self.client.search_runs([experiment.experiment_id])
        ids = [run.data.tags["orchestrator.trial"] for run in runs]
        assert max(Counter(ids).values()) == 1
        return dict(zip(ids, runs, strict=True))

    def trials(self, name: str) -> dict[str, Found]:
        found = {}
        for trial_id, run in self._runs(name).items():
            if trial_id == "report":
                continue
            files = {file.path for file in self.client.list_artifacts(run.info.run_id)}
            found[trial_id] = Found(
                parameters=run.data.params,
                curves={
                    key.replace("r_1", "r@1"): [
                        (m.step, m.value)
                        for m in self.client.get_metric_history(run.info.run_id, key)
                    ]
                    for key in run.data.metrics
                },
                status=run.data.tags.get("orchestrator.status", ""),
                reason=run.data.tags["orchestrator.reason"],
                files={"picture" for file in files if file == "samples.png"}
                | {"table" for file in files if file == "samples.json"},
            )
        return found

    def report(self, name: str) -> str:
        import mlflow

        run = self._runs(name)["report"]
        return str(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/report.md"))


class WandbStore(Store):
    """Reads the files of the offline mode."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        monkeypatch.setenv("WANDB_MODE", "offline")
        import wandb

        wandb.teardown()  # it reads the environment once

    def _runs(self, name: str) -> Iterator[tuple[str, list[Any], Path]]:
        import wandb

        wandb.teardown()  # waits until its process has written the files of ended runs
        ids = set()
        for path in self.folder.glob("wandb/offline-run-*/*.wandb"):
            records = list(_wandb_records(path.read_bytes()))
            (run,) = (record.run for record in records if record.HasField("run"))
            if run.run_group == name:
                assert run.run_id not in ids
                ids.add(run.run_id)
                yield run.display_name, records, path.parent / "files"

    def trials(self, name: str) -> dict[str, Found]:
        found = {}
        for display, records, files in self._runs(name):
            if display == "report":
                continue
            (run,) = (record.run for record in records if record.HasField("run"))
            curves: dict[str, Curve] = {}
            summary: dict[str, Any] = {}
            rows = []
            for record in records:
                values = _wandb_values(record.history.item)
                rows += [values["_step"]] if values else []
                for key, value in values.items():
                    if not key.startswith(("_", "samples")) and isinstance(value, float | int):
                        curves.setdefault(key, []).append((values["_step"], value))
                summary |= _wandb_values(record.summary.update)
            found[run.run_id.rsplit("-", 1)[1]] = Found(
                parameters={k: str(v) for k, v in _wandb_values(run.config.update).items()},
                curves=curves,
                status=summary["status"],
                reason=summary["reason"],
                last_step=max(rows),
                files={"table" for _ in files.glob("media/table/samples*.json")}
                | {"picture" for _ in files.glob("media/images/samples_pictures*.png")},
            )
        return found

    def report(self, name: str) -> str:
        ((_, _, files),) = (run for run in self._runs(name) if run[0] == "report")
        (page,) = files.glob("media/html/*.html")
        return page.read_text()


def _wandb_records(data: bytes) -> Iterator[Any]:
    """Read W&B's transaction log: blocks of 32 KiB of records, as in LevelDB."""
    from wandb.proto.wandb_internal_pb2 import Record

    at, record = 7, b""
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(record)
            record = b""


def _wandb_values(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


class TrackioStore(Store):
    """Reads its SQLite database, whose folder it reads once from the environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        import trackio

        monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))  # for other processes
        for name, module in sys.modules.items():
            if name.partition(".")[0] == "trackio" and hasattr(module, "TRACKIO_DIR"):
                monkeypatch.setattr(module, "TRACKIO_DIR", folder / "trackio")
        assert folder / "trackio" == trackio.TRACKIO_DIR

    def _runs(self, name: str) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
        import trackio

        store = trackio.SQLiteStorage
        runs = [run for run in trackio.Api().runs(self.task) if run.name.startswith(f"{name}-")]
        assert len({run.name for run in runs}) == len(runs)
        return {
            run.name.removeprefix(f"{name}-"): (
                run.config or {},
                store.get_logs(self.task, run.name, max_points=None),
            )
            for run in runs
        }

    def trials(self, name: str) -> dict[str, Found]:
        found = {}
        for trial_id, (config, logs) in self._runs(name).items():
            if trial_id == "report":
                continue
            curves: dict[str, Curve] = {}
            others: dict[str, Any] = {}
            for log in logs:
                for key, value in log.items():
                    if isinstance(value, dict):
                        others[key] = value
                    elif key not in ("step", "timestamp"):
                        curves.setdefault(key, []).append((log["step"], value))
            found[trial_id] = Found(
                parameters={key: str(value) for key, value in config.items()},
                curves=curves,
                status=others["status"]["_value"].partition(".")[0],
                files={"table" for key in others if key == "samples"}
                | {"picture" for key in others if key == "samples_pictures"},
            )
        return found

    def report(self, name: str) -> str:
        _, logs = self._runs(name)["report"]
        return str(logs[-1]["report"]["_value"])


class AimStore(Store):
    """Opens its runs, because only Aim's server makes the index of the ended ones."""

    def _runs(self, name: str, *, is_report: bool) -> Iterator[tuple[str, Any]]:
        """The runs of trials, or of the report. A run can be opened only once at a time."""
        import aim

        repo = aim.Repo(str(self.folder))
        runs = [run for run in repo.structured_db.runs() if run.experiment == f"{self.task}/{name}"]
        assert len({run.name for run in runs}) == len(runs)
        for each in [run for run in runs if (run.name == "report") == is_report]:
            run = aim.Run(
                each.hash,
                repo=repo,
                system_tracking_interval=None,
                capture_terminal_logs=False,
            )
            yield each.name, run
            run.close()

    def trials(self, name: str) -> dict[str, Found]:
        from aim.storage.context import Context

        found = {}
        for trial_id, run in self._runs(name, is_report=False):
            infos = run.collect_sequence_info(("metric", "images", "texts"))
            curves = {}
            for key in (each["name"] for each in infos["metric"]):
                frame = run.get_metric(key, Context({})).dataframe()
                rows = zip(frame["step"].tolist(), frame["value"].tolist(), strict=True)
                curves[key] = sorted(rows)
            found[trial_id] = Found(
                parameters={key: str(value) for key, value in run["hparams"].items()},
                curves=curves,
                status=run["status"],
                reason=run["reason"],
                files={"table" for each in infos["texts"] if each["name"] == "samples"}
                | {"picture" for each in infos["images"] if each["name"] == "samples_pictures"},
            )
        return found

    def report(self, name: str) -> str:
        from aim.storage.context import Context

        (text,) = [
            run.get_text_sequence("report", Context({})).values.last_value().data
            for _, run in self._runs(name, is_report=True)
        ]
        return str(text)


class OptunaStore(Store):
    """Reads the journal with Optuna's own classes."""

    keeps_all = False

    def trials(self, name: str) -> dict[str, Found]:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        path = str(self.folder / "out" / self.task / name / "optuna-journal.log")
        storage = optuna.storages.JournalStorage(JournalFileBackend(path))
        trials = optuna.load_study(study_name=name, storage=storage).trials
        ids = [trial.user_attrs["trial_id"] for trial in trials]
        assert max(Counter(ids).values()) == 1
        states = {"COMPLETE": "finished", "FAIL": "failed", "PRUNED": "stopped"}
        return {
            trial_id: Found(
                parameters={key: str(value) for key, value in trial.params.items()},
                curves={METRICS[self.task]: sorted(trial.intermediate_values.items())},
                status=states.get(trial.state.name, ""),
            )
            for trial_id, trial in zip(ids, trials, strict=True)
        }

    def report(self, name: str) -> str:
        raise NotImplementedError


STORES: dict[str, Callable[[Path, pytest.MonkeyPatch], Store]] = {
    "tensorboard": TensorBoardStore,
    "mlflow": MlflowStore,
    "wandb": WandbStore,
    "trackio": TrackioStore,
    "aim": AimStore,
    "optuna": OptunaStore,
}
