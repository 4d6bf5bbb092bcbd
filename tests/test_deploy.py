"""The deployment files agree with the program. `deploy/check.sh` adds linters and a clean installation."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bench.serve.proxy import NGINX, behind_nginx, documented_site
from bench.serve.targets import free_port
from handigit.settings import SECRETS, Settings
from handigit.web.openapi import JSON_LINES
from serving import picture, running

PROJECT = Path(__file__).parents[1]
FILES = ("deploy/Dockerfile", "deploy/compose.yaml", "deploy/handigit.service", "docs/deploy.md", "docs/api.md")
NAMES = (
    {"HANDIGIT_BATCH_FOLDER"}
    | {f"HANDIGIT_{name.upper()}" for name in Settings.model_fields}
    | {f"HANDIGIT_{name.upper()}_FILE" for name in SECRETS}
)


@pytest.mark.parametrize("file", FILES)
def test_every_named_setting_exists(file) -> None:
    named = set(re.findall(r"HANDIGIT_[A-Z_]+", (PROJECT / file).read_text(encoding="utf-8")))
    assert named
    assert named <= NAMES


def test_the_image_installs_existing_extras_without_training() -> None:
    text = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    locked = (PROJECT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    extras = set(re.findall(r"--extra ([a-z]+)", locked))
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"app", "postgres"} <= extras <= set(declared["optional-dependencies"]) - {"train", "dev"}
    assert not re.search(r"^torch==", locked, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((PROJECT / name).exists() for names in copied for name in names.split())


def read_yaml(name: str) -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((PROJECT / "deploy" / name).read_text(encoding="utf-8"))


def test_the_kubernetes_job_reads_every_shard_once_and_runs_a_command_that_exists() -> None:
    job = read_yaml("kubernetes-job.yaml")
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = shlex.split(container["args"][0])
    (shard,) = (words[i + 1] for i, word in enumerate(words) if word == "--shard")
    assert shard == f"$n/{job['spec']['completions']}"
    assert job["spec"]["completions"] % job["spec"]["parallelism"] == 0
    assert {word for word in words if word.startswith("--")} <= batch_options()
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def test_the_ray_cluster_has_the_keys_of_rays_schema_and_the_extra_exists() -> None:
    cluster = read_yaml("ray-cluster.yaml")
    schema = pytest.importorskip("ray.autoscaler._private.util")
    schema.validate_config(schema.prepare_config(cluster | {"file_mounts": {}}))
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"handigit\[([a-z]+)\]", " ".join(cluster["setup_commands"]))
    assert extras == ["ray"]
    assert "ray" in declared["optional-dependencies"]


def batch_options() -> set[str]:
    """The options of `handigit batch`, from its own help."""
    help_text = subprocess.run(
        [sys.executable, "-m", "handigit.cli", "batch", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"--[a-z][a-z-]*", help_text))


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("a secret of 23 letters\n", encoding="utf-8")
    monkeypatch.setenv("HANDIGIT_TOKEN_FILE", str(tmp_path / "token"))
    token = Settings().token
    assert token
    assert token.get_secret_value() == "a secret of 23 letters"
    monkeypatch.setenv("HANDIGIT_TOKEN_FILE", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        Settings()


@pytest.mark.parametrize("name", ["batch", "docs"])
def test_other_images_copy_what_exists_and_install_existing_extras(name: str) -> None:
    text = (PROJECT / "deploy" / f"{name}.Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((PROJECT / file).exists() for files in copied for file in files.split())
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ",".join(re.findall(r"'\.\[([a-z,]+)\]'", text)).split(",")
    assert set(extras) <= set(declared["optional-dependencies"])
    assert compose()["services"][name]["build"]["dockerfile"] == f"deploy/{name}.Dockerfile"


@pytest.mark.slow
@pytest.mark.skipif(NGINX is None, reason="needs nginx")
def test_the_documented_configuration_of_nginx_works(tmp_path: Path) -> None:
    hosts = {"HANDIGIT_HOSTS": "numbers.example.org", "HANDIGIT_PROXIES": "127.0.0.1", "HANDIGIT_TOKEN": "t" * 16}
    headers = {"Host": "numbers.example.org", "Authorization": f"Bearer {'t' * 16}", "X-Request-ID": "a-client"}
    with running(tmp_path / "home", **hosts) as server:
        port = free_port()
        site = documented_site(port, server.port)
        with (
            behind_nginx(tmp_path, site, port),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client,
        ):
            large = picture(size=1500, format="BMP")  # beyond the megabyte that nginx allows by itself
            assert len(large) > 2_000_000
            answer = client.post("/v1/digit", content=large)
            assert answer.json()["readings"][0]["text"] == "7"
            assert answer.headers["x-request-id"] != "a-client"
            lines = client.post("/v1/page", content=picture(format="PDF", size=200), headers={"Accept": JSON_LINES})
            assert lines.headers["content-type"].startswith(JSON_LINES)
            assert client.get("/v1/readings", headers={"Host": "elsewhere.example"}).status_code == 403
            assert (
                client.post("/v1/session", json={}, headers={"Origin": "http://elsewhere.example"}).status_code == 403
            )
            assert client.get("/readyz").status_code == 200


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PROJECT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", ["handigit", "database", "batch", "docs"])
def test_every_container_is_hardened(name: str) -> None:
    service = compose()["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_secrets_are_files_and_images_are_pinned_by_digest() -> None:
    content = compose()
    database = content["services"]["database"]
    assert set(content["secrets"]) == {"handigit_token", "postgres_password", "handigit_store"}
    assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in database["environment"])
    dockerfile = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    images = [*re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE), database["image"]]
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)


def test_the_lock_file_has_a_hash_for_every_package() -> None:
    lines = (PROJECT / "deploy" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if re.match(r"[A-Za-z0-9]", line)]
    assert len(packages) > 20
    assert all(re.match(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==", line) for line in packages)
    pinned = {line.partition("==")[0] for line in packages}
    assert {"anyio", "h11", "mako", "certifi"} <= pinned
    text = "\n".join(lines)
    for package in re.split(r"\n(?=[A-Za-z0-9])", text):
        if re.match(r"[A-Za-z0-9]", package):
            assert "--hash=sha256:" in package, package.partition("\n")[0]
