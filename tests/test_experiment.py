"""Experiments: built by name, written to JSON and read back, compared, named by a digest."""

import dataclasses
import json
import sys
from typing import Any, get_args

import numpy as np
import pytest

import macpo
from macpo import registry
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run, difference, digest, from_dict, identity, to_dict
from macpo.replay.priority import Replay

PLUGINS = [(kind, name) for kind in get_args(registry.Kind) for name in registry.discover(kind)]
PART = {"envs": "env", "algorithms": "algorithm", "weighting": "weighting"}


def make(kind: registry.Kind, name: str, **options: Any) -> Any:
    return registry.make_config(kind, name, **options)


def data(**changes: Any) -> dict[str, Any]:
    """The default experiment as JSON reads it, with settings changed: part__field=value."""
    plain = json.loads(json.dumps(to_dict(Experiment())))
    for place, value in changes.items():
        part, name = place.split("__")
        plain[part][name] = value
    return plain


# --- construction ---------------------------------------------------------------------------------


def test_parts_may_be_given_by_name() -> None:
    experiment = Experiment(env="two_step", algorithm="vdn", weighting="uniform")
    assert experiment.env == make("envs", "two-step")
    assert experiment.algorithm == make("algorithms", "vdn")
    assert experiment.weighting == make("weighting", "uniform")


def test_the_default_is_macpo_on_predator_prey() -> None:
    assert Experiment().title == "predator-prey qmix macpo"


def test_an_unknown_part_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown weighting 'cw-qmix'; did you mean 'cwqmix'\?"):
        Experiment(weighting="cw-qmix")


def test_an_experiment_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment().run = Run(seeds=2)  # type: ignore[misc]


def test_a_run_that_is_not_given_has_the_schedule_of_the_algorithm() -> None:
    schedule = registry.config_class("algorithms", "coma").schedule
    assert Experiment(algorithm="coma").run == Run(**schedule) != Run()
    assert Experiment(algorithm="coma", run=Run()).run == Run()


# --- what can be trained can be resumed ----------------------------------------------------------


def written_and_read(experiment: Experiment) -> Experiment:
    return from_dict(json.loads(json.dumps(to_dict(experiment))), trust=True)


def test_numbers_of_other_types_become_plain_ones() -> None:
    run = Run(steps=1e4, seeds=np.int64(3), epsilon_finish=np.float32(0.5))  # type: ignore[arg-type]
    experiment = Experiment(env=make("envs", "two-step", reward_scale=2), run=run)
    assert (run.steps, run.seeds) == (10_000, 3)
    assert written_and_read(experiment) == experiment
    assert digest(written_and_read(experiment)) == digest(experiment)


def test_options_become_what_a_file_gives_back() -> None:
    options = {"sizes": (1, np.int64(2)), "weights": np.eye(2)}
    env = make("envs", "tests.support.toys:Counting", options=options)
    experiment = Experiment(env=env)
    assert experiment.env.options == {"sizes": [1, 2], "weights": [[1.0, 0.0], [0.0, 1.0]]}
    assert written_and_read(experiment) == experiment


@dataclasses.dataclass(frozen=True)
class Unchecked:
    """An environment of somebody who checks no field."""

    size: int = 3
    table: tuple[float, ...] = (1.0,)
    anything: Any = None

    def make(self) -> None: ...


def test_a_configuration_that_checks_nothing_is_made_plain_too() -> None:
    env = Unchecked(np.int64(3), [1, 2], {"a": (1,)})  # type: ignore[arg-type]
    assert Experiment(env=env).env == Unchecked(3, (1.0, 2.0), {"a": [1]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (Unchecked(size="large"), "env.size must be a whole number, not 'large'"),  # type: ignore[arg-type]
        (Unchecked(anything=print), "env.anything holds <built-in function print>, which a file"),
        (Unchecked(anything={1: 2}), "env.anything has the key 1; keys must be text"),
        (Unchecked, "env must be a name of `macpo list` or a configuration such as"),
        (42, "env must be a name of `macpo list` or a configuration such as macpo.envs.Predator"),
        (make("algorithms", "qmix"), "the environment cannot be the algorithm qmix"),
    ],
    ids=["type", "object", "key", "class", "number", "algorithm"],
)
def test_what_no_file_can_hold_is_refused(env: Any, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Experiment(env=env)
    assert said in str(refused.value)


def test_a_configuration_defined_inside_a_function_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Local(Unchecked):
        """Nobody else can name it."""

    with pytest.raises(UsageError, match="Local is defined inside a function, where no file can"):
        Experiment(env=Local())


def test_a_configuration_of_a_class_whose_name_has_passed_to_another_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = Unchecked()
    new = dataclasses.make_dataclass("Unchecked", [("size", int, 3)], frozen=True)
    new.make = Unchecked.make  # type: ignore[attr-defined]
    monkeypatch.setattr(sys.modules[__name__], "Unchecked", new)
    with pytest.raises(UsageError, match="Unchecked no longer names; make it anew"):
        Experiment(env=old)


@dataclasses.dataclass(frozen=True)
class Named(Unchecked):
    """Its setting is called as the section's own entry."""

    name: str = "forest"


def test_a_setting_called_name_is_refused() -> None:
    with pytest.raises(UsageError, match="has a setting called 'name', which is its own name in"):
        Experiment(env=Named())


def test_a_product_of_weightings_is_refused() -> None:
    product = make("weighting", "per").times(make("weighting", "owqmix"))
    with pytest.raises(UsageError, match=r"weighting.first is PER\(.*\), whose class a file"):
        Experiment(weighting=product)


def test_a_part_of_another_kind_is_told() -> None:
    with pytest.raises(UsageError, match=r"the algorithm cannot be the weighting cwqmix\."):
        Experiment(algorithm=macpo.weighting.CWQMIX())


@pytest.mark.parametrize("part", ["run", "replay"])
def test_settings_must_be_of_their_class(part: str) -> None:
    with pytest.raises(UsageError, match=rf"{part} must be a R\w+\(…\), not \{{'steps': 5\}}"):
        Experiment(**{part: {"steps": 5}})


# --- as text --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Hunt(registry.config_class("envs", "predator-prey")):
    """Predator-prey under a name of its own."""


@dataclasses.dataclass(frozen=True)
class Uniform(registry.config_class("weighting", "uniform")):
    """Uniform weights under a name of their own."""


PRIORITIZED = Replay(sampling="prioritized")


def name(kind: registry.Kind, plug_in: str) -> str:
    return registry.config_class(kind, plug_in).__name__


def test_an_experiment_is_written_as_it_is_typed_without_what_has_its_default() -> None:
    env, qmix = name("envs", "two-step"), name("algorithms", "qmix")
    macpo = name("weighting", "macpo")
    experiment = Experiment(env="two-step", algorithm="qmix", weighting="macpo")
    assert repr(experiment) == f"Experiment(env={env}(), algorithm={qmix}(), weighting={macpo}())"


def test_settings_that_are_not_the_default_are_written() -> None:
    experiment = Experiment(
        env=Hunt(punishment=-2.0), weighting=Uniform(), replay=PRIORITIZED, run=Run(seeds=4)
    )
    qmix = name("algorithms", "qmix")
    assert repr(experiment) == (
        f"Experiment(env=Hunt(punishment=-2.0), algorithm={qmix}(), weighting=Uniform(), "
        "replay=Replay(sampling='prioritized'), run=Run(seeds=4))"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"algorithm": "coma"},
        {"algorithm": "coma", "run": Run()},
        {"replay": PRIORITIZED},
        {"algorithm": make("algorithms", "qmix", utility_clamp=(-5.0, 2.0)), "run": Run(steps=7)},
    ],
    ids=str,
)
def test_an_experiment_can_be_typed_back_in(changes: dict[str, Any]) -> None:
    experiment = Experiment(**{"env": Hunt(height=12), "weighting": Uniform(), **changes})
    scope = {"Experiment": Experiment, "Run": Run, "Replay": Replay, "Hunt": Hunt}
    scope |= {"Uniform": Uniform, type(experiment.algorithm).__name__: type(experiment.algorithm)}
    assert eval(repr(experiment), scope) == experiment


def test_parts_whose_classes_have_one_name_are_written_with_their_packages() -> None:
    both = Experiment("two-step", macpo.algorithms.CWQMIX(), macpo.weighting.CWQMIX())
    packages = {name: getattr(macpo, name) for name in ("envs", "algorithms", "weighting")}
    assert eval(repr(both), {"Experiment": Experiment, **packages}) == both
    assert "algorithm=algorithms.CWQMIX(), weighting=weighting.CWQMIX()" in repr(both)


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_plug_in_survives_json(kind: registry.Kind, name: str) -> None:
    experiment = Experiment(**{PART[kind]: name})
    assert from_dict(json.loads(json.dumps(to_dict(experiment)))) == experiment


def test_every_part_is_written_with_its_name_and_all_settings() -> None:
    plain = to_dict(Experiment(env="two-step", weighting="owqmix"))
    assert list(plain) == ["env", "algorithm", "weighting", "replay", "run"]
    assert plain["env"] == {"name": "two-step", "reward_scale": 1.0}
    assert plain["weighting"] == {
        "name": "owqmix",
        "alpha": 0.1,
        "normalise": "none",
        "clip": 0.0,
        "nonfinite": "propagate",
        "on_policy": 0.0,
    }


def test_tuples_nested_ones_and_none_survive_json() -> None:
    experiment = Experiment(
        env=make("envs", "matrix-game", payoff=((1.0, 2.0), (3.0, 4.0))),
        algorithm=make("algorithms", "qmix", utility_clamp=(-5.0, 2.0)),
    )
    again = from_dict(json.loads(json.dumps(to_dict(experiment))))
    assert again == experiment
    assert again.env.payoff == ((1.0, 2.0), (3.0, 4.0))
    assert from_dict(data()).algorithm.utility_clamp is None


def test_settings_left_out_take_their_defaults() -> None:
    plain = data()
    del plain["run"]["seeds"], plain["weighting"]["normalise"]
    assert from_dict(plain) == Experiment()


def test_a_whole_number_is_read_as_a_float_where_one_is_meant() -> None:
    punishment = from_dict(data(env__punishment=-2)).env.punishment
    assert punishment == -2
    assert isinstance(punishment, float)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("run__steps", "many", "run.steps must be a whole number, not 'many'"),
        ("run__steps", 1.5, "run.steps must be a whole number, not 1.5"),
        ("run__seeds", True, "run.seeds must be a whole number, not True"),
        ("env__punishment", False, "env.punishment must be a number, not False"),
        ("env__punishment", None, "env.punishment must be a number, not None"),
        ("env__block_occupied_moves", 1, "env.block_occupied_moves must be true or false, not 1"),
        (
            "weighting__normalise",
            "most",
            "weighting.normalise must be one of 'mean'",
        ),
        ("algorithm__utility_clamp", [1.0], r"algorithm.utility_clamp must be .*, not \[1.0\]"),
        ("algorithm__utility_clamp", ["a", "b"], "algorithm.utility_clamp must be "),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_its_place(
    place: str, value: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        from_dict(data(**{place: value}))


@pytest.mark.parametrize("payoff", [[1.0, 2.0], [["a"]], "no matrix", [[True]]])
def test_a_payoff_that_is_no_matrix_of_numbers_is_refused(payoff: Any) -> None:
    plain = data() | {"env": {"name": "matrix-game", "payoff": payoff}}
    with pytest.raises(UsageError, match=r"env\.payoff must be"):
        from_dict(plain)


def test_an_unknown_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown setting run\.step; did you mean 'steps'\?"):
        from_dict(data(run__step=1))


def test_an_unknown_section_is_answered_with_the_nearest() -> None:
    data = to_dict(Experiment())
    data["replays"] = data.pop("replay")
    with pytest.raises(UsageError, match=r"no section 'replays'; did you mean 'replay'\?"):
        from_dict(data)


def test_an_unknown_plug_in_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown environment 'predator'; did you mean"):
        from_dict(data(env__name="predator"))


@pytest.mark.parametrize("part", ["env", "algorithm", "weighting", "replay", "run"])
@pytest.mark.parametrize("content", ["nothing", [], None])
def test_a_missing_section_is_named(part: str, content: Any) -> None:
    with pytest.raises(UsageError, match=f"no section '{part}'"):
        from_dict(data() | {part: content})


def test_values_are_checked_by_the_plug_in_too() -> None:
    with pytest.raises(UsageError, match="punishment must be 0 or negative, not 2"):
        from_dict(data(env__punishment=2.0))


# --- digest and difference ------------------------------------------------------------------------


def test_a_digest_is_twelve_hexadecimal_digits() -> None:
    assert len(digest(Experiment())) == 12
    int(digest(Experiment()), 16)


def test_equal_experiments_have_equal_digests() -> None:
    assert digest(Experiment(env="two-step")) == digest(Experiment(env=make("envs", "two_step")))


def test_what_is_in_a_file_of_episodes_names_an_experiment_and_not_where_it_lies() -> None:
    def with_file(name: str | None, sha256: str | None = None) -> str:
        return digest(Experiment(replay=Replay(from_file=name, from_sha256=sha256)))

    assert with_file(None) == digest(Experiment())
    assert with_file("a.npz") != digest(Experiment())
    assert with_file("a.npz", "1f") == with_file("b.npz", "1f") != with_file("a.npz", "2f")


@pytest.mark.parametrize(
    ("part", "setting", "other"),
    [
        ("run", "precision", {"run": Run(precision="bf16")}),
        ("run", "updates", {"run": Run(steps=0, updates=8), "replay": Replay(from_file="a.npz")}),
        ("replay", "per_beta_finish", {"replay": Replay(per_beta_finish=0.0)}),
        ("env", "splash", {"env": macpo.envs.SMACJax(splash="centre")}),
    ],
)
def test_a_setting_that_is_younger_than_digests_names_an_experiment_unless_it_has_its_default(
    part: str, setting: str, other: dict[str, Any]
) -> None:
    usual = Experiment(env="smac-jax")
    assert setting in to_dict(usual)[part] and setting not in identity(usual)[part]
    assert setting in identity(Experiment(**{"env": "smac-jax", **other}))[part]


def test_options_that_smacv2_s_battles_got_later_leave_their_digest() -> None:
    run = Run(batch_size=128, updates_per_iteration=1)
    assert digest(Experiment(env="smacv2-jax", run=run)) == "007c49292ef7"
    other = make("envs", "smacv2-jax", slop=0.5)
    assert digest(Experiment(env=other, run=run)) != "007c49292ef7"


def test_a_digest_survives_json() -> None:
    whole = Experiment(env=make("envs", "predator-prey", punishment=-2))
    assert digest(from_dict(json.loads(json.dumps(to_dict(whole))))) == digest(whole)


@pytest.mark.parametrize(
    "other",
    [
        {"env": "two-step"},
        {"algorithm": "vdn"},
        {"weighting": "uniform"},
        {"run": Run(seed=1)},
        {"weighting": registry.make_config("weighting", "macpo", normalise="none")},
    ],
    ids=str,
)
def test_every_part_changes_the_digest(other: dict[str, Any]) -> None:
    assert digest(Experiment(**other)) != digest(Experiment())


def test_equal_experiments_differ_in_nothing() -> None:
    assert difference(to_dict(Experiment()), to_dict(Experiment())) == []


def test_a_difference_names_part_setting_and_both_values() -> None:
    longer = Experiment(run=Run(steps=400_000, seed=7))
    assert difference(to_dict(Experiment()), to_dict(longer)) == [
        "run.seed: 0 → 7",
        "run.steps: 300000 → 400000",
    ]


def test_settings_that_only_one_plug_in_has_differ_from_none() -> None:
    a, b = Experiment(weighting="uniform"), Experiment(weighting="owqmix")
    assert difference(to_dict(a), to_dict(b)) == [
        "weighting.alpha: None → 0.1",
        "weighting.name: uniform → owqmix",
    ]


# --- Run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "steps",
        "seeds",
        "batch_size_run",
        "batch_size",
        "buffer_size",
        "target_update_interval",
        "epsilon_anneal_time",
        "test_interval",
        "test_nepisode",
        "checkpoint_interval",
    ],
)
def test_counts_must_be_at_least_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be at least 1, not 0"):
        Run(**{name: 0})


def test_the_first_seed_must_not_be_negative() -> None:
    with pytest.raises(UsageError, match="seed must be at least 0, not -1"):
        Run(seed=-1)


@pytest.mark.parametrize("name", ["epsilon_start", "epsilon_finish"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_epsilon_is_a_probability(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} must be between 0 and 1"):
        Run(**{name: value})


def test_counts_that_end_before_the_run_does_are_refused() -> None:
    with pytest.raises(UsageError, match="the last seed must be at most 2,147,483,647, not 2,147,"):
        Run(seed=2**31 - 1, seeds=2)
    Run(seed=2**31 - 2, seeds=2)
    with pytest.raises(UsageError, match=r"steps \(2,000,000,000\) can lead to 4,000,000,000 upda"):
        Run(steps=2 * 10**9, batch_size_run=1, updates_per_iteration=2)


@pytest.mark.parametrize("name", ["batch_size", "batch_size_run"])
def test_the_buffer_must_hold_a_batch_and_an_iteration(name: str) -> None:
    sizes = {"batch_size": 1, "batch_size_run": 1, "buffer_size": 10} | {name: 11}
    with pytest.raises(UsageError, match=rf"{name} \(11 episodes\) is larger than buffer_size"):
        Run(**sizes)


# --- learning offline -----------------------------------------------------------------------------


def test_an_offline_run_counts_updates_and_plays_no_episodes() -> None:
    online, offline = Run(steps=100, batch_size_run=4), Run(steps=0, updates=60)
    assert (online.end, online.unit, online.episodes(3)) == (100, "env steps", 12)
    assert (offline.end, offline.unit, offline.episodes(3)) == (60, "updates", 0)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0, unless a run learns offline"),
        ({"updates": 8}, r"updates \(8\) are given to a run that learns offline, with steps 0"),
        (
            {"steps": 0, "updates": 5, "updates_per_iteration": 2},
            r"updates \(5\) must be a multiple of updates_per_iteration \(2\)",
        ),
        ({"steps": 0, "updates": 8}, "8 updates without env steps need episodes to learn from"),
    ],
)
def test_an_end_that_cannot_be_reached_is_refused(run: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Experiment(run=Run(**run))


def test_a_checksum_is_that_of_a_file() -> None:
    with pytest.raises(UsageError, match="from_sha256 is the checksum of a file; name it with"):
        Replay(from_sha256="1f")
    with pytest.raises(UsageError, match="from_file must name a file, or be left out"):
        Replay(from_file="")
