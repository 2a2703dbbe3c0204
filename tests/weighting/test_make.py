"""`macpo.weighting.make`: names, options, and what is said about wrong ones."""

import pytest

from macpo import weighting
from macpo.errors import UsageError


def test_hyphens_and_underscores_name_the_same_weighting() -> None:
    assert weighting.make("macpo_approx").name == weighting.make("macpo-approx").name


def test_options_reach_the_scheme() -> None:
    assert weighting.make("macpo", policy_temperature=0.5).policy_temperature == 0.5
    assert weighting.make("macpo-approx", include_unavailable=True).include_unavailable


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"'macpoo'; did you mean 'macpo'\?"):
        weighting.make("macpoo")


def test_an_unknown_option_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no option 'alhpa'; did you mean 'alpha'\?"):
        weighting.make("owqmix", alhpa=0.1)


@pytest.mark.parametrize("name", ["macpo", "macpo-approx", "owqmix", "cwqmix"])
def test_an_unknown_normalisation_is_answered_with_the_choices(name: str) -> None:
    with pytest.raises(UsageError) as error:
        weighting.make(name, normalise="max")
    assert str(error.value) == f"{name}: normalise must be one of 'mean', 'none', not 'max'."


def test_an_unknown_ablation_is_answered_with_the_choices() -> None:
    choices = "'nothing', 'bellman', 'value', 'joint'"
    with pytest.raises(UsageError, match=f"without must be one of {choices}, not 'f'"):
        weighting.make("macpo", without="f")


def test_an_unknown_reading_is_answered_with_the_choices() -> None:
    with pytest.raises(UsageError, match="reading must be one of 'quantised', 'algorithm2'"):
        weighting.make("macpo-approx", reading="literal")


@pytest.mark.parametrize("option", ["value_temperature", "policy_temperature"])
@pytest.mark.parametrize("name", ["macpo", "macpo-approx"])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(name: str, option: str, temperature: float) -> None:
    with pytest.raises(UsageError, match=f"{name}: {option} must be positive"):
        weighting.make(name, **{option: temperature})


@pytest.mark.parametrize("name", ["owqmix", "cwqmix"])
@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1, float("nan")])
def test_the_smaller_weight_must_be_positive_and_at_most_one(name: str, alpha: float) -> None:
    with pytest.raises(UsageError, match=rf"{name}: alpha must be in \(0, 1\]"):
        weighting.make(name, alpha=alpha)
