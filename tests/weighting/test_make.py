"""`macpo.weighting.make`: names, options, and what is said about wrong ones."""

import math

import pytest

from macpo import weighting
from macpo.errors import UsageError


def test_hyphens_and_underscores_name_the_same_weighting() -> None:
    assert weighting.make("macpo_approx").name == weighting.make("macpo-approx").name


def test_all_names_are_known_and_make_weightings_of_that_name() -> None:
    assert {"macpo", "uniform", "per-rank", "discor-net"} < set(weighting.available())
    assert [weighting.make(name).name for name in weighting.available()] == [*weighting.available()]


def test_options_reach_the_weighting() -> None:
    assert weighting.make("macpo", policy_temperature=0.5).policy_temperature == 0.5
    assert weighting.make("macpo-approx", include_unavailable=True).include_unavailable


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"'macpoo'; did you mean 'macpo'\?"):
        weighting.make("macpoo")


def test_an_unknown_option_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no option 'alhpa'; did you mean 'alpha'\?"):
        weighting.make("owqmix", alhpa=0.1)


def test_an_unknown_normalisation_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError) as error:
        weighting.make("macpo", normalise="median")
    choices = "'mean', 'none', 'sum', 'max', 'ema'"
    assert str(error.value) == f"macpo: normalise must be one of {choices}, not 'median'."


def test_an_unknown_ablation_is_answered_with_the_choices() -> None:
    choices = "'nothing', 'bellman', 'value', 'joint'"
    with pytest.raises(UsageError, match=f"without must be one of {choices}, not 'f'"):
        weighting.make("macpo", without="f")


def test_an_unknown_reading_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError, match="reading must be one of 'quantised', 'algorithm2'"):
        weighting.make("macpo-approx", reading="literal")


def test_an_unknown_likelihood_is_answered_with_the_choices() -> None:
    choices = "'paper', 'additive', 'joint', 'none'"
    with pytest.raises(UsageError, match=f"likelihood must be one of {choices}, not 'sum'"):
        weighting.make("macpo", likelihood="sum")


TEMPERATURES = {
    "macpo": ["value_temperature", "policy_temperature"],
    "macpo-approx": ["value_temperature", "policy_temperature"],
    "macpo-regret": ["policy_temperature"],
    "remern": ["value_temperature", "policy_temperature"],
    "discor": ["value_temperature"],
    "discor-net": ["initial_temperature"],
    "remern-net": ["ratio_temperature", "initial_temperature"],
}


@pytest.mark.parametrize("name", TEMPERATURES)
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_a_positive_number(name: str, temperature: float) -> None:
    for option in TEMPERATURES[name]:
        with pytest.raises(UsageError) as error:
            weighting.make(name, **{option: temperature})
        finite = "" if math.isfinite(temperature) else " and finite"
        problem = f"{name}: {option} must be above 0{finite}, not {temperature}."
        assert str(error.value) == problem


@pytest.mark.parametrize("name", ["owqmix", "cwqmix", "macpo-regret"])
@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1, float("nan")])
def test_the_smaller_weight_must_be_positive_and_at_most_one(name: str, alpha: float) -> None:
    with pytest.raises(
        UsageError, match=f"{name}: alpha must be above 0 and at most 1.*, not {alpha}"
    ):
        weighting.make(name, alpha=alpha)
