"""Suggests what a user probably meant by an unknown name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

#: Normalized names that other tools and papers use -> our parameters, the most likely first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "aug": ("augment",),
    "augmentation": ("augment",),
    "beams": ("num_beams",),
    "beamsize": ("num_beams",),
    "beamwidth": ("num_beams",),
    "betaend": ("beta_last",),
    "betastart": ("beta_1",),
    "bs": ("batch_size",),
    "batch": ("batch_size",),
    "captions": ("num_captions",),
    "cfg": ("guidance",),
    "cfgscale": ("guidance",),
    "channels": ("features",),
    "conddrop": ("drop_condition",),
    "decay": ("weight_decay",),
    "dim": ("embed_dim", "features"),
    "dtype": ("precision",),
    "epoch": ("epochs",),
    "finetune": ("trainable",),
    "freeze": ("trainable",),
    "fp16": ("precision",),
    "bf16": ("precision",),
    "amp": ("precision",),
    "guidancescale": ("guidance",),
    "hiddensize": ("embed_dim", "features"),
    "images": ("num_images", "num_samples"),
    "init": ("start",),
    "initialization": ("start",),
    "iterations": ("epochs",),
    "l2": ("weight_decay",),
    "learningrate": ("lr",),
    "lengthpenalty": ("repetition_penalty",),
    "limit": ("num_images",),
    "logitscale": ("temperature",),
    "maxlen": ("max_length",),
    "maxnewtokens": ("max_length",),
    "maxtokens": ("max_length",),
    "maxsteps": ("epochs",),
    "method": ("decoding",),
    "minlen": ("min_length",),
    "mixedprecision": ("precision",),
    "noiseschedule": ("schedule",),
    "nucleus": ("top_p",),
    "numepochs": ("epochs",),
    "nepochs": ("epochs",),
    "maxepochs": ("epochs",),
    "numtrainepochs": ("epochs",),
    "objective": ("prediction",),
    "optim": ("optimiser", "optimizer"),
    "optimizer": ("optimiser", "optimizer"),
    "parameterization": ("prediction",),
    "penalty": ("repetition_penalty",),
    "pretrained": ("start",),
    "projdim": ("embed_dim",),
    "references": ("num_references",),
    "stepsize": ("lr",),
    "steps": ("sampling_steps", "num_steps", "epochs"),
    "inferencesteps": ("sampling_steps",),
    "numinferencesteps": ("sampling_steps",),
    "strategy": ("decoding",),
    "t": ("temperature",),
    "tau": ("temperature",),
    "temp": ("temperature",),
    "timesteps": ("num_steps",),
    "warmup": ("warmup_ratio",),
    "wd": ("weight_decay",),
    "width": ("features", "embed_dim"),
}

#: Normalized options of other tools -> what to type instead.
OPTIONS: dict[str, str] = {
    "batch": "--set batch_size=N",
    "checkpoint": "--model FOLDER",
    "cpus": "--cpus-per-trial N",
    "dataset": "--data NAME",
    "dataroot": "--data NAME",
    "dry": "--dry-run",
    "gpus": "--gpus-per-trial N",
    "grid": "--space grid",
    "jobs": "--cpus-per-trial N",
    "local": "--engine local",
    "maxtime": "--budget 30m",
    "metrics": "--metric NAME --metric NAME",
    "metric": "the task sets the metric; see `tasks TASK`",
    "ngpus": "--gpus-per-trial N",
    "njobs": "--cpus-per-trial N",
    "ntrials": "--trials N",
    "numsamples": "--trials N",
    "numtrials": "--trials N",
    "numworkers": "--cpus-per-trial N",
    "output": "--out FOLDER",
    "outdir": "--out FOLDER",
    "outputdir": "--out FOLDER",
    "param": "--set NAME=VALUE",
    "params": "--set NAME=VALUE",
    "rayaddress": "--address HOST:PORT",
    "restart": "--rerun",
    "resume": "run the same command again to resume",
    "scheduler": "--pruner NAME",
    "search": "--space search",
    "searchalg": "--sampler NAME",
    "seed": "--seeds",
    "time": "--budget 30m",
    "warmstart": "--learn-from SWEEP",
    "timeout": "--budget 30m, or --step-timeout 10m",
    "workers": "--cpus-per-trial N",
}

#: Normalized names that users may take for parameters -> the options that set them.
_SET_BY_OPTION = {
    "seed": "--seeds",
    "seeds": "--seeds",
    "randomseed": "--seeds",
    "model": "--model",
    "backbone": "--model",
    "data": "--data",
    "dataset": "--data",
    "device": "--gpus-per-trial",
    "trials": "--trials",
}


def normalize_name(name: str) -> str:
    """Reduce a name to lower-case letters and digits: ``--Learning-Rate`` to ``learningrate``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def suggest(name: str, known: Sequence[str]) -> str:
    """Return a hint for an unknown name: the closest known name, and all known names."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}available: {', '.join(known) or 'none'}"


def similar_parameters(name: str, known: Collection[str]) -> list[str]:
    """Return the parameters that an unknown name may mean, by synonyms, then by spelling."""
    wanted = normalize_name(name)
    same = [each for each in known if normalize_name(each) == wanted]
    meant = [each for each in SYNONYMS.get(wanted, ()) if each in known]
    found = same or meant
    if not found and len(wanted) > 2:
        found = [each for each in known if wanted in map(normalize_name, each.split("_"))]
        found = found or [each for each in known if normalize_name(each).startswith(wanted)]
    return found[:3] or difflib.get_close_matches(name, sorted(known), n=1)


def suggest_parameter(task: str | None, name: str, known: Sequence[str]) -> str:
    """Return a hint for an unknown parameter of a task, or of a function if ``task`` is None."""
    option = _SET_BY_OPTION.get(normalize_name(name))
    if option and not any(normalize_name(each) == normalize_name(name) for each in known):
        return f"use the option {option} instead"
    near = similar_parameters(name, known)
    if near:
        meant = " or ".join(filter(None, (", ".join(map(repr, near[:-1])), repr(near[-1]))))
        described = f"`python -m orchestrator tasks {task}` lists all parameters"
        listed = f"available: {', '.join(known)}"
        return f"did you mean {meant}? {described if task else listed}"
    return f"available: {', '.join(known) or 'none'}"
