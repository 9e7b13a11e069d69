"""The addresses of the local hub: what huggingface_hub 2.4 asks for, large files, and OpenAI's checkpoints."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, quote, unquote

from answers import Answer, as_json, file, plain, redirect, refusal
from contents import Content, Files, Repository, lfs_pointer

TOKEN = "hf_local_token"
"""A token whose owner may read everything."""

OTHER_TOKEN = "hf_other_token"
"""A valid token whose owner has been granted access to nothing: neither gated nor private repositories."""

Origin = Literal["hub", "cdn"]
PAGE_SIZE = 1000
CHECKPOINTS = "/main/whisper/models/"


@dataclass
class Shelf:
    """Everything that can be asked for. `cdn` is the origin to which large files are redirected."""

    cdn: str = ""
    page_size: int = PAGE_SIZE
    repositories: dict[str, Repository] = field(default_factory=dict)
    checkpoints: dict[str, Content] = field(default_factory=dict)
    tokens: dict[str, bool] = field(default_factory=lambda: {TOKEN: True, OTHER_TOKEN: False})


@dataclass(frozen=True)
class Asked:
    """A request as the routes see it.

    path: as sent, still quoted
    origin: which of the two it was sent to, and `url` that one's address
    """

    method: str
    path: str
    query: str
    token: str
    url: str
    origin: Origin = "hub"
    body: bytes = b""


def answer(shelf: Shelf, asked: Asked) -> Answer:
    """The true answer to a request."""
    if asked.path == "/api/whoami-v2":
        return whoami(shelf, asked)
    if asked.path.startswith(CHECKPOINTS):
        return checkpoint(shelf, asked)
    if asked.path.startswith("/lfs/"):
        return large_file(shelf, asked)
    if asked.path.startswith("/api/models/"):
        return api(shelf, asked)
    before, found, after = asked.path.partition("/resolve/")
    return resolve(shelf, asked, unquote(before.strip("/")), after) if found else refusal(404, "Not found")


def whoami(shelf: Shelf, asked: Asked) -> Answer:
    """Who owns the token."""
    if asked.token not in shelf.tokens:
        return refusal(401, "Invalid username or password.")
    access = {"type": "access_token", "accessToken": {"displayName": "local", "role": "read"}}
    return as_json({"type": "user", "id": "1", "name": "tester", "fullname": "A tester", "orgs": [], "auth": access})


def closed(shelf: Shelf, asked: Asked, repository: Repository | None, name: str, contents: bool) -> Answer | None:
    """Why this reader may not look: the hub does not tell a private repository from none at all."""
    if asked.token and asked.token not in shelf.tokens:
        return refusal(401, "Invalid credentials in Authorization header")
    granted = shelf.tokens.get(asked.token, False)
    if repository is None or (repository.private and not granted):
        if not asked.token:
            # The real hub sends no code here: huggingface_hub goes by the address, but only by one of https.
            return refusal(401, "Invalid username or password.", "RepoNotFound")
        return refusal(404, "Repository not found", "RepoNotFound")
    if contents and repository.gated and not granted:
        rest = "Please log in." if not asked.token else f"Visit {asked.url}/{name} to ask for access."
        return refusal(403 if asked.token else 401, f"Access to model {name} is restricted. {rest}", "GatedRepo")
    return None


def api(shelf: Shelf, asked: Asked) -> Answer:
    """`/api/models/<id>`, with `/revision/<rev>`, `/tree/<rev>[/folder]`, `/paths-info/<rev>` or `/refs`."""
    parts = [unquote(part) for part in asked.path.removeprefix("/api/models/").split("/")]
    words = ("revision", "tree", "paths-info", "refs")
    cut = next((at for at, part in enumerate(parts) if part in words and at), len(parts))
    name, rest = "/".join(parts[:cut]), parts[cut:]
    repository = shelf.repositories.get(name)
    if refused := closed(shelf, asked, repository, name, contents=False):
        return refused
    assert repository is not None
    word, revision, folder = (*rest[:2], *("", "main")[len(rest[:2]) :], "/".join(rest[2:]))
    if word == "refs":
        return as_json({"branches": [{"name": n, "ref": n, "targetCommit": c} for n, c in repository.refs.items()],
                        "tags": [], "converts": []})  # fmt: skip
    commit = repository.resolve(revision)
    if commit is None:
        return refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    files = repository.commits[commit]
    if word == "tree":
        return tree(shelf, asked, files, folder, commit)
    if word == "paths-info":
        paths = json.loads(asked.body or b"{}").get("paths", [])
        return as_json([listed(path, files[path]) for path in paths if path in files])
    return as_json(info(repository, commit, files, "blobs=" in asked.query))


def info(repository: Repository, commit: str, files: Files, blobs: bool) -> dict[str, object]:
    """What the hub says of a repository at one commit."""
    siblings: list[dict[str, object]] = []
    for name, content in files.items():
        facts = {key: value for key, value in listed(name, content).items() if key in ("size", "lfs")} if blobs else {}
        siblings.append({"rfilename": name, **facts, **({"blobId": content.blob_id} if blobs else {})})
        if blobs and content.lfs:
            siblings[-1]["lfs"] = {"size": content.size, "sha256": content.sha256, "pointerSize": 134}
    return {
        "_id": "1", "id": repository.id, "modelId": repository.id, "sha": commit, "siblings": siblings,
        "private": repository.private, "gated": "auto" if repository.gated else False, "disabled": False,
        "downloads": 0, "likes": 0, "tags": [], "lastModified": "2026-01-02T03:04:05.000Z",
        "createdAt": "2026-01-02T03:04:05.000Z",
    }  # fmt: skip


def listed(name: str, content: Content) -> dict[str, object]:
    """A file as the tree lists it."""
    entry: dict[str, object] = {"type": "file", "oid": content.blob_id, "size": content.size, "path": name}
    if content.lfs:
        pointer = len(lfs_pointer(content.sha256, content.size))
        entry["lfs"] = {"oid": content.sha256, "size": content.size, "pointerSize": pointer}
    return entry


def tree(shelf: Shelf, asked: Asked, files: Files, folder: str, commit: str) -> Answer:
    """One page of the listing; the Link header leads to the next."""
    query = parse_qs(asked.query)
    recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
    below = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, object]] = {}
    for name, content in files.items():
        if not name.startswith(below):
            continue
        parents = name[len(below) :].split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            path = below + "/".join(parents[:depth])
            oid = hashlib.sha1(path.encode()).hexdigest()
            entries.setdefault(path, {"type": "directory", "oid": oid, "size": 0, "path": path})
            if not recursive:
                break
        if recursive or not parents:
            entries[name] = listed(name, content)
    if folder and not entries:
        return refusal(404, f"{folder} does not exist on {commit}", "EntryNotFound")
    rows = list(entries.values())
    start = int(query.get("cursor", ["0"])[0])
    end = start + int(query.get("limit", [str(shelf.page_size)])[0])
    kept = "&".join(part for part in asked.query.split("&") if part and not part.startswith("cursor="))
    link = f'<{asked.url}{asked.path}?{kept}&cursor={end}>; rel="next"' if end < len(rows) else ""
    return as_json(rows[start:end], Link=link)


def resolve(shelf: Shelf, asked: Asked, name: str, rest: str) -> Answer:
    """A file's metadata, and its bytes where it is small; a large one is redirected to the CDN."""
    revision, _, path = rest.partition("/")
    revision, path = unquote(revision), unquote(path)
    repository = shelf.repositories.get(name)
    if refused := closed(shelf, asked, repository, name, contents=True):
        return refused
    assert repository is not None
    commit = repository.resolve(revision)
    if commit is None:
        return refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    content = repository.commits[commit].get(path)
    if content is None:
        return refusal(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit)
    if not content.lfs:
        return file(content, content.etag, X_Repo_Commit=commit, Content_Disposition=disposition(path))
    location = f"{shelf.cdn}/lfs/{quote(name)}/{commit}/{content.sha256}/{quote(path)}"
    return redirect(
        location,
        X_Repo_Commit=commit,
        X_Linked_Etag=f'"{content.sha256}"',
        X_Linked_Size=str(content.size),
        Accept_Ranges="bytes",
    )


def large_file(shelf: Shelf, asked: Asked) -> Answer:
    """`/lfs/<org>/<name>/<commit>/<sha256>/<path>`: no token is asked for, as the address itself is the key."""
    parts = [unquote(part) for part in asked.path.removeprefix("/lfs/").split("/")]
    at = next((at for at, part in enumerate(parts) if len(part) == 40), 0)
    repository = shelf.repositories.get("/".join(parts[:at]))
    content = repository.commits.get(parts[at], {}).get("/".join(parts[at + 2 :])) if repository else None
    if content is None:
        return plain(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
    # A CDN knows no commits; but where it shares the hub's origin, huggingface_hub follows and asks for one there.
    commit = {"X_Repo_Commit": parts[at]} if asked.origin == "hub" else {}
    return file(content, content.sha256, Content_Disposition=disposition(parts[-1]), **commit)


def checkpoint(shelf: Shelf, asked: Asked) -> Answer:
    """`/main/whisper/models/<sha256>/<file>`, with an ETag that is no hash of the bytes, as on OpenAI's CDN."""
    content = shelf.checkpoints.get(unquote(asked.path))
    if content is None:
        return plain(404, b"<Error><Code>BlobNotFound</Code></Error>", "application/xml")
    return file(content, f"0x8D{content.sha256[:13].upper()}", Content_MD5="")


def disposition(path: str) -> str:
    """The header that names a download."""
    name = path.rsplit("/", 1)[-1]
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";"
