"""The model card of a run that is published: what it is, its numbers, and how to load it."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

import macpo
from macpo import registry
from macpo.experiment import Experiment, needs_trust
from macpo.field_types import JsonObject
from macpo.runs.directory import RunDirectory
from macpo.runs.record.pace import clock
from macpo.runs.record.reading import Row
from macpo.runs.record.timing import total_seconds
from macpo.runs.sessions import Session, read_sessions
from macpo.runs.story import Result, how_far, is_finished, read_results, results_table
from macpo.terminal import command

_CARD = """---
{about}
---

# {experiment.title}

A team trained with macpo on `{env}`: `{algorithm}` with the weighting `{weighting}`, {seeds}. \
{state}

## Results

{results}

## Load it

```bash
{commands}
```

```python
import macpo

policy = macpo.load(macpo.pull("{repo}"){trust})
actions = policy.act(obs, avail_actions)
```
{pictures}
## Settings

```python
{experiment!r}
```

`{files.experiment.name}` has every setting. `{repeat}` repeats the run{with_file}.

## How it was trained

{training}
"""
_BEST = "the parameters of each seed's best evaluation"
_METRICS = {"test_return_mean": "mean_reward", "test_battle_won_mean": "win_rate"}
"""How model cards call what we measure."""


def model_card(files: RunDirectory, experiment: Experiment, repo: str, held: Sequence[str]) -> str:
    """The README of a run in the repository `repo`, which holds the files named `held`.

    Nothing of it comes from the commands that trained the run, which can name folders and users.
    """
    results, sessions = read_results(files), read_sessions(files.sessions)
    has_file = experiment.replay.from_file is not None
    trusting = ["--trust"] if needs_trust(experiment) else []
    run = f"runs/{repo.rpartition('/')[2]}"
    shown = [file.name for file in (files.learning_curve, files.episode) if file.name in held]
    return _CARD.format(
        about=_front_matter(experiment, results, repo),
        experiment=experiment,
        files=files,
        repo=repo,
        env=registry.name_of(experiment.env),
        algorithm=registry.name_of(experiment.algorithm),
        weighting=registry.name_of(experiment.weighting),
        seeds=_seeds(experiment),
        state=f"{'Finished:' if is_finished(files) else 'Not finished, at'} "
        f"{how_far(files, experiment.run, results)}.",
        results="\n\n".join(results_table(results, experiment.run.unit))
        or "It has not been evaluated.",
        commands="\n".join(
            [
                "pip install 'macpo[hub]'",
                command("macpo", "pull", repo),
                command("macpo", "evaluate", run, *trusting),
                *(
                    f"{command('macpo', 'evaluate', run, '--best', *trusting)}  # {_BEST}"
                    for name in held
                    if name == files.best.name
                ),
            ]
        ),
        trust=", trust=True" if trusting else "",
        pictures="".join(f"\n![{name}]({name})\n" for name in shown),
        repeat=command(
            *("macpo", "train", "--config", f"{run}/{files.experiment.name}"),
            *(["--replay.from", "FILE"] if has_file else []),
            *trusting,
        ),
        with_file=", where FILE holds the episodes that its replay began with" * has_file,
        training=_training(files, sessions),
    )


def _front_matter(experiment: Experiment, results: Mapping[int, Result], repo: str) -> str:
    """What a hub reads of a card: YAML, whose values are written as JSON, which is YAML too.

    Nobody has said under which license the parameters are, so that none is named.
    """
    env = registry.name_of(experiment.env)
    kind, rows = _ends(results)
    metrics = [
        {"type": name, "name": f"{name}, {kind}", "value": value}
        for column, name in _METRICS.items()
        for value in [_mean(column, rows)]
        if math.isfinite(value)
    ]
    result: JsonObject = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"type": env, "name": env},
        "metrics": metrics,
    }
    index = [{"name": repo.rpartition("/")[2], "results": [result]}] if metrics else []
    about: JsonObject = {
        "library_name": "macpo",
        "pipeline_tag": "reinforcement-learning",
        "tags": [
            *("reinforcement-learning", "multi-agent-reinforcement-learning", "jax"),
            *(registry.name_of(getattr(experiment, part)) for part in ("env", "algorithm")),
        ],
        **({"model-index": index} if index else {}),
    }
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in about.items())


def _ends(results: Mapping[int, Result]) -> tuple[str, list[Row]]:
    """What each seed has come to: the absolute metrics if all have one, else last evaluations."""
    absolute = [result.absolute for result in results.values() if result.absolute]
    if len(absolute) == len(results):
        return "absolute metric", absolute
    return "last evaluation", [result.last for result in results.values() if result.last]


def _mean(metric: str, rows: Sequence[Row]) -> float:
    """Over seeds; NaN if one has no such metric."""
    return float(np.mean([row.get(metric, math.nan) for row in rows])) if rows else math.nan


def _seeds(experiment: Experiment) -> str:
    run = experiment.run
    last = run.seed + run.seeds - 1
    return f"seed {run.seed}" if run.seeds == 1 else f"seeds {run.seed} to {last}"


def _training(files: RunDirectory, sessions: Sequence[Session]) -> str:
    """When, on what and with which versions."""
    if not sessions:
        return f"With macpo {macpo.__version__}; no record was kept of when and where."
    seconds, last = total_seconds(files.timing), sessions[-1]
    took = "" if math.isnan(seconds) else f", in {clock(seconds)}"
    return (
        f"Begun on {sessions[0].begun} UTC{took}: macpo {last.macpo}, JAX {last.jax}, Python "
        f"{last.python}; {last.device}, {last.cores} cores of {last.processor or 'a processor'}. "
        "Its checkpoints and replay are not published, so that it cannot be extended."
    )
