"""Options of every command: misspelled, of the wrong type, out of range, empty, or in conflict."""

from __future__ import annotations

from pathlib import Path

from bad_input import Case, write


def _link(tmp: Path) -> None:
    (tmp / "loop").symlink_to(tmp / "loop")


CASES = [
    # Commands and names.
    Case(args="swep retrieval", message="No such command 'swep'; did you mean 'sweep'?"),
    Case(args="help", message="No such command 'help'; did you mean --help?"),
    Case(args="version", message="did you mean --version?"),
    Case(args="-v", message="orchestrator has no option -v; did you mean --version?"),
    Case(args="sweep retrieval paper", message="'paper' is a space: write --space paper"),
    Case(args="sweep retrieval my.py", message="'my.py' is a space: write --space my.py"),
    Case(args="sweep retrieval lr=1 --dry-run", message="'lr=1' is a setting: write --set lr=1"),
    Case(args="sweep retrieval --seeds", message="see `python -m orchestrator sweep --help`"),
    Case(
        args="foo",
        message="No such command 'foo'; available: archive, attach, cancel, check, check-task",
    ),
    Case(args="--lr 3", message="orchestrator has no option --lr; see `python -m orchestrator"),
    Case(args="sweep", message="name a task to sweep; available: captioning"),
    Case(args="show", message="'name': which sweep? `python -m orchestrator list` lists them"),
    Case(args="compare a", message="'second': which sweep? `python -m orchestrator list` lists"),
    Case(args="tasks retreival", message="no task named 'retreival'; did you mean 'retrieval'?"),
    Case(args="tasks one two", message="(two); see `python -m orchestrator tasks --help`"),
    Case(args="show one two three", message="(three); see `python -m orchestrator show --help`"),
    Case(args="sweep retreival", message="no task named 'retreival'; did you mean 'retrieval'?"),
    Case(args="sweep x", message="no task named 'x'; available: captioning"),
    Case(args="sweep retrieval captoning", message="did you mean 'captioning'?"),
    Case(args="sweep ''", message="no task named ''"),
    Case(args="sweep ../retrieval", message="no task named '../retrieval'"),
    Case(args="sweep retrieval --sed 1", message="has no option --sed; did you mean --seeds?"),
    Case(args="sweep retrieval --seed 1", message="has no option --seed; did you mean --seeds?"),
    Case(
        args="sweep retrieval --lr 1e-3",
        message="no option --lr; that is a parameter of retrieval: write --set lr=1e-3",
    ),
    Case(
        args="sweep retrieval --learning-rate=1e-3 --seeds 2",
        message="lr is a parameter of retrieval: write --set lr=1e-3",
    ),
    Case(args="sweep captioning --top-k", message="captioning: write --set top_k=VALUE"),
    Case(
        args="sweep diffusion --batch_size 'a b'",
        message="a parameter of diffusion: write --set 'batch_size=a b'",
    ),
    Case(args="sweep retrieval --num-samples 9", message="did you mean --trials N?"),
    Case(args="sweep retrieval --dataset x", message="--dataset; did you mean --data NAME?"),
    Case(args="sweep retrieval --resume", message="--resume; run the same command again to resume"),
    Case(args="sweep retrieval --output x", message="did you mean --out FOLDER?"),
    Case(args="sweep retrieval --dry_run", message="did you mean --dry-run?"),
    Case(args="sweep lr --lr 1", message="sweep has no option --lr; see `python -m orchestrator"),
    Case(
        args="sweep retrieval --deadline 5m --step-timeout 5m",
        message="--deadline is the earlier name of --step-timeout; remove --deadline",
    ),
    Case(args="sweep retrieval --step-timeout 5", message="--step-timeout takes a time such as"),
    Case(args="sweep retrieval --seeds", message="Option '--seeds' requires an argument"),
    Case(args="report --frmat csv", message="--frmat"),
    # Numbers.
    Case(args="sweep retrieval --seeds two", message="Invalid value for '--seeds'"),
    Case(args="sweep retrieval --seeds 1.5", message="Invalid value for '--seeds'"),
    Case(args="sweep retrieval --seeds 1,two", message="or a list such as 1,2, but got '1,two'"),
    Case(
        args="sweep retrieval --seeds 1,2,1",
        message="distinct integers from 0 to 2^31 - 1, but got 1 twice",
    ),
    Case(args="sweep retrieval --seeds 1,-2", message="2^31 - 1, but got -2"),
    Case(args="sweep retrieval --seeds ,", message="Invalid value for '--seeds'"),
    Case(args="sweep retrieval --seeds 0", message="--seeds must be at least 1, but is 0"),
    Case(args="sweep retrieval --seeds -3", message="--seeds must be at least 1, but is -3"),
    Case(args="sweep retrieval --seeds 1000000000", message="9,000,000,000 trials, but a sweep"),
    Case(args="sweep retrieval --trials 0", message="--trials must be at least 1, but is 0"),
    Case(args="sweep retrieval --trials many", message="Invalid value for '--trials'"),
    Case(
        args="sweep diffusion --space search --trials 10000000",
        message="10,000,000 configurations x 1 seed are",
    ),
    Case(args="sweep retrieval --cpus-per-trial 0", message="--cpus-per-trial must be at least 1"),
    Case(args="sweep retrieval --cpus-per-trial x", message="Invalid value for '--cpus-per-trial'"),
    Case(args="sweep retrieval --cpus-per-trial 100000", message="but this machine has"),
    Case(args="sweep retrieval --gpus-per-trial 0", message="takes a fraction of 1, or a whole"),
    Case(args="sweep retrieval --gpus-per-trial 1.5", message="but got 1.5"),
    Case(args="sweep retrieval --gpus-per-trial nan", message="but got nan"),
    Case(args="sweep retrieval --gpus-per-trial inf", message="but got inf"),
    Case(
        args="sweep captioning --gpus-per-trial 2",
        message="captioning computes a trial on one GPU; remove --gpus-per-trial (retrieval with",
    ),
    Case(
        args="sweep retrieval --gpus-per-trial 2 --space search --dry-run",
        message="--gpus-per-trial 2: heads train on one GPU; add --set trainable=full or",
    ),
    Case(
        args="sweep retrieval --gpus-per-trial 3 --set trainable=lora --set batch_size=16",
        message="batch_size=16 is no multiple of 3; change --set batch_size",
    ),
    Case(
        args="sweep retrieval --engine local --gpus-per-trial 2 --set trainable=full",
        environ=(("CUDA_VISIBLE_DEVICES", "0"),),
        message="but the local engine finds 1 GPU in CUDA_VISIBLE_DEVICES; remove it",
    ),
    Case(
        args="sweep retrieval --gpus-per-trial all", message="takes a number or auto, but got 'all'"
    ),
    Case(args="sweep retrieval --budget soon", message="--budget takes a time such as 90s, 30m"),
    Case(args="sweep retrieval --budget 0s", message="or a number such as 20trials, but got '0s'"),
    Case(
        args="sweep retrieval --budget -5m", message="or a number such as 20trials, but got '-5m'"
    ),
    Case(args="sweep retrieval --budget ''", message="or a number such as 20trials, but got ''"),
    Case(args="sweep retrieval --budget 0trials", message="must be at least 1 trial"),
    Case(args="sweep retrieval --budget 1.5trials", message="or a number such as 20trials"),
    Case(args="sweep retrieval --deadline 0s", message="--deadline takes a time such as 90s"),
    Case(args="sweep retrieval --deadline 5", message="--deadline takes a time such as 90s"),
    Case(args="sweep retrieval --deadline 3trials", message="but got '3trials'"),
    Case(
        args="sweep retrieval --address ray://head:10001",
        message="is the address of a Ray Client server",
    ),
    # Words.
    Case(args="sweep retrieval --engine slurm", message="--engine takes ray or local, but got"),
    Case(args="sweep retrieval --sampler cma", message="--sampler takes tpe, random, qmc, gp,"),
    Case(
        args="sweep retrieval --space search --pruner asha",
        message="--pruner takes halving, median, hyperband, wilcoxon, none, but got 'asha'",
    ),
    Case(
        args="sweep retrieval --space search --pruner wilcoxon --seeds 4",
        message="shows nothing before the fourth seed, but --seeds is 4; use at least --seeds 5",
    ),
    Case(
        args="sweep retrieval --trials 20",
        message="--trials 20 has no effect: the space 'paper' lists all its trials; add --space "
        "search, or start only some of the listed trials with --budget 20trials",
    ),
    Case(
        args="sweep retrieval --space grid --sampler random",
        message="--sampler random has no effect: the space 'grid' lists all its trials; add",
    ),
    Case(
        args="sweep retrieval --pruner none",
        message="--pruner none has no effect: the space 'paper' lists all its trials; add --space",
    ),
    Case(
        args="sweep retrieval --rerun --retry-failed",
        message="--rerun also runs failed trials again; remove --retry-failed",
    ),
    Case(
        args="sweep retrieval --rerun --retry-cancelled",
        message="--rerun also runs cancelled trials; remove --retry-cancelled",
    ),
    Case(
        args="sweep retrieval --background --queue",
        message="--background starts the sweep now, --queue later; remove one of them",
    ),
    Case(
        args="sweep retrieval --notify hooks.example.com",
        message="--notify takes an http:// or https:// address of a webhook",
    ),
    Case(
        args="sweep retrieval --track tensorbord",
        message="no tracker named 'tensorbord'; did you mean 'tensorboard'",
    ),
    Case(
        args="sweep retrieval --track tensorboard --track tensorboard",
        message="--track tensorboard is given twice; remove one of them",
    ),
    Case(
        args="sweep retrieval --space grid --track optuna --out s3://bucket/runs",
        message="--track optuna needs a local --out, but it is s3://bucket/runs; give a folder, or",
    ),
    Case(args="pause nothing", message="no sweep"),
    Case(
        args="sweep retrieval --space nothing",
        message="--space takes paper, grid, search, a FILE.py or",
    ),
    Case(args="sweep retrieval --space ''", message="--space must not be empty"),
    Case(args="sweep retrieval --model ''", message="--model must not be empty"),
    Case(args="sweep retrieval --data ''", message="--data must not be empty"),
    Case(args="sweep retrieval --cache ' '", message="--cache must not be empty"),
    Case(args="sweep retrieval --name ''", message="--name must not be empty"),
    Case(args="sweep retrieval --name ..", message="a name must be up to 100 letters, digits"),
    Case(args="sweep retrieval --name ../up", message="but got '../up'; give another with --name"),
    Case(args="sweep retrieval --name a/b", message="but got 'a/b'"),
    Case(args="sweep retrieval --name .hidden", message="but got '.hidden'"),
    Case(args="sweep retrieval --name=-x", message="but got '-x'"),
    Case(args="sweep retrieval --name 'a b'", message="but got 'a b'"),
    Case(args="sweep retrieval --name " + "a" * 101, message="up to 100 letters"),
    # Ray's address.
    Case(args="sweep retrieval --address foo", message="takes HOST:PORT, auto or local"),
    Case(args="sweep retrieval --address ''", message="--address must not be empty"),
    Case(args="sweep retrieval --address h:0", message="auto or local, but got 'h:0'"),
    Case(args="sweep retrieval --address h:99999", message="auto or local, but got 'h:99999'"),
    Case(args="sweep retrieval --address http://h:6379", message="but got 'http://h:6379'"),
    Case(args="sweep retrieval --address 'me:word@h:1'", message="but got '***@h:1'"),
    *(
        Case(
            args=f"sweep retrieval --engine local {option}",
            message="require --engine ray; the local engine uses",
        )
        for option in ("--cpus-per-trial 1", "--gpus-per-trial 0.5", "--gpus-per-trial auto")
    ),
    Case(
        args="sweep retrieval --engine local --address h:1",
        message="--address requires --engine ray; remove one of the two",
    ),
    Case(
        args="sweep retrieval",
        environ=(("RAY_ADDRESS", "nonsense"),),
        message="(or RAY_ADDRESS) takes HOST:PORT",
    ),
    Case(
        args="sweep diffusion --address 127.0.0.1:1",
        message="cannot reach the Ray cluster at 127.0.0.1:1: Connection refused; see `ray status`",
    ),
    # Where results go.
    Case(args="sweep retrieval --out ''", message="--out must not be empty"),
    Case(args="sweep retrieval --out TMP/f", prepare=write("f", "x"), message="f is not a folder"),
    Case(
        args="sweep retrieval --out TMP/f/deep/er",
        prepare=write("f", "x"),
        message="f is not a folder; give another, or remove it",
    ),
    Case(args="sweep retrieval --out TMP/loop", prepare=_link, message="loop is not a folder"),
    Case(args="sweep retrieval --out TMP/" + "a" * 300, message="is too long; give a shorter"),
    Case(args="sweep retrieval --out foo://bar", message="foo://bar cannot be opened"),
    Case(args="sweep retrieval --out file://", message="give a folder, s3://BUCKET/PATH"),
    Case(args="sweep retrieval --out file://runs", message="file://runs cannot be opened"),
    Case(args="sweep retrieval --out http://h/runs", message="http://h/runs cannot be opened"),
    Case(args="sweep retrieval --out s3://", message="s3:// has no folder or bucket; add one"),
    Case(args="sweep retrieval --out 'x://K:SECRET@b/p'", message="x://***@b/p cannot be opened"),
    Case(
        args="sweep retrieval --out file://TMP/f",
        prepare=write("f", "x"),
        message="f is not a folder; give another, or remove it",
    ),
    Case(args="sweep retrieval --cache TMP/f", prepare=write("f", "x"), message="--cache "),
    Case(args="sweep retrieval --cache foo://bar", message="foo://bar cannot be opened"),
    Case(args="report --out ''", message="the results folder must not be empty"),
    Case(args="report --out foo://bar", message="Unrecognized filesystem type in URI"),
    Case(args="report --out TMP/f", prepare=write("f", "x"), message="f cannot be read: "),
    Case(args="show s --out foo://bar", message="give a folder, s3://BUCKET/PATH"),
    # Parameters.
    Case(args="sweep retrieval --set lrr=1", message="has no parameter 'lrr'; did you mean 'lr'?"),
    *(
        Case(args=f"sweep retrieval --set {name}=1", message=f"did you mean '{meant}'? `python -m")
        for name, meant in (
            *(("learning_rate", "lr"), ("LR", "lr"), ("batch", "batch_size"), ("bs", "batch_size")),
            *(("wd", "weight_decay"), ("decay", "weight_decay"), ("temp", "temperature")),
            *(("epoch", "epochs"), ("steps", "epochs"), ("num-captions", "num_captions")),
            *(
                ("tempurature", "temperature"),
                ("fp16", "precision"),
                ("learn_temp", "learn_temperature"),
            ),
        )
    ),
    Case(args="sweep captioning --set topk=3", message="did you mean 'top_k'? `python -m orchest"),
    Case(args="sweep captioning --set beams=3", message="did you mean 'num_beams'?"),
    Case(
        args="sweep diffusion --set steps=9",
        message="did you mean 'sampling_steps', 'num_steps' or 'epochs'? `python -m orchestrator "
        "tasks diffusion` lists all parameters",
    ),
    Case(args="sweep retrieval --set seed=3", message="'seed'; use the option --seeds instead"),
    Case(args="sweep retrieval --set model=x", message="'model'; use the option --model instead"),
    Case(args="sweep retrieval --set zzz=1", message="has no parameter 'zzz'; available: augment,"),
    Case(
        args="sweep retrieval --set 'lr=1e-3 1e-2'",
        message="--set lr takes a number, but got '1e-3 1e-2'; separate values with commas",
    ),
    Case(args="sweep retrieval --set epochs=1,1", message="the list of epochs has 1 twice"),
    Case(args="sweep retrieval --set lr=1e-2..1e-3", message="`low < high` must hold for a range"),
    Case(args="sweep retrieval --set lr=0..1:log", message="must be above 0, but got 0..1:log"),
    Case(args="sweep retrieval --set epochs=1..2.5", message="epochs is an integer, but its range"),
    Case(
        args="sweep retrieval --set lr=1e-3,1e-2 --space grid",
        message="--set lr has several values, which is a space by itself; remove it or --space",
    ),
    Case(args="sweep retrieval --zip lr,epochs", message="--zip lr,epochs: lr has no list of val"),
    Case(args="sweep captioning --set top_k=few", message="takes an integer or none, but got 'few"),
    Case(
        args="sweep retrieval --set lr=1e-3 --set lr=1e-2",
        message="--set lr is given twice, as 0.001 and 0.01; remove one of them, or try each with "
        "--set lr=0.001,0.01",
    ),
    Case(args="sweep retrieval --set lr", message="but got 'lr'; write --set lr=VALUE"),
    *(
        Case(
            args=f"sweep retrieval --set 'lr=1e-3{between}epochs=2'",
            message="repeat it for several: --set lr=1e-3 --set epochs=2",
        )
        for between in (",", ", ", " ", ";")
    ),
    Case(args="sweep retrieval --set ''", message="--set takes name=value, but got ''"),
    Case(args="sweep retrieval --set =3", message="retrieval has no parameter ''"),
    Case(args="sweep retrieval --set lr=fast", message="--set lr takes a number, but got 'fast'"),
    Case(args="sweep retrieval --set lr=", message="--set lr takes a number, but got ''"),
    Case(args="sweep retrieval --set lr=-1", message="lr > 0` must hold, but got lr=-1"),
    Case(args="sweep retrieval --set lr=nan", message="lr must be finite, but got nan"),
    Case(args="sweep retrieval --set lr=inf", message="lr must be finite, but got inf"),
    Case(
        args="sweep retrieval --set epochs=1.5",
        message="epochs takes an integer, but got '1.5'",
    ),
    Case(args="sweep retrieval --set epochs=-1", message="`epochs >= 0` must hold"),
    Case(args="sweep retrieval --set epochs=" + "9" * 30, message="epochs must fit into 64 bits"),
    Case(args="sweep retrieval --set epochs=" + "9" * 5000, message="an integer, but got '9999"),
    Case(args="sweep retrieval --set augment=maybe", message="takes true or false, but got 'maybe"),
    Case(
        args="sweep retrieval --set start=warm", message="start must be one of pretrained, random"
    ),
    Case(args="sweep retrieval --set head=deep", message="head must be one of own, linear, mlp"),
    Case(
        args="sweep retrieval --set trainable=all",
        message="trainable must be one of head, lora, full",
    ),
    Case(
        args="sweep retrieval --set head=mlp", message="creates new heads; add --set start=random"
    ),
    Case(args="sweep retrieval --set embed_dim=8", message="embed_dim sets the width of new heads"),
    Case(args="sweep retrieval --set temperature=0", message="`temperature > 0` must hold"),
    Case(args="sweep retrieval --set weight_decay=-1", message="`weight_decay >= 0` must hold"),
    Case(args="sweep retrieval --set batch_size=1", message="`batch_size >= 2` must hold"),
    Case(args="sweep retrieval --set batch_size=99999", message="`batch_size <= training pairs`"),
    Case(args="sweep retrieval --set split=dev", message="scenes has the splits"),
    Case(args="sweep retrieval --set split=train", message="`split must not be train`"),
    Case(args="sweep retrieval --set num_captions=0", message="`num_captions >= 1` must hold"),
    Case(args="sweep retrieval --set ties=none", message="one of expected, strict, same_text"),
    Case(args="sweep retrieval --set precision=half", message="precision must be one of auto"),
    Case(args="sweep captioning --set decoding=best", message="one of greedy, sample, beam"),
    Case(args="sweep captioning --set top_k=0", message="`top_k >= 1` must hold"),
    Case(args="sweep captioning --set top_p=2", message="`0 < top_p <= 1` must hold"),
    Case(args="sweep captioning --set num_beams=1", message="`num_beams >= 2` must hold"),
    Case(args="sweep captioning --set max_length=5", message="`min_length < max_length` must hold"),
    Case(args="sweep captioning --set min_length=-1", message="`min_length >= 0` must hold"),
    Case(args="sweep captioning --set repetition_penalty=0", message="`repetition_penalty > 0`"),
    Case(args="sweep captioning --set num_images=0", message="`num_images >= 1` must hold"),
    Case(args="sweep captioning --set num_references=0", message="`num_references >= 1` must"),
    Case(args="sweep diffusion --set features=4", message="`features >= 8` must hold"),
    Case(args="sweep diffusion --set ema=1", message="`0 <= ema < 1` must hold"),
    Case(args="sweep diffusion --set eta=2", message="`0 <= eta <= 1` must hold"),
    Case(args="sweep diffusion --set beta_1=0.5", message="`0 < beta_1 <= beta_last < 1` must"),
    Case(args="sweep diffusion --set draws=2", message="`draws >= batch_size` must hold"),
    Case(args="sweep diffusion --set sampling_steps=900", message="`sampling_steps <= num_steps`"),
    Case(args="sweep diffusion --set guidance=2", message="`guidance == 1 or drop_condition > 0`"),
    Case(args="sweep diffusion --set sampler=plms", message="must be one of ancestral, ddim, dpm"),
    Case(
        args="sweep diffusion --set sampler=euler",
        message="prediction=epsilon needs a sampler of ancestral, ddim, dpm, but got sampler=euler",
    ),
    Case(args="sweep diffusion --model sd", message="takes unet or package.module:factory, but"),
    Case(args="sweep diffusion --model no.such:net", message="'no.such:net' cannot be imported"),
    Case(args="sweep diffusion --model math:net", message="math has no 'net'; check the name"),
    Case(args="sweep diffusion --model math:pi", message="'math:pi' must be a function, but is"),
    Case(args="sweep diffusion --set network=mlp", message="network must be one of unet, dit, but"),
    Case(args="sweep diffusion --set patch_size=5", message="`28 % patch_size == 0` must hold"),
    Case(args="sweep diffusion --set width=30", message="`width % 4 == 0 and width % heads == 0`"),
    Case(args="sweep diffusion --data photos", message="--data takes concepts, folder:DIR or"),
    # Reading.
    Case(args="report", message="no sweeps under"),
    Case(args="report --to tables", message="--to requires a --format other than terminal"),
    Case(args="compare a b --table 1", message="--table requires a --format other than terminal"),
    Case(args="report --format csv --to a.html", message="does not fit --format csv"),
    Case(args="report --format pdf", message="--format takes terminal, markdown, latex, "),
    Case(args="report --task retrieval", message="`python -m orchestrator sweep retrieval --out"),
    Case(args="list", message="no sweeps under TMP/runs; run `python -m orchestrator sweep TASK"),
    Case(
        args="ls --format pdf",
        message="--format takes terminal, markdown, latex, latex-siunitx, csv",
    ),
    Case(
        args="report --format pdf",
        message="--format takes terminal, markdown, latex, latex-siunitx, csv",
    ),
    Case(args="report --format ''", message="json, html, but got ''"),
    Case(args="show nothing", message="sweep TASK --out TMP/runs` first"),
]
