"""Episodes as a file that any project with NumPy can read and write (docs/offline.md).

It is a .npz: a zip of .npy arrays and of one JSON text, `about.json`. Episodes lie end to end in
chunks of `CHUNK`, an array for each field: a row for each episode, for each env step, or for each
state, of which an episode has one more than env steps. Nothing in it is unpickled or imported.
"""

import hashlib
import io
import json
import math
import os
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Shaped

import macpo
from macpo.bounds import Bounds, NonNegativeInt, PositiveInt, check_fields
from macpo.errors import UsageError, require, shortened, shown
from macpo.field_types import JsonObject, Settings, build, conform
from macpo.machine import available_bytes
from macpo.runs.arrays import Damaged
from macpo.runs.episodes import (
    CHUNK,
    ENCODED,
    OWN,
    ROWS,
    Chunk,
    Episode,
    Rows,
    Sizes,
    check,
    checked_episode,
    chunk_of,
    episodes_of,
    in_turns,
    n_rows,
    own_rows,
)
from macpo.runs.files import disk_errors, parse_json, whole_or_none
from macpo.types import Spec

ABOUT = "about.json"
VERSION = 1
"""Raised whenever arrays get other names or meanings."""
_MAX_ABOUT = 2**21  # bytes, far more than any experiment has
_LEVEL = 1  # of compression: most of what the best level saves, in a fraction of the time
_FORMAT = "macpo replay"
_MAX_HEADER = 10_000  # bytes, as NumPy has it
_MAX_AXES = 31  # of a row; NumPy's arrays have 32 at most, or 64
_UNKNOWN_MEMORY = 2**33
"""Bytes that are taken to be free where the machine does not tell."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""What reads the head of a .npy of each version."""
_DTYPES = {
    np.dtype(name): name
    for name in (
        "bool",
        "float16",
        "float32",
        *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32)),
    )
}
"""What arrays may hold, by what a file calls it."""


class Source(NamedTuple):
    """The run that episodes are from."""

    experiment: Settings
    """As plain data."""
    seed: int


@dataclass(frozen=True)
class Field:
    """What a file says of one of its arrays."""

    rows: Rows
    dtype: str
    shape: tuple[NonNegativeInt, ...]
    """Of a row."""

    def __post_init__(self) -> None:
        check_fields(self, "field")
        require(self.dtype in _DTYPES.values(), f"dtype {shown(self.dtype)} is not supported.")
        require(len(self.shape) <= _MAX_AXES, f"a row has {len(self.shape):,} axes.")


@dataclass(frozen=True)
class About:
    """What a file says of itself."""

    format: str
    version: int
    written_by: str
    environment: Sizes
    episodes: PositiveInt
    steps: PositiveInt
    chunk_episodes: Annotated[int, Bounds(at_least=1, at_most=CHUNK)]
    fields: JsonObject
    """A `Field` each, as plain data."""
    experiment: JsonObject | None = None
    """Of the run that the episodes are from, as in its experiment.json."""
    seed: int | None = None
    """Of that run."""

    def __post_init__(self) -> None:
        check_fields(self, ABOUT)

    @property
    def chunks(self) -> int:
        """How many there are; the last one may have fewer episodes."""
        return -(-self.episodes // self.chunk_episodes)


# --- for everybody --------------------------------------------------------------------------------


def write_replay(file: str | os.PathLike[str], episodes: Iterable[Episode], spec: Spec) -> None:
    """Write episodes, wherever they come from, as a file that `--replay.from` reads.

    They are taken one by one, so that there may be more than fit into memory. `spec` has the sizes
    of their environment: `macpo.make_env(name).spec`. Arrays may be of any library that NumPy
    understands; 64-bit numbers become 32-bit ones. Raises UsageError for episodes that do not fit
    `spec` or themselves, and for a file that holds something else than such episodes.

    >>> import numpy as np
    >>> from macpo import Episode, read_replay
    >>> from macpo.envs import Spec
    >>> spec = Spec("my-game", n_agents=2, n_actions=3, obs_size=4, state_size=5, episode_limit=9)
    >>> episode = Episode(
    ...     obs=np.zeros((3, 2, 4)),
    ...     state=np.zeros((3, 5)),
    ...     avail_actions=np.ones((3, 2, 3), bool),
    ...     actions=np.array([[0, 2], [1, 1]]),
    ...     reward=np.array([0.0, 1.0]),
    ...     terminated=True,
    ... )
    >>> write_replay("episodes.npz", [episode], spec)
    >>> [float(each.reward.sum()) for each in read_replay("episodes.npz")]
    [1.0]
    """
    sizes = Sizes.of(spec)
    checked = (checked_episode(episode, i, sizes) for i, episode in enumerate(episodes))
    write_chunks(Path(file), map(chunk_of, in_turns(checked)), sizes)


def read_replay(file: str | os.PathLike[str]) -> Iterator[Episode]:
    """The episodes of a file, oldest first, one by one.

    Raises UsageError if it cannot be read, is none of this kind, or is damaged.

    >>> import macpo
    >>> list(macpo.read_replay("episodes.npz"))
    Traceback (most recent call last):
    ...
    macpo.errors.UsageError: cannot read episodes.npz: ...
    """
    path = Path(file)
    about = read_about(path)  # at once, not with the first episode
    return (episode for chunk in read_chunks(path, about) for episode in episodes_of(chunk))


# --- writing --------------------------------------------------------------------------------------


def write_chunks(
    file: Path, chunks: Iterable[Chunk], sizes: Sizes, source: Source | None = None
) -> About:
    """Write episodes atomically; what the file then says of itself.

    The same episodes give the same bytes. UsageError for a file that holds something else, if there
    are no episodes, and if the disk refuses.
    """
    _require_replaceable(file)
    n_episodes, n_steps, fields = 0, 0, JsonObject()
    with (
        whole_or_none(file) as handle,
        zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
    ):
        for i, chunk in enumerate(chunks):
            check(chunk, sizes, n_episodes)
            found = {name: asdict(_field(name, x)) for name, x in chunk.arrays().items()}
            fields = fields or found
            require(found == fields, "episodes of a file must have arrays of the same types.")
            for name, x in chunk.arrays().items():
                _write_member(archive, _member(i, name), _npy(x))
            n_episodes += len(chunk.length)
            n_steps += int(chunk.length.sum())
        require(n_episodes > 0, f"there are no episodes to write to {file}.")
        about = About(
            _FORMAT,
            VERSION,
            f"macpo {macpo.__version__}",
            sizes,
            n_episodes,
            n_steps,
            CHUNK,
            fields,
            None if source is None else dict(source.experiment),
            None if source is None else source.seed,
        )
        text = json.dumps({**asdict(about), "chunks": about.chunks}, indent=2)
        _write_member(archive, ABOUT, f"{text}\n".encode())
    return about


def _require_replaceable(file: Path) -> None:
    """UsageError for a name that is no .npz, and unless an earlier file of episodes is there."""
    require(
        file.suffix == ".npz",
        f"{file} must end in .npz, as NumPy calls such files.",
    )
    if not os.path.lexists(file):
        return
    try:
        read_about(file)
    except UsageError as error:
        raise UsageError(
            f"{file} is there already and holds no episodes, so that it is not written over; "
            "choose another file."
        ) from error


def _npy(x: Shaped[np.ndarray, "..."]) -> bytes:
    """The array as a .npy, whatever the machine: C order, little-endian."""
    buffer = io.BytesIO()
    x = np.ascontiguousarray(x, x.dtype.newbyteorder("<"))
    np.lib.format.write_array(buffer, x, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name)  # of 1980, always: equal episodes are equal bytes
    member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(member, data)


def _member(chunk: int, field: str) -> str:
    return f"{chunk:05d}/{field}.npy"


def _field(name: str, x: Shaped[np.ndarray, "..."]) -> Field:
    """What a file says of an array."""
    require(x.dtype in _DTYPES, f"{name} holds {x.dtype}, which such a file does not.")
    return Field(ROWS.get(name, "states"), _DTYPES[x.dtype], x.shape[1:])


# --- reading --------------------------------------------------------------------------------------


def read_about(file: Path) -> About:
    """What a file says of itself; UsageError as for `read_replay`."""
    with _opened(file) as archive:
        return _about(archive, file)


def read_chunks(file: Path, about: About) -> Iterator[Chunk]:
    """The chunks of a file that says this of itself, each checked; UsageError as `read_replay`."""
    with _opened(file) as archive:
        fields = _fields(about, file)
        _require_members(archive, about, file)
        n_steps = 0
        for i in range(about.chunks):
            _require_room(archive, i, fields, file)
            try:
                n_episodes = min(about.chunk_episodes, about.episodes - i * about.chunk_episodes)
                chunk = _read_chunk(archive, i, n_episodes, fields, about.environment)
                check(chunk, about.environment, i * about.chunk_episodes)
            except UsageError as error:
                raise _damaged(file, error) from error
            n_steps += int(chunk.length.sum())
            yield chunk
        if n_steps != about.steps:
            raise Damaged(file, f"it has {n_steps:,} env steps, and says {about.steps:,}")


def sha256_of(file: Path) -> str:
    """The checksum of a file's content."""
    with disk_errors(file, "read"):
        _require_regular(file)
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


def _require_regular(file: Path) -> None:
    """UsageError for a folder, and for a device or a pipe, which might never end."""
    require(
        stat.S_ISREG(file.stat().st_mode),
        f"{file} is not a regular file; name one made by `macpo export-replay` or "
        "macpo.write_replay.",
    )


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,  # NotImplementedError among them, of a method that is not known
    OverflowError,
    tokenize.TokenError,
    SyntaxError,
)
"""What zipfile and NumPy raise for a file that is not what was written."""


@contextmanager
def _opened(file: Path) -> Generator[zipfile.ZipFile]:
    """A file's archive; whatever is wrong with it is raised as UsageError."""
    with disk_errors(file, "read"):
        _require_regular(file)
        with file.open("rb") as handle:
            require(
                handle.read(4) == b"PK\x03\x04",
                f"{file} is no file of episodes; `macpo export-replay` and macpo.write_replay make "
                "them.",
            )
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except UsageError:
            raise
        except _DAMAGE as error:
            raise Damaged(file, f"{type(error).__name__}: {error}".rstrip(": .")) from error


def _about(archive: zipfile.ZipFile, file: Path) -> About:
    """What the file says of itself."""
    foreign = f"{file} holds arrays, but no {ABOUT} that says which episodes they are of"
    require(ABOUT in archive.namelist(), f"{foreign}; macpo.write_replay writes one.")
    member = archive.getinfo(ABOUT)
    if member.file_size > _MAX_ABOUT:
        raise Damaged(file, f"its {ABOUT} has {member.file_size:,} bytes")
    try:
        data = parse_json(_content(archive, member))
    except UsageError as error:
        raise _damaged(file, error) from error
    require(isinstance(data, dict) and data.get("format") == _FORMAT, f"{foreign}.")
    require(
        data.get("version") == VERSION,
        f"{file} is of version {shown(data.get('version'))} of its format, and this macpo reads "
        f"{VERSION}; read it with the macpo that has written it.",
    )
    data.pop("chunks", None)  # follows from the rest
    try:
        return build(About, data, ABOUT)
    except UsageError as error:
        raise _damaged(file, error) from error


def _fields(about: About, file: Path) -> dict[str, Field]:
    """What the arrays must be; Damaged for names and types that are not of such a file."""
    try:
        fields = {name: conform(given, Field, name) for name, given in about.fields.items()}
    except UsageError as error:
        raise _damaged(file, error) from error
    own = [name for name in fields if not name.startswith(ENCODED)]
    rows = all(field.rows == ROWS.get(name, "states") for name, field in fields.items())
    if own != [*OWN] or not rows:
        raise Damaged(file, f"it says that its arrays are {shortened(', '.join(fields))}")
    for name, (shape, of_type) in own_rows(about.environment).items():
        field = fields[name]
        dtype = field.dtype if of_type is None else np.dtype(of_type).name
        if (field.dtype, field.shape) != (dtype, shape):
            raise Damaged(
                file,
                f"it says that a row of {name} is {field.dtype}{list(field.shape)}, expected "
                f"{dtype}{list(shape)}",
            )
    return fields


def _require_members(archive: zipfile.ZipFile, about: About, file: Path) -> None:
    """Damaged unless the file has the arrays that it says it has, and nothing else."""
    found = archive.namelist()
    there = {*found}
    # their number first: a file may tell of any number of chunks, and of long names
    if len(found) != 1 + about.chunks * len(about.fields) or not all(
        _member(i, name) in there for i in range(about.chunks) for name in about.fields
    ):
        raise Damaged(file, "it has not the arrays that it says it has")


def _require_room(
    archive: zipfile.ZipFile, number: int, fields: Mapping[str, Field], file: Path
) -> None:
    """UsageError if a chunk takes more memory than is free; it is as large as it is announced."""
    n_bytes = sum(archive.getinfo(_member(number, name)).file_size for name in fields)
    room = (available_bytes() or _UNKNOWN_MEMORY) // 2  # the rest is for what checks the arrays
    require(
        n_bytes <= room,
        f"{file} has {n_bytes / 1e9:,.1f} GB in its chunk {number}, which is read at once, and "
        f"there is room for {room / 1e9:,.1f} GB; read it on a machine with more memory.",
    )


def _read_chunk(
    archive: zipfile.ZipFile,
    number: int,
    n_episodes: int,
    fields: Mapping[str, Field],
    sizes: Sizes,
) -> Chunk:
    """The arrays of a chunk, of these types and of as many rows as its episodes have."""

    def array(name: str, n: int) -> np.ndarray:
        return _read_array(archive, _member(number, name), fields[name], n)

    length, limit = array("length", n_episodes), sizes.episode_limit
    require(  # before anything of that length is read
        bool(((length > 0) & (length <= limit)).all()),
        f"the length of an episode is not between 1 and {limit:,} env steps.",
    )
    rows = n_rows(length)
    others = {name: array(name, rows[field.rows]) for name, field in fields.items()}
    own = {name: others.pop(name) for name in OWN}
    return Chunk(**own, encoded=others)


def _read_array(archive: zipfile.ZipFile, name: str, field: Field, n: int) -> np.ndarray:
    """An array of the file; UsageError unless it has the type and shape that it must have.

    Its own header is read, and never believed: nothing is allocated by it or unpickled.
    """
    member, dtype = archive.getinfo(name), np.dtype(field.dtype).newbyteorder("<")
    shape = (n, *field.shape)
    n_bytes = math.prod(shape) * dtype.itemsize
    require(
        n_bytes < member.file_size <= n_bytes + _MAX_HEADER,
        f"{name} has {member.file_size:,} bytes, and {n_bytes:,} are expected.",
    )
    data = _content(archive, member)
    handle = io.BytesIO(data)
    read_header = _HEADERS.get(np.lib.format.read_magic(handle))
    require(read_header is not None, f"{name} is an array of a later format.")
    found = read_header(handle) if read_header else None
    require(
        found == (shape, False, dtype),
        f"{name} is {shown(found)}, expected {dtype.name}{list(shape)} in C order.",
    )
    begin = handle.tell()
    require(
        len(data) - begin == n_bytes,
        f"{name} has {len(data) - begin:,} bytes of numbers, not {n_bytes:,}.",
    )
    array = np.ndarray(shape, dtype, data, begin)
    if dtype.kind == "b":
        require(bool((array.view(np.uint8) <= 1).all()), f"{name} holds other bytes than 0 and 1.")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """What a member holds, of which no more is unpacked than the file has announced."""
    require(
        member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        f"{shown(member.filename)} is packed in another way than deflated.",
    )
    with archive.open(member) as handle:
        return handle.read(member.file_size)  # to the end, where the checksum is compared


def _damaged(file: Path, error: Exception) -> Damaged:
    return Damaged(file, str(error).rstrip(". "))
