"""A stand-in for a hub, on loopback: as much of its HTTP interface as huggingface_hub's client asks
of it to push and to pull, without xet.

It keeps what it is given in memory. A repository's files can be set from outside, and what it says
of them can be wrong.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

OWNER, TOKEN, READ_ONLY = "me", "hf_tester", "hf_reader"
LARGE = (".safetensors", ".png", ".gif")
"""What is stored as git LFS."""


@dataclass
class Repository:
    """A repository with the files of each of its commits, the newest last."""

    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    messages: list[str] = field(default_factory=lambda: ["initial commit"])
    announced: dict[str, int] = field(default_factory=dict[str, int])
    """Sizes that are told in place of the true ones."""

    @property
    def files(self) -> dict[str, bytes]:
        """Of the newest commit."""
        return self.commits[-1]

    def commit_id(self, number: int) -> str:
        return f"{number:040x}"

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """(commit, files) at a branch or commit."""
        ids = {self.commit_id(n): n for n in range(len(self.commits))}
        number = len(self.commits) - 1 if revision == "main" else ids.get(revision)
        return None if number is None else (self.commit_id(number), self.commits[number])


@dataclass
class Hub:
    """What the server knows and what it was asked."""

    address: str = ""
    repos: dict[str, Repository] = field(default_factory=dict[str, Repository])
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Large files by their SHA-256."""
    asked: list[str] = field(default_factory=list[str])
    """METHOD /path of each request."""
    fails_at: str = ""
    """Requests whose line holds this are answered with HTTP status 500."""
    breaks_at: str = ""
    """Content of these is broken off in its middle."""

    def publish(self, repo: str, files: dict[str, bytes], **about: Any) -> Repository:
        """Put files into a repository, as if they had been pushed."""
        self.repos[repo] = Repository(commits=[files], **about)
        return self.repos[repo]


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """One request; paths are those that the client asks for."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        line = f"{method} {path}"
        self.hub.asked.append(line)
        if self.hub.fails_at and self.hub.fails_at in line:
            return self._send(500, {"error": "the stand-in fails here"})
        words = path.strip("/").split("/")
        if line == "POST /api/repos/create":
            return self._create(json.loads(body))
        if line == "POST /api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if words[0] == "large":
            return self._large(method, words[1], body)
        if words[:2] == ["api", "models"]:
            return self._of_repo("/".join(words[2:4]), words[4:], body)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if "resolve" in words:
            return self._resolve("/".join(words[:2]), words[3], "/".join(words[4:]))
        return self._send(404, {"error": "nothing here"})

    # --- answers ----------------------------------------------------------------------------------

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization'] or OWNER}/{asked['name']}"
        if not self._may_write(name):
            return self._send(403 if self._token() else 401, {"error": "you may not write here"})
        if name in self.hub.repos:
            return self._send(409, {"error": "there is one", "url": f"{self.hub.address}/{name}"})
        self.hub.repos[name] = Repository(private=asked.get("visibility") == "private")
        return self._send(200, {"url": f"{self.hub.address}/{name}", "name": name})

    def _validate(self, card: str) -> None:
        _, front, _ = card.split("---\n", 2)
        known = yaml.safe_load(front)
        sound = isinstance(known, dict) and known.get("library_name") == "macpo"
        return self._send(200 if sound else 400, {"warnings": [], "errors": []})

    def _of_repo(self, name: str, words: list[str], body: bytes) -> None:
        repo = self._visible(name)
        if repo is None:
            return None
        match words:
            case [] | ["revision", _]:
                return self._info(name, repo, words[1] if words else "main")
            case ["preupload", "main"]:
                return self._preupload(repo, json.loads(body))
            case ["commit", "main"]:
                return self._commit(name, repo, body)
            case _:
                return self._send(404, {"error": "nothing here"})

    def _info(self, name: str, repo: Repository, revision: str) -> None:
        found = repo.at(revision)
        if found is None:
            return self._send(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
        commit, files = found
        told = [self._told(repo, path, data) for path, data in files.items()]
        about = {"id": name, "sha": commit, "private": repo.private, "siblings": told}
        return self._send(200, about)

    def _told(self, repo: Repository, path: str, data: bytes) -> dict[str, Any]:
        size = repo.announced.get(path, len(data))
        about = {"rfilename": path, "size": size, "blobId": git_oid(data)}
        if path.endswith(LARGE):
            about["lfs"] = {"sha256": sha256(data), "size": size, "pointerSize": 130}
        return about

    def _preupload(self, repo: Repository, asked: dict[str, Any]) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": self._oid(file["path"], repo),
            }
            for file in asked["files"]
        ]
        return self._send(200, {"files": files})

    def _oid(self, path: str, repo: Repository) -> str | None:
        """As the client computes it, to leave out what has not changed."""
        data = repo.files.get(path)
        if data is None:
            return None
        return sha256(data) if path.endswith(LARGE) else git_oid(data)

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.address}/large/{one['oid']}"}}}
            for one in asked["objects"]
        ]
        return self._send(200, {"transfer": "basic", "objects": objects})

    def _large(self, method: str, oid: str, body: bytes) -> None:
        if method == "PUT":
            assert sha256(body) == oid
            self.hub.blobs[oid] = body
            return self._send(200, {})
        return self._send_file(self.hub.blobs[oid])

    def _commit(self, name: str, repo: Repository, body: bytes) -> None:
        files, message = dict(repo.files), ""
        newest = repo.commit_id(len(repo.commits) - 1)
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    message = value["summary"]
                    if value.get("parentCommit", newest) != newest:
                        return self._send(412, {"error": "a commit has happened since"})
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.blobs[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
                case other:
                    raise AssertionError(other)
        repo.commits.append(files)
        repo.messages.append(message)
        commit = repo.commit_id(len(repo.commits) - 1)
        address = f"{self.hub.address}/{name}/commit/{commit}"
        return self._send(200, {"success": True, "commitOid": commit, "commitUrl": address})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._visible(name)
        if repo is None:
            return None
        commit, files = repo.at(revision) or ("", dict[str, bytes]())
        if path not in files:
            return self._send(404, {"error": "no file"}, {"X-Error-Code": "EntryNotFound"})
        data = files[path]
        if not path.endswith(LARGE):
            return self._send_file(data, {"ETag": f'"{git_oid(data)}"', "X-Repo-Commit": commit})
        self.hub.blobs[sha256(data)] = data
        headers = {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
        headers |= {"X-Repo-Commit": commit, "Location": f"{self.hub.address}/large/{sha256(data)}"}
        return self._send(302, {}, headers)

    # --- how they are sent ------------------------------------------------------------------------

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = list[bytes]()
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _may_write(self, name: str) -> bool:
        return self._token() == TOKEN and name.startswith(f"{OWNER}/")

    def _visible(self, name: str) -> Repository | None:
        """The repository, if the asker may see it; else they are told as a hub tells them."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and self._token() not in (TOKEN, READ_ONLY)):
            status = 404 if self._token() else 401
            self._send(status, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repo

    def _send_file(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        is_broken = bool(self.hub.breaks_at) and self.hub.breaks_at in self.path
        self.send_response(200)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if is_broken else data)
        self.close_connection = is_broken

    def _send(self, status: int, about: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(about).encode()
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in {**told, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving() -> Generator[Hub]:
    """A hub that answers until the end of the context."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def asked_instead(home: Path, token: str | None = TOKEN) -> Generator[Hub]:
    """A hub that huggingface_hub asks in place of its own, with a token or without any.

    Nothing of the user's is read, and nobody waits before a request is repeated.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import _http, close_session, disable_progress_bars

    with serving() as hub, pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
            patch.delenv(name, raising=False)
        if token is not None:
            patch.setenv("HF_TOKEN", token)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        patch.setattr(constants, "ENDPOINT", hub.address)
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
        for name in ("HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH", "AGENT_HARNESSES_PATH"):
            patch.setattr(constants, name, str(home / name.lower()))
        patch.setattr(_http, "time", SimpleNamespace(sleep=lambda _: None, time=time.time))
        disable_progress_bars()
        close_session()
        yield hub
        close_session()
