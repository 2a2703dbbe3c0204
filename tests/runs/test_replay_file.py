"""Episodes as a file: what NumPy finds in it, what comes back, and what is refused."""

import doctest
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from macpo import Episode, UsageError, read_replay, write_replay
from macpo.runs import replay_file
from macpo.runs.episodes import CHUNK
from macpo.runs.replay_file import read_about
from macpo.types import Spec
from tests.support.torture.damage import VALUES

SPEC = Spec("my-game", n_agents=2, n_actions=3, obs_size=4, state_size=5, episode_limit=6)


def episode(length: int = 2, number: int = 0, **changed: Any) -> Episode:
    """Of which every number tells where it belongs."""
    t = np.arange(length + 1)
    given = Episode(
        obs=np.float32(100 * number + t[:, None, None] + np.arange(8).reshape(2, 4) / 10),
        state=np.float32(100 * number + t[:, None] + np.arange(5) / 10),
        avail_actions=np.ones((length + 1, 2, 3), bool),
        actions=np.stack([t[:-1] % 3, (t[:-1] + 1) % 3], 1).astype(np.int8),
        reward=np.float32(number + t[:-1] / 4),
        terminated=number % 2 == 0,
    )
    return given._replace(**changed)


def written(file: Path, *episodes: Episode) -> Path:
    write_replay(file, episodes or [episode()], SPEC)
    return file


def assert_same(a: Episode, b: Episode) -> None:
    for x, y in zip(a[:-1], b[:-1], strict=True):
        np.testing.assert_array_equal(x, y, strict=isinstance(x, np.ndarray))
    assert [*a.encoded] == [*b.encoded]
    for x, y in zip(a.encoded.values(), b.encoded.values(), strict=True):
        np.testing.assert_array_equal(x, y, strict=True)


# --- there and back -------------------------------------------------------------------------------


def test_the_episodes_of_several_chunks_come_back_one_by_one(tmp_path: Path):
    given = [episode(1 + i % 6, i) for i in range(CHUNK + 3)]
    found = read_replay(written(tmp_path / "all.npz", *given))
    for a, b in zip(given, found, strict=True):
        assert_same(a, b)


def test_encoded_states_come_back_under_their_names(tmp_path: Path):
    encoded = {"encoded.0": np.arange(3, dtype=np.int8), "encoded.1": np.ones((3, 2), bool)}
    file = written(tmp_path / "own.npz", episode(encoded=encoded))
    assert_same(episode(encoded=encoded), next(read_replay(file)))


def test_equal_episodes_are_equal_bytes_and_what_was_read_can_be_written(tmp_path: Path):
    first = written(tmp_path / "first.npz", episode(2), episode(3, 1))
    second = written(tmp_path / "second.npz", *read_replay(first))
    assert second.read_bytes() == first.read_bytes()


def test_numbers_of_64_bits_become_those_of_32_and_lists_arrays(tmp_path: Path):
    given = episode()
    wide = Episode(
        *(np.asarray(x, np.float64).tolist() for x in given[:3]),
        np.asarray(given.actions, np.int64),
        [0.0, 0.25],  # pyright: ignore[reportArgumentType]
        1,  # pyright: ignore[reportArgumentType]
    )
    assert_same(next(read_replay(written(tmp_path / "wide.npz", wide))), given)


def test_numpy_alone_reads_it(tmp_path: Path):
    file = written(tmp_path / "two.npz", episode(2), episode(3, 1))
    with np.load(file, allow_pickle=False) as arrays:
        about = json.loads(arrays["about.json"])
        assert (about["episodes"], about["steps"], about["chunks"]) == (2, 5, 1)
        assert about["environment"]["name"] == "my-game"
        assert about["fields"]["obs"] == {"rows": "states", "dtype": "float32", "shape": [2, 4]}
        assert {f"00000/{name}" for name in about["fields"]} | {"about.json"} == {*arrays.files}
        np.testing.assert_array_equal(arrays["00000/length"], [2, 3])
        np.testing.assert_array_equal(arrays["00000/reward"], [0, 0.25, 1, 1.25, 1.5])
        assert arrays["00000/obs"].shape == (5 + 2, 2, 4)  # with the final states
        assert arrays["00000/terminated"].tolist() == [True, False]


def test_the_example_in_the_docstring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(replay_file, optionflags=doctest.ELLIPSIS).failed == 0


# --- what is written over -------------------------------------------------------------------------


def test_an_earlier_file_of_episodes_is_replaced(tmp_path: Path):
    file = written(tmp_path / "some.npz", episode(2))
    assert len([*read_replay(written(file, episode(3), episode(3)))]) == 2


def test_a_file_of_something_else_stays(tmp_path: Path):
    file = tmp_path / "mine.npz"
    np.savez(file, mine=np.arange(3))
    before = file.read_bytes()
    with pytest.raises(UsageError, match="is there already and holds no episodes"):
        written(file)
    assert file.read_bytes() == before


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path):
    file = written(tmp_path / "some.npz")
    before = file.read_bytes()

    def broken() -> Iterator[Episode]:
        yield episode()
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_replay(file, broken(), SPEC)
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


def test_a_name_must_end_as_numpy_calls_such_files(tmp_path: Path):
    with pytest.raises(UsageError, match=r"episodes\.zip must end in \.npz"):
        written(tmp_path / "episodes.zip")


def test_no_episodes_are_no_file(tmp_path: Path):
    with pytest.raises(UsageError, match="there are no episodes to write"):
        write_replay(tmp_path / "none.npz", [], SPEC)
    assert not [*tmp_path.iterdir()]


# --- episodes that are refused --------------------------------------------------------------------

NONE_AVAILABLE = np.zeros((3, 2, 3), bool)
WITHOUT_TWO = np.ones((3, 2, 3), bool) & (np.arange(3) < 2)
WRONG: dict[str, tuple[Any, str]] = {
    "no episode": ({"obs": 3}, r"episode 1: it must be a macpo.Episode\(…\), not \{'obs': 3\}"),
    "a state too few": (
        episode(obs=np.zeros((2, 2, 4))),
        r"episode 1: obs has shape \[2, 2, 4\]; with 2 rewards it must be \[3, 2, 4\]",
    ),
    "no step": (
        episode(0),
        "episode 1: it has no env step",
    ),
    "too long": (episode(7), "episode 1: its length is not between 1 and 6 env steps"),
    "an action of nobody": (
        episode(actions=np.array([[0, 3], [0, 0]])),
        "episode 1: an action is not between 0 and 2",
    ),
    "an action that 8 bits would make one": (
        episode(actions=np.array([[0, 257], [0, 0]])),
        "episode 1: an action is not between 0 and 2",
    ),
    "fractions of actions": (
        episode(actions=np.zeros((2, 2))),
        "episode 1: actions holds float64, which are no numbers",
    ),
    "an unavailable action": (
        episode(avail_actions=WITHOUT_TWO, actions=np.array([[0, 1], [2, 0]])),
        "episode 1: an action was taken that avail_actions says is not there",
    ),
    "no action available": (
        episode(avail_actions=NONE_AVAILABLE),
        "episode 1: in one of its states an agent has no available action",
    ),
    "a mask to be added to logits": (
        episode(avail_actions=np.where(WITHOUT_TWO, 0, -np.inf)),
        "episode 1: avail_actions holds numbers other than 0 and 1",
    ),
    "an infinite reward": (
        episode(reward=np.array([0, np.inf])),
        "episode 1: its reward holds what is no finite number",
    ),
    "words": (
        episode(state=np.full((3, 5), "x")),
        "episode 1: state holds <U1, which are no numbers",
    ),
    "another encoding than the first's": (
        episode(encoded={"encoded": np.zeros(3, np.int8)}),
        "must encode their states in the same way",
    ),
    "a name that is taken": (
        episode(encoded={"obs": np.zeros(3, np.int8)}),
        "what is encoded needs names that begin with encoded and 3 rows",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_episode_that_is_none_is_refused_by_its_number(tmp_path: Path, what: str):
    wrong, message = WRONG[what]
    with pytest.raises(UsageError, match=message):
        written(tmp_path / "wrong.npz", episode(), wrong)
    assert not [*tmp_path.iterdir()]


# --- files that are refused -----------------------------------------------------------------------


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(file: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The file with other members, whose checksums are right."""
    found = members(file)
    change(found)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return file


def npy(x: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, x, allow_pickle=True)
    return buffer.getvalue()


def about_with(**new: Any) -> Callable[[dict[str, bytes]], object]:
    def change(found: dict[str, bytes]) -> None:
        found["about.json"] = json.dumps(json.loads(found["about.json"]) | new).encode()

    return change


def field_with(name: str, **new: Any) -> Callable[[dict[str, bytes]], object]:
    def change(found: dict[str, bytes]) -> None:
        about = json.loads(found["about.json"])
        about["fields"][name] = about["fields"][name] | new
        found["about.json"] = json.dumps(about).encode()

    return change


def array_is(name: str, x: Any) -> Callable[[dict[str, bytes]], object]:
    return lambda found: found.update({f"00000/{name}.npy": npy(x)})


class Trap:
    """Whoever unpickles it is caught."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was unpickled",))


DAMAGE: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "a field too few": (lambda found: found.pop("00000/reward.npy"), "has not the arrays that"),
    "a field too many": (lambda found: found.update(more=b""), "has not the arrays that"),
    "a pickle": (array_is("reward", np.array([Trap(), Trap()])), r"00000/reward.npy (has|is)"),
    "another type": (array_is("reward", np.zeros(2)), "00000/reward.npy is"),
    "another shape": (array_is("actions", np.zeros((2, 3), np.int8)), "00000/actions.npy is"),
    "columns first": (
        array_is("actions", np.asfortranarray(np.zeros((2, 2), np.int8))),
        "in C order",
    ),
    "no array": (lambda found: found.update({"00000/reward.npy": b"x" * 136}), "is damaged"),
    "a longer length": (array_is("length", np.array([3], np.int32)), "is damaged"),
    "a huge length": (
        array_is("length", np.array([2**31 - 1], np.int32)),
        "the length of an episode is not between 1 and 6 env steps",
    ),
    "no length": (
        array_is("length", np.array([0], np.int32)),
        "the length of an episode is not between 1 and 6 env steps",
    ),
    "an action of nobody": (
        array_is("actions", np.full((2, 2), -1, np.int8)),
        "episode 0: an action is not between 0 and 2",
    ),
    "an unavailable action": (
        array_is("avail_actions", np.ones((3, 2, 3), bool) & (np.arange(3) > 0)),
        "episode 0: an action was taken that avail_actions says is not there",
    ),
    "bytes that are no truth": (
        lambda found: found.update(
            {"00000/avail_actions.npy": found["00000/avail_actions.npy"][:-1] + b"\x07"}
        ),
        "holds other bytes than 0 and 1",
    ),
    "no finite number": (
        array_is("state", np.full((3, 5), np.nan, np.float32)),
        "episode 0: its state holds what is no finite number",
    ),
    "more steps than told": (about_with(steps=3), "it has 2 env steps, and says 3"),
    "billions of episodes": (about_with(episodes=2**31 - 1), "has not the arrays that"),
    "billions of chunks": (
        about_with(episodes=2**31 - 1, chunk_episodes=1),
        "has not the arrays that",
    ),
    "chunks of more episodes than the format has": (
        about_with(chunk_episodes=CHUNK + 1),
        "chunk_episodes must be between 1 and 100, not 101",
    ),
    "no episodes": (about_with(episodes=0), "episodes must be at least 1"),
    "fields of no kind": (about_with(fields={"reward": 3}), "reward must be an object"),
    "fields of another kind": (about_with(fields={}), "it says that its arrays are"),
    "a field of objects": (field_with("obs", dtype="object"), "dtype 'object' is not supported"),
    "rows of another kind": (field_with("obs", rows="steps"), "it says that its arrays are"),
    "an observation of other sizes": (field_with("obs", shape=[2, 5]), "expected float32"),
    "a row of many axes": (field_with("obs", shape=[1] * 10**5), "a row has 100,000 axes"),
    "no environment": (about_with(environment=None), "environment must be an object"),
    "a later version": (about_with(version=2), "of version 2 of its format, and this macpo reads"),
    "another format": (about_with(format="mine"), "holds arrays, but no about.json"),
    "no about": (lambda found: found.pop("about.json"), "holds arrays, but no about.json"),
    "about is no JSON": (lambda found: found.update({"about.json": b"{"}), "is damaged"),
    "about is a list": (lambda found: found.update({"about.json": b"[]"}), "but no about.json"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_file_that_is_not_what_it_says_is_refused(tmp_path: Path, what: str):
    change, message = DAMAGE[what]
    file = changed(written(tmp_path / "damaged.npz"), change)
    with pytest.raises(UsageError, match=message):
        list(read_replay(file))


def test_whatever_a_file_says_of_itself_is_refused_in_a_sentence_or_does_not_matter(
    tmp_path: Path,
):
    file = written(tmp_path / "odd.npz")
    about = json.loads(members(file)["about.json"])
    odd = [about | {name: value} for name in about for value in VALUES]
    for name, field in about["fields"].items():
        for key in field:
            odd += [
                about | {"fields": about["fields"] | {name: field | {key: value}}}
                for value in VALUES
            ]
    odd += [about | {"environment": about["environment"] | {"obs_size": x}} for x in VALUES]
    n_refused = 0
    for each in odd:
        changed(file, about_with(**each))
        try:
            (found,) = read_replay(file)
        except UsageError as error:
            assert len(str(error)) < 1000 and "\n" not in str(error)
            n_refused += 1
        else:
            assert_same(found, episode())
    assert n_refused > len(odd) // 2


def test_a_file_that_is_no_archive_or_not_there_is_refused(tmp_path: Path):
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UsageError, match="is no file of episodes"):
        read_replay(tmp_path / "text.npz")
    with pytest.raises(UsageError, match="/dev/zero is not a regular file"):
        read_replay("/dev/zero")
    with pytest.raises(UsageError, match=r"cannot read .*nowhere.npz"):
        read_replay(tmp_path / "nowhere.npz")


def test_flipped_and_missing_bytes_are_noticed_or_do_not_matter(tmp_path: Path):
    given = [episode(1 + i % 6, i) for i in range(8)]
    whole, rng = written(tmp_path / "whole.npz", *given).read_bytes(), np.random.default_rng(0)
    file, n_noticed = tmp_path / "damaged.npz", 0
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            data[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
        try:
            found = [*read_replay(file)]
        except UsageError as error:
            assert "\n" not in str(error)
            n_noticed += 1
        else:
            for a, b in zip(given, found, strict=True):
                assert_same(a, b)
    assert n_noticed > 200  # some bytes of an archive mean nothing


def test_what_a_file_says_of_itself_is_read_without_its_arrays(tmp_path: Path):
    file = changed(written(tmp_path / "some.npz"), array_is("reward", np.zeros(7)))
    about = read_about(file)
    assert (about.episodes, about.environment.n_actions, about.experiment) == (1, 3, None)


# --- files that would take memory -----------------------------------------------------------------


@contextmanager
def at_most(n_bytes: int) -> Generator[None]:
    """Fails if more is allocated meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


def test_names_of_arrays_are_compared_without_making_up_more_than_there_are(tmp_path: Path):
    def change(found: dict[str, bytes]) -> None:
        about = json.loads(found["about.json"])
        encoded = {f"encoded.{i}": about["fields"]["state"] for i in range(1_000)}
        found |= {f"{i}": b"" for i in range(1_000)}
        found["about.json"] = json.dumps(about | {"fields": about["fields"] | encoded}).encode()

    file = changed(written(tmp_path / "many.npz"), change)
    with at_most(20 * 10**6), pytest.raises(UsageError, match="has not the arrays that"):
        list(read_replay(file))


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["about.json", "00000/obs.npy"])
def test_no_more_is_unpacked_than_the_file_announces(tmp_path: Path, name: str, packed: int):
    file = written(tmp_path / "bomb.npz")
    found = members(file)
    with zipfile.ZipFile(file, "w") as archive:
        for each, data in found.items():
            bomb = data + bytes(50 * 10**6) if each == name else data
            archive.writestr(each, bomb, packed if each == name else None)
        archive.getinfo(name).file_size = len(found[name])  # in the directory at the end
    with at_most(5 * 10**6), pytest.raises(UsageError, match="is damaged"):
        list(read_replay(file))


def test_a_chunk_for_which_there_is_no_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = written(tmp_path / "large.npz", *[episode()] * CHUNK)
    with zipfile.ZipFile(file) as archive:
        n_bytes = sum(x.file_size for x in archive.infolist() if x.filename != "about.json")
    monkeypatch.setattr(replay_file, "available_bytes", lambda: 2 * n_bytes)
    assert len([*read_replay(file)]) == CHUNK
    monkeypatch.setattr(replay_file, "available_bytes", lambda: 2 * n_bytes - 1)
    with pytest.raises(UsageError, match="in its chunk 0, which is read at once, and there is"):
        list(read_replay(file))
