"""Reads runs that PyMARL, EPyMARL and their relatives recorded with sacred.

A run is a directory: config.json with its settings, and its metrics in metrics.json
({METRIC: {"steps": […], "values": […]}}) or, of older versions, in info.json (METRIC and METRIC_T,
a list of values and one of env steps).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from macpo.errors import UsageError, require, shown
from macpo.field_types import Json, JsonObject, Settings
from macpo.report.formats.imported import as_number, as_steps, imported_seed
from macpo.report.records import Row
from macpo.report.seeds import TrainedSeed
from macpo.runs.files import is_file, read_json

SOURCE = "sacred"
CONFIG, METRICS, INFO = "config.json", "metrics.json", "info.json"
_NOT_OF_THE_METHOD = {
    *("name", "env", "seed", "t_max", "label", "unique_token", "evaluate", "render"),
    *("checkpoint_path", "load_step", "local_results_path", "save_replay"),
    *("save_model", "save_model_interval", "test_interval", "test_nepisode"),
    *("use_cuda", "use_tensorboard", "use_wandb"),
    *("log_interval", "runner_log_interval", "learner_log_interval"),
}
"""Settings that say what was trained on, how long, and what was printed and saved."""


class _Env(NamedTuple):
    name: str
    settings: Mapping[str, str]
    """Our name of each of theirs."""


_OURS = {
    "sc2": _Env("smac", {"map_name": "map", "difficulty": "difficulty"}),
    "stag_hunt": _Env(
        "predator-prey",
        {
            "miscapture_punishment": "punishment",
            "reward_stag": "capture_reward",
            "n_agents": "n_predators",
            "n_stags": "n_prey",
            "episode_limit": "episode_limit",
        },
    ),
}
"""Environments that macpo has too, by their names."""


def recognises(place: Path) -> bool:
    """Whether it is a directory that sacred wrote."""
    return is_file(place / CONFIG) and any(is_file(place / name) for name in (METRICS, INFO))


def read(place: Path) -> Iterator[TrainedSeed]:
    """The seed of a run; UsageError if it cannot be read or has not been evaluated."""
    config = read_json(place / CONFIG, "the settings of a run")
    if not isinstance(config, dict):
        raise UsageError(f"{place / CONFIG} holds no settings: expected a JSON object.")
    seed = config.get("seed", 0)
    if type(seed) is not int or abs(seed) >= 2**63:
        raise UsageError(f"{place / CONFIG}: seed must be a whole number, not {shown(seed)}.")
    yield imported_seed(place, SOURCE, seed, _env(config), _method(config), _rows(place))


def _env(config: Settings) -> Settings:
    name, given = str(config.get("env", "?")), config.get("env_args")
    args: JsonObject = given if isinstance(given, dict) else {}
    if name in _OURS:
        ours = _OURS[name]
        known = {ours.settings[key]: args[key] for key in args if key in ours.settings}
        shape = args.get("world_shape")
        if isinstance(shape, list) and len(shape) == 2:
            known["height"], known["width"] = shape
        conditions = args.get("capture_action_conditions")
        if isinstance(conditions, list) and conditions:
            known["n_catchers"] = conditions[0]  # of a stag; the others are of hares
        return {"name": ours.name, **known}
    key = args.get("key", name)  # of a Gymnasium environment
    others = {k: v for k, v in args.items() if k not in ("key", "seed", "name")}
    return {"name": str(key), **others}


def _method(config: Settings) -> Settings:
    """Everything that is one value and may matter for what is learned."""
    plain = {k: v for k, v in config.items() if isinstance(v, str | int | float) or v is None}
    kept = {k: v for k, v in plain.items() if k not in _NOT_OF_THE_METHOD}
    return {"name": str(config.get("name", "?")), **kept}


def _rows(place: Path) -> list[Row]:
    """The evaluations, from whichever file can be read: a run that is killed can damage one."""
    problems: list[str] = []
    for name, series in {METRICS: _metrics_series, INFO: _info_series}.items():
        file = place / name
        if not is_file(file):
            continue
        try:
            data = read_json(file, "the metrics of a run")
            require(isinstance(data, dict), f"{file} holds no metrics: expected a JSON object.")
            rows = [
                {"env_steps": as_steps(_number(t, where), where), metric: _number(value, where)}
                for metric, (steps, values) in series(data).items()
                for where in [f"{file}: {metric}"]
                for t, value in zip(steps, values, strict=False)  # one may be a step ahead
            ]
        except UsageError as error:
            problems.append(str(error))
            continue
        if rows:
            return rows
    raise UsageError(" ".join(problems) or f"{place} has not been evaluated yet.")


_Series = dict[str, tuple[Sequence[Json], Sequence[Json]]]


def _metrics_series(data: Settings) -> _Series:
    found = {k: v for k, v in data.items() if _is_evaluation(k) and isinstance(v, dict)}
    return _lists({k: (v.get("steps"), v.get("values")) for k, v in found.items()})


def _info_series(data: Settings) -> _Series:
    return _lists({k: (data.get(f"{k}_T"), v) for k, v in data.items() if _is_evaluation(k)})


def _is_evaluation(metric: str) -> bool:
    return metric.startswith("test_") and metric.endswith("_mean")


def _lists(series: Mapping[str, tuple[Json, Json]]) -> _Series:
    return {
        k: (t, v) for k, (t, v) in series.items() if isinstance(t, list) and isinstance(v, list)
    }


def _number(value: Json, where: str) -> float:
    """A number, as JSON has it or as sacred writes one of NumPy's: {"value": 0.5, …}."""
    return as_number(value.get("value") if isinstance(value, dict) else value, where)
