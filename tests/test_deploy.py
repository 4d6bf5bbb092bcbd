"""The files for deployment agree with the program: each setting named there is one, and each setting is described.

`deploy/check.sh` goes further, with linters and a clean installation.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from handigit.settings import Settings

PROJECT = Path(__file__).parents[1]
FILES = ("deploy/Dockerfile", "deploy/compose.yaml", "deploy/handigit.service", "docs/deploy.md", "docs/api.md")
NAMES = {f"HANDIGIT_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_exists(file) -> None:
    named = set(re.findall(r"HANDIGIT_[A-Z_]+", (PROJECT / file).read_text(encoding="utf-8")))
    assert named
    assert named <= NAMES


def test_the_image_is_made_of_extras_that_exist_and_of_no_training() -> None:
    text = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", text)
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(declared["optional-dependencies"]) - {"train", "dev"}
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
