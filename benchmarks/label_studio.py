"""Claim: pre-labels of a served model appear in the editor of a real Label Studio, as polygons and as brush masks.

    python -m venv /tmp/ls && /tmp/ls/bin/pip install label-studio
    python benchmarks/label_studio.py --label-studio /tmp/ls/bin/label-studio --checkpoint RUN --images FOLDER

It starts Label Studio on an empty database (minutes), makes a project for polygons and one for brushes through its API,
uploads images, links others as local files, connects `instseg serve` as the ML backend, retrieves the predictions, and
opens a task of each project in a headless Chromium. The regions in the editor must be as many as the server finds when
it is asked itself. `--pictures` keeps a screenshot of each. A Label Studio that runs already: `--url`, `--token`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copy, which
from xml.sax.saxutils import quoteattr

import httpx
from selenium import webdriver
from selenium.webdriver.common.by import By

ROOT = Path(__file__).parents[1]
EMAIL, PASSWORD, TOKEN = "a@example.com", "a long password", "0123456789abcdef0123456789abcdef01234567"
PORT = 8791
START_SECONDS, PAGE_SECONDS = 900, 90
NUM_UPLOADED = 2
TAGS = ("PolygonLabels", "BrushLabels")
REGIONS = ".lsf-outliner-item"
"""Regions in the list beside the image."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--label-studio", default=which("label-studio"), help="its command")
    options.add_argument("--checkpoint", type=Path, required=True)
    options.add_argument("--images", type=Path, required=True, help="a folder of at least three images")
    options.add_argument("--pictures", type=Path, help="the folder for screenshots")
    options.add_argument("--url", help="of a Label Studio that runs already, with the local files of --images")
    options.add_argument("--token", default=TOKEN, help="of a user of it")
    asked = options.parse_args()
    with ExitStack() as stack:
        files = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "files"
        (files / "images").mkdir(parents=True)
        images = [Path(copy(path, files / "images")) for path in sorted(asked.images.iterdir())[: NUM_UPLOADED + 1]]
        url = asked.url or stack.enter_context(label_studio(asked.label_studio, files))
        backend = stack.enter_context(serving(asked.checkpoint, url, files, asked.token))
        with httpx.Client(base_url=url, headers={"Authorization": f"Token {asked.token}"}, timeout=300) as client:
            page = stack.enter_context(browser(url))
            for tag in TAGS:
                try_project(client, backend, page, tag, images, asked.pictures)


def try_project(
    client: httpx.Client, backend: str, page: webdriver.Chrome, tag: str, images: Sequence[Path], pictures: Path | None
) -> None:
    """Go the whole way with a project of one kind of labels."""
    project = made_project(client, backend, tag, images)
    connected = posted(client, "/api/ml", {"project": project, "url": f"{backend}/labelstudio", "title": "instseg"})
    check(connected["state"] == "CO", f"not connected: {connected}")
    everything = {"selectedItems": {"all": True, "excluded": []}}
    posted(client, f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", everything)
    found = client.get("/api/predictions", params={"project": project}).raise_for_status().json()
    regions = {prediction["task"]: len(prediction["result"]) for prediction in found}
    check(len(regions) == len(images), f"{len(regions)} of {len(images)} tasks have predictions")
    alone = [len(httpx.post(f"{backend}/predict", files={"image": p.read_bytes()}).json()["instances"]) for p in images]
    check(sorted(regions.values()) == sorted(alone), f"regions {regions}, instances when asked alone {alone}")
    task = max(regions, key=lambda number: regions[number])
    shown = opened(page, f"{client.base_url}/projects/{project}/data?task={task}", pictures, tag)
    check(shown == regions[task], f"{shown} regions in the editor, {regions[task]} predicted")
    print(f"{tag}: {len(regions)} tasks with {sum(alone)} regions, {shown} of them in the editor of task {task}")


def made_project(client: httpx.Client, backend: str, tag: str, images: Sequence[Path]) -> int:
    """Make a project whose first label has another name than its category; upload images, and link the last one."""
    names = httpx.get(f"{backend}/health").json()["categories"]
    labels = [f'<Label value="my {names[0]}" predicted_values={quoteattr(names[0])}/>']
    labels += [f"<Label value={quoteattr(name)}/>" for name in names[1:]]
    config = f'<View><Image name="picture" value="$image" zoom="true"/><{tag} name="shape" toName="picture">'
    config += f"{''.join(labels)}</{tag}></View>"
    project = posted(client, "/api/projects", {"title": tag, "label_config": config})["id"]
    check(isinstance(project, int), "a project without a number")
    storage = {"project": project, "path": str(images[-1].parent), "title": "files", "use_blob_urls": True}
    posted(client, "/api/storages/localfiles", storage)
    for image in images[:NUM_UPLOADED]:
        upload = {"file": (image.name, image.read_bytes())}
        client.post(f"/api/projects/{project}/import", files=upload).raise_for_status()
    linked = f"/data/local-files/?d={images[-1].parent.name}/{images[-1].name}"
    posted(client, f"/api/projects/{project}/import", [{"image": linked}])
    return int(str(project))


def posted(client: httpx.Client, path: str, content: object) -> dict[str, object]:
    answer = client.post(path, json=content)
    check(answer.is_success, f"{path}: {answer.status_code} {answer.text[:500]}")
    found: dict[str, object] = answer.json()
    return found


def check(holds: bool, message: str) -> None:
    if not holds:
        raise SystemExit(message)


@contextmanager
def label_studio(command: str, files: Path) -> Iterator[str]:
    """A Label Studio of its own, whose storage of local files serves a folder."""
    check(bool(command), "label-studio is not installed: give its command as --label-studio")
    url = f"http://localhost:{PORT}"
    with tempfile.TemporaryDirectory() as data:
        environment = {
            "LABEL_STUDIO_BASE_DATA_DIR": data, "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files), "LABEL_STUDIO_HOST": url,
            "LABEL_STUDIO_USER_TOKEN": TOKEN, "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "USE_DEFAULT_BANNED_SUBNETS": "false", "COLLECT_ANALYTICS": "false",
        }  # fmt: skip
        user = ["--username", EMAIL, "--password", PASSWORD]
        with started([command, "start", "--no-browser", "--port", str(PORT), *user], environment) as (process, log):
            wait_for(lambda: is_up(f"{url}/health"), START_SECONDS, process, log)
            yield url


@contextmanager
def serving(checkpoint: Path, url: str, files: Path, token: str) -> Iterator[str]:
    """The model as an ML backend; its address."""
    command = [sys.executable, "-m", "instseg", "serve", f"checkpoint={checkpoint}", "port=0"]
    command += [f"labelstudio.url={url}", f"labelstudio.files={files}"]
    with started(command, {"LABEL_STUDIO_API_KEY": token}) as (process, log):
        wait_for(lambda: "Ctrl-C stops it" in log.read_text(), START_SECONDS, process, log)
        yield re.findall(r"serving: +(\S+)", log.read_text())[0]


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with tempfile.NamedTemporaryFile(suffix=".log") as log, ExitStack() as stack:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=os.environ | environment)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        yield process, Path(log.name)


def is_up(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.HTTPError:
        return False


def wait_for(holds: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + seconds
    while not holds():
        check(process.poll() is None, f"ended with code {process.poll()}: {log.read_text()[-3000:]}")
        check(time.monotonic() < end, f"not up after {seconds:.0f} s: {log.read_text()[-3000:]}")
        time.sleep(1)


@contextmanager
def browser(url: str) -> Iterator[webdriver.Chrome]:
    """A headless Chromium that has logged in."""
    options = webdriver.ChromeOptions()
    options.binary_location = which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    page = webdriver.Chrome(options, webdriver.ChromeService(which("chromedriver") or "chromedriver"))
    try:
        page.get(f"{url}/user/login/")
        page.find_element(By.NAME, "email").send_keys(EMAIL)
        page.find_element(By.NAME, "password").send_keys(PASSWORD, "\n")
        yield page
    finally:
        page.quit()


def opened(page: webdriver.Chrome, address: str, pictures: Path | None, name: str) -> int:
    """Open a task in the editor, and count the regions of its list once they do not change any more."""
    page.get(address)
    end, before, count = time.monotonic() + PAGE_SECONDS, -1, 0
    while time.monotonic() < end and not (count and count == before):
        time.sleep(3)
        before, count = count, len(page.find_elements(By.CSS_SELECTOR, REGIONS))
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        page.save_screenshot(str(pictures / f"{name}.png"))
    return count


if __name__ == "__main__":
    main()
