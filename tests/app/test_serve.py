"""``instseg serve`` as it is typed: what it says, what it refuses before any work, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import urllib.request

import pytest
from served import RED_AND_BLUE, png
from tiny_checkpoint import write_tiny_checkpoint
from typed_commands import Command, wait_until

from instseg.app import serve as command
from instseg.app.check_config import checked_serve_config
from instseg.app.compose import compose
from instseg.core.errors import InstsegError

INSTSEG = "src/instseg/__main__.py"


@pytest.mark.parametrize("received", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_it_says_where_it_is_answers_and_ends_cleanly_when_it_is_told_to(tmp_path, received):
    checkpoint = write_tiny_checkpoint(tmp_path / "best.ckpt", "labelme")
    arguments = ["serve", f"checkpoint={checkpoint}", "port=0", "device=cpu", "score_threshold=0"]
    serving = Command(arguments, {"INSTSEG_API_KEY": ""}, script=INSTSEG)
    wait_until(lambda: "Ctrl-C stops it" in serving.log.read_text(), serving)
    (url,) = re.findall(r"serving: +(\S+)", serving.log.read_text())
    request = urllib.request.Request(f"{url}/predict", png(RED_AND_BLUE), {"Content-Type": "image/png"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["width"] == 128
    serving.process.terminate() if received == signal.SIGTERM else serving.press_ctrl_c()
    done = serving.succeed()
    assert done.output.endswith("stopped\n") and "Traceback" not in done.output
    assert "WARNING" not in done.output and f"curl -F image=@a.jpg {url}/predict" in done.output


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("port=70000", "port=70000: expected a whole number from 0 to 65535"),
        ("batch_size=0", "batch_size=0: expected a whole number from 1 upwards, or auto"),
        ("max_seconds=0", "max_seconds=0: expected a number above 0"),
        ("tile=1", "tile=1: expected a whole number from"),
        ("max_waiting=0", "max_waiting=0: expected a whole number from 1"),
        ("checkpoint=null", "give checkpoint= .* or weights=coco, and not both"),
        ("device=gpu", "device=gpu: expected auto, cpu, mps or cuda"),
    ],
)
def test_what_cannot_work_is_refused_with_what_was_expected(overrides, message):
    with pytest.raises(InstsegError, match=message):
        checked_serve_config(compose("serve", ["checkpoint=latest", overrides]))


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None if name == "fastapi" else name)
    with pytest.raises(InstsegError, match=r'serve: fastapi not installed: pip install "instseg\[serve\]"'):
        command.serve(compose("serve", ["checkpoint=latest"]))


def test_it_serves_others_with_a_key_alone(monkeypatch):
    monkeypatch.delenv("INSTSEG_API_KEY", raising=False)
    with pytest.raises(InstsegError, match=r"host=0\.0\.0\.0: everybody .* set INSTSEG_API_KEY"):
        command.serve(compose("serve", ["checkpoint=latest", "host=0.0.0.0"]))
