"""What this installation can do, with advice."""

import importlib.util
import io

import jax
import pytest
from rich.console import Console

import macpo
from macpo import doctor

EXTRAS = ("tensorboardX", "wandb", "trackio", "av", "torch", "pettingzoo", "jaxmarl")


def found() -> dict[str, tuple[str, str]]:
    """Item → what was found, and advice."""
    return {what: (found, advice) for what, found, advice in doctor._findings()}


def test_the_report_names_everything_found():
    console = Console(file=io.StringIO(), width=300, record=True)
    doctor.print_report(console)
    text = console.export_text()
    for word in ("macpo", "jax", "devices", "StarCraft II", *EXTRAS):
        assert f"\n{word} " in f"\n{text}"


def test_commands_and_addresses_stay_whole_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
):
    url = "https://example.org/" + "path/" * 40
    rows = [("av", "absent", f"get {url} and pip install 'macpo[video]'"), ("a", "found", "")]
    monkeypatch.setattr(doctor, "_findings", lambda: iter(rows))
    console = Console(file=io.StringIO(), width=20, record=True)
    doctor.print_report(console)
    assert console.export_text().splitlines() == [
        "av  absent",
        f"    → get {url} and pip install 'macpo[video]'",
        "a   found",
    ]


def test_the_64_bit_mode_of_jax_is_a_finding():
    with jax.enable_x64(True):
        answer, advice = found()["JAX"]
    assert answer == "cannot be used" and "unset JAX_ENABLE_X64" in advice


@pytest.mark.parametrize(("has_units", "told"), [(True, "yes: --precision bf16"), (False, "no")])
def test_units_for_bfloat16_are_a_finding(
    has_units: bool, told: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "has_bf16_units", lambda: has_units)
    assert found()["units for bfloat16"] == (told, "")


def test_versions_are_those_installed():
    findings = found()
    assert findings["macpo"] == (macpo.__version__, "")
    assert findings["jax"][0] == jax.__version__


def test_extras_that_are_absent_come_with_how_to_get_them(monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in EXTRAS else find(name)
    )
    findings = found()
    assert {findings[name][0] for name in EXTRAS} == {"absent"}
    for name in EXTRAS:
        assert "pip install 'macpo[" in findings[name][1]


@pytest.mark.parametrize(
    ("keeps", "words"), [(True, ("yes", "")), (False, ("no", "not glibc on Linux"))]
)
def test_what_slows_updates_down_is_named(
    keeps: bool, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "keep_freed_memory", lambda: keeps)
    answer, advice = found()["keeps freed memory"]
    assert (answer, advice.startswith(words[1]), bool(advice)) == (words[0], True, not keeps)


@pytest.mark.parametrize(("free", "words"), [(None, "unknown"), (2_500_000_000, "2.5 GB")])
def test_free_memory_is_given_where_it_is_known(
    free: int | None, words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doctor, "available_bytes", lambda: free)
    assert found()["free memory"] == (words, "")
