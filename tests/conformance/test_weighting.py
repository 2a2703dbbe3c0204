"""What `macpo check-weighting` finds: nothing in sound weightings, and the fault in broken ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from macpo import registry
from macpo.cli import main
from macpo.conformance.findings import examine
from macpo.conformance.weighting import PROMISES, check_weighting
from macpo.interop.check import title
from macpo.weighting import PER, Signals, Weighting, WeightingOutput
from tests.support.paths import ROOT
from tests.support.weighting_kinds import KINDS


def wrong(weighting: Weighting) -> list[str]:
    """Titles of the checks that found something."""
    return [result.title for result in check_weighting(weighting) if result.findings]


def finding(check: str, weighting: Weighting) -> str:
    """The first one of the check whose title begins so."""
    (promise,) = (promise for promise in PROMISES if title(promise).startswith(check))
    (result,) = examine([promise], weighting)
    return str(result.findings[0])


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_wrong_with_a_sound_weighting(name: str) -> None:
    assert wrong(registry.make_config("weighting", name)) == []


def test_every_check_says_what_it_checks() -> None:
    titles = {title(promise) for promise in PROMISES}
    assert len(titles) == len(PROMISES) == 13
    assert all(10 < len(each) < 90 for each in titles)


@dataclass(frozen=True)
class Faulty(PER):
    """PER, whose output or input is changed."""

    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return output

    def apply(self, state: Any, signals: Signals) -> WeightingOutput:
        return self.change(super().apply(state, signals), signals)


def weights(output: WeightingOutput, of: Any) -> WeightingOutput:
    return output._replace(weights=of)


class OneForEachEpisode(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, output.weights.mean(1))


class Negative(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, -output.weights)


class Doubled(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, 2 * output.weights)


class Shifted(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, output.weights + 1)


class Forgetful(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return output._replace(state={})


class SumsPadding(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        total = 1 + abs(signals.q).sum()
        return weights(output, output.weights * total / total)


class CountsSteps(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, output.weights * signals.mask.shape[1])


class HidesFaults(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        bad = ~np.isfinite(np.asarray(output.weights)) | ~np.isfinite(np.asarray(signals.q))
        return weights(output, np.where(bad, 0.0, output.weights))


class Wavering(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        noise = np.random.default_rng().random(signals.mask.shape)
        return weights(output, output.weights * (1 + noise))


class Overwriting(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        if isinstance(signals.q_star, np.ndarray):
            signals.q_star[:] = 0
        return output


class NotConstant(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, output.weights * (1 + 1e-7 * signals.q))


class OnlyNumPy(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return weights(output, np.asarray(output.weights))


class Verbose(Faulty):
    def change(self, output: WeightingOutput, signals: Signals) -> WeightingOutput:
        return output._replace(metrics={"errors": signals.q - signals.target})


@dataclass(frozen=True)
class Greedy(PER):
    """Asks for a signal that nobody has."""

    @property
    def needs(self) -> tuple[str, ...]:
        return (*super().needs, "moon_phase")


@pytest.mark.parametrize(
    ("faulty", "check", "told"),
    [
        (OneForEachEpisode, "There is one weight for each step", "shape (6, 7), found (6,)"),
        (Negative, "Weights are finite and not negative", "a weight from 0 on, found -"),
        (Doubled, "Weights have mean one, sum one", "a mean of 1 over valid steps, found 2"),
        (Shifted, "Normalisation changes nothing but", "not in proportion to the raw ones"),
        (Shifted, "Padding weighs zero", "weights of 0, found 1"),
        (SumsPadding, "Padding weighs zero", "padding of nan: changes the weights"),
        (CountsSteps, "Steps of padding at the end", "change the weights of valid steps"),
        (HidesFaults, "An error that is no number", "so that nobody notices"),
        (Wavering, "Weighing twice is weighing once", "other weights for the same signals"),
        (Overwriting, "Weighing twice is weighing once", "the signal that is passed in is changed"),
        (NotConstant, "JAX arrays get the weights", "gradient by q is not 0"),
        (OnlyNumPy, "JAX arrays get the weights", "raised: TracerArrayConversionError"),
        (Verbose, "Its metrics are numbers", "a number, found shape (6, 7)"),
        (Greedy, "QMIX learns with it", "moon_phase"),
    ],
)
def test_a_fault_is_found_by_its_check(faulty: Any, check: str, told: str) -> None:
    assert told in finding(check, faulty())


def test_a_state_that_loses_its_names_is_found() -> None:
    assert finding("The state keeps its names", Forgetful(normalise="ema")) == (
        "state: expected the names ['scale'], found []"
    )


def test_a_weighting_that_no_file_can_name_is_found() -> None:
    class Local(PER):
        pass

    assert "is defined inside a function" in finding("An experiment's file gives it back", Local())


# --- the command ----------------------------------------------------------------------------------


def status(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_command_checks_a_weighting_of_ones_own_with_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    options = ("--weighting.normalise", "max")
    assert status("check-weighting", "custom_weighting:Root", *options) == 0
    out = capsys.readouterr().out
    assert out.count("ok   ") == 13 and "nothing wrong" in out


def test_the_command_says_what_is_wrong_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("check-weighting", f"{__name__}:Doubled") == 1
    out = capsys.readouterr().out
    assert "WRONG Weights have mean one" in out and "1 wrong" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "needs a weighting first, but got nothing"),
        (("--help-me",), "needs a weighting first, but got --help-me"),
        (("pre",), "unknown weighting 'pre'; did you mean"),
        (("per", "--weighting.beta", "x"), "--weighting.beta"),
    ],
)
def test_what_is_no_weighting_is_refused_with_status_2(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("check-weighting", *words) == 2
    assert told in capsys.readouterr().err
