"""The image that serves an exported model: its requirements are enough and hold no PyTorch; built where docker is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
REQUIREMENTS = [
    line for line in (ROOT / "docker/requirements.txt").read_text().splitlines() if line[:1] not in ("#", "")
]
NOTHING_ELSE = """
import importlib.metadata as metadata, re, sys
sys.path[:0] = [sys.argv[1]]

def named(requirement):
    return re.match(r"[\\w.-]+", requirement)[0].lower().replace("_", "-")

def required(name):
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of another version of Python
        return []

allowed, waiting = {"instseg"}, [named(line) for line in sys.argv[2:]]
while waiting:
    if (name := waiting.pop()) not in allowed:
        allowed.add(name)
        waiting += [named(line) for line in required(name) if "extra ==" not in line]
packages = metadata.packages_distributions()

class Refuse:
    def find_spec(self, name, path=None, target=None):
        owners = {owner.lower().replace("_", "-") for owner in packages.get(name.partition(".")[0], [])}
        if owners and not owners & allowed:
            raise ModuleNotFoundError(f"{name} is not among the requirements")

sys.meta_path.insert(0, Refuse())
import instseg.app.command, instseg.app.build_predictor, instseg.app.serve, instseg.deploy.serving.start
import instseg.prediction.onnx_file, instseg.prediction.writers.overlays
try:
    import torch
except ImportError:
    print("served without torch")
"""


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments, continued lines joined and comments left out."""
    text = re.sub(r"\\\n", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_every_requirement_is_one_of_the_package_in_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {*REQUIREMENTS} <= {*project["dependencies"], *extras["serve"], *extras["onnx"]}
    assert {*extras["serve"]} <= {*REQUIREMENTS}


def test_the_server_imports_nothing_else():
    command = [sys.executable, "-c", NOTHING_ELSE, str(ROOT / "src"), *REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "served without torch\n"), done.stderr[-2000:]


def test_it_runs_as_a_user_without_rights_and_says_whether_it_is_well():
    found = instructions()
    words = [word for word, _ in found]
    assert words[0] == "FROM" and dict(found)["FROM"].endswith("-slim")
    assert {*words} <= {"FROM", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
    assert words.index("USER") < words.index("ENTRYPOINT") and dict(found)["USER"] != "root"
    assert "/health" in dict(found)["HEALTHCHECK"]
    entry = re.findall(r'"([^"]+)"', dict(found)["ENTRYPOINT"])
    assert entry[:2] == ["instseg", "serve"] and "host=0.0.0.0" in entry


def test_all_that_it_copies_is_there_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [source for word, rest in instructions() if word == "COPY" for source in shlex.split(rest)[:-1]]
    assert copied and all((ROOT / source).exists() for source in copied)
    assert {f"!{source}" for source in copied} == {line for line in ignored if line.startswith("!")}


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_docker_builds_it_and_it_asks_for_a_key():
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs docker and its daemon")
    subprocess.run(["docker", "build", "-q", "-f", str(DOCKERFILE), "-t", "instseg-serve-test", str(ROOT)], check=True)
    done = subprocess.run(["docker", "run", "--rm", "instseg-serve-test"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "set INSTSEG_API_KEY" in done.stderr
