"""Presets set what their names promise."""

import dataclasses

import pytest

from macpo import presets
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.value_based import ValueBased
from macpo.weighting import MacPORegret
from macpo.weighting.macpo import Config as Macpo


def test_macpo_official_is_the_released_code():
    experiment = presets.apply("macpo-official", Experiment(weighting="uniform"))
    assert experiment.algorithm.utility_clamp == (-5.0, 2.0)
    assert experiment.weighting == Macpo(normalise="none", include_unavailable=True)
    assert experiment.algorithm.central_loss == 0.5 and experiment.algorithm.td_lambda == 0.6


def test_macpo_undoes_macpo_official():
    official = presets.apply("macpo_official", Experiment())
    assert presets.apply("macpo", official) == Experiment()


def test_macpo_regret_is_macpo_with_the_weights_that_its_objective_asks_for():
    official = presets.apply("macpo-official", Experiment())
    expected = dataclasses.replace(Experiment(), weighting=MacPORegret())
    assert presets.apply("macpo-regret", official) == expected


def test_macpo_regret_keeps_the_value_based_algorithm_that_is_named():
    vdn = presets.apply("macpo-regret", Experiment(algorithm="vdn", weighting="uniform"))
    assert vdn == Experiment(algorithm="vdn", weighting="macpo-regret")


def test_pymarl2_makes_one_update_of_128_where_the_default_makes_four_of_a_quarter():
    usual = Experiment()
    schedule = dataclasses.replace(usual.run, batch_size=128, updates_per_iteration=1)
    assert presets.apply("pymarl2", usual) == dataclasses.replace(usual, run=schedule)
    assert (usual.run.batch_size, usual.run.updates_per_iteration) == (32, 4)


def test_pymarl_makes_an_update_of_32_episodes_after_each_one():
    experiment = presets.apply("pymarl", Experiment())
    run, algorithm = experiment.run, experiment.algorithm
    assert (run.batch_size_run, run.batch_size, run.updates_per_iteration) == (1, 32, 1)
    assert (algorithm.optimiser, algorithm.lr, algorithm.optim_eps) == ("rmsprop", 5e-4, 1e-5)
    assert algorithm.td_lambda == 0 and run.epsilon_anneal_time == 50_000


def test_paper_is_table_2_and_appendix_e():
    experiment = presets.apply("paper", presets.apply("pymarl", Experiment()))
    run, algorithm = experiment.run, experiment.algorithm
    assert (run.batch_size, run.buffer_size, run.target_update_interval) == (128, 10_000, 200)
    assert (algorithm.lr, algorithm.td_lambda) == (0.001, 0.6)
    assert (run.epsilon_start, run.epsilon_finish) == (0.995, 0.05)
    assert (run.epsilon_anneal_time, run.test_nepisode) == (100_000, 32)


@pytest.mark.parametrize("name", ["cwqmix", "iql", "owqmix", "qplex", "qtran", "vdn"])
def test_pymarl2_has_the_constants_that_every_value_based_algorithm_starts_with(name):
    named = Experiment(algorithm=name)
    tuned = presets.apply("pymarl2", presets.apply("pymarl", named))
    assert tuned == presets.apply("pymarl2", named)
    assert tuned.algorithm == named.algorithm


def test_iql_of_pymarl2_is_untuned():
    experiment = presets.apply("iql-pymarl2", Experiment(algorithm="iql"))
    algorithm, run = experiment.algorithm, experiment.run
    assert (algorithm.optimiser, algorithm.lr, algorithm.td_lambda) == ("adam", 5e-4, 0.0)
    assert (run.batch_size_run, run.batch_size) == (8, 32)


@pytest.mark.parametrize("name", ["cwqmix", "owqmix"])
def test_released_weighted_qmix_is_pymarls_with_a_full_central_loss(name):
    experiment = presets.apply("wqmix-official", Experiment(algorithm=name))
    original = presets.apply("pymarl", Experiment(algorithm=name))
    expected = dataclasses.replace(original.algorithm, central_loss=1.0)
    assert experiment.algorithm == expected and experiment.run == original.run


def test_released_qplex_has_single_layers_and_two_updates_after_each_episode():
    experiment = presets.apply("qplex-official", Experiment(algorithm="qplex"))
    algorithm, run = experiment.algorithm, experiment.run
    assert (algorithm.n_layers, algorithm.n_heads, algorithm.td_lambda) == (1, 4, 0.0)
    assert (run.batch_size_run, run.batch_size, run.updates_per_iteration) == (1, 32, 2)


def test_coma_pymarl_explores_inside_its_policies_without_a_reward_of_entropy():
    coma = presets.apply("coma-pymarl", Experiment(algorithm="coma")).algorithm
    assert (coma.optimiser, coma.optim_eps, coma.td_lambda) == ("rmsprop", 1e-5, 0.8)
    assert (coma.entropy_coef, coma.epsilon_in_policy) == (0.0, True)
    assert coma.sweep_width == 1


def test_vdac_official_is_half_as_fast_and_keeps_exploring():
    experiment = presets.apply("vdac-official", Experiment(algorithm="vdac"))
    vdac = experiment.algorithm
    assert (vdac.lr, vdac.entropy_coef, vdac.epsilon_in_policy) == (5e-4, 0.0, True)
    assert (experiment.run.epsilon_finish, experiment.run.buffer_size) == (0.01, 8)


def test_dop_official_learns_from_16_new_and_32_old_episodes_of_4_environments():
    experiment = presets.apply("dop-official", Experiment(algorithm="dop"))
    dop, run = experiment.algorithm, experiment.run
    assert (dop.on_policy_batch_size, run.batch_size, run.batch_size_run) == (16, 32, 4)
    assert (dop.critic_lr, dop.grad_norm_clip) == (1e-4, 20.0)


def test_dop_updates_its_critic_from_the_first_step_of_the_episodes_to_the_last_as_released():
    default = Experiment(algorithm="dop")
    official = presets.apply("dop-official", default)
    assert default.algorithm.sweep_direction == official.algorithm.sweep_direction == "forward"


def test_fop_official_adds_the_entropy_outside_the_return():
    assert Experiment(algorithm="fop").algorithm.entropy_in_return
    fop = presets.apply("fop-official", Experiment(algorithm="fop")).algorithm
    assert not fop.entropy_in_return


OF_ONE = {
    *("coma-pymarl", "dop-official", "fop-official"),
    *("iql-pymarl2", "qplex-official", "vdac-official", "wqmix-official"),
}


@pytest.mark.parametrize("name", sorted(OF_ONE))
def test_presets_of_one_algorithm_refuse_others_by_name(name):
    with pytest.raises(UsageError, match="not 'vdn'; choose --algorithm"):
        presets.apply(name, Experiment(algorithm="vdn"))


def test_methods_and_schedules_combine_in_either_order():
    one = presets.apply("pymarl", presets.apply("macpo-official", Experiment()))
    other = presets.apply("macpo-official", presets.apply("pymarl", Experiment()))
    assert one == other


def test_presets_keep_what_they_do_not_name():
    run = Run(steps=7, seeds=3, test_interval=11)
    kept = presets.apply("pymarl", Experiment(run=run)).run
    assert (kept.steps, kept.seeds, kept.test_interval) == (7, 3, 11)


def test_every_preset_is_found_and_described():
    assert (
        set(presets.known())
        == {"macpo", "macpo-official", "macpo-regret", "paper", "pymarl", "pymarl2"} | OF_ONE
    )
    assert all(function.__doc__ for function in presets.known().values())


def test_an_unknown_preset_is_told_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'macpo-official'"):
        presets.apply("macpo-oficial", Experiment())


def test_presets_of_value_based_learners_refuse_others():
    experiment = Experiment(algorithm="coma")
    assert not isinstance(experiment.algorithm, ValueBased)
    for name in ("macpo", "macpo-regret", "pymarl"):
        preset = name.replace("-", "_")
        with pytest.raises(UsageError, match=f"preset '{preset}' sets up value-based algorithms"):
            presets.apply(name, experiment)
