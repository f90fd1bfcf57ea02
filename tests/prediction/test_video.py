"""Videos in, tracked and drawn videos out."""

from __future__ import annotations

import csv
import json
import signal
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from export_factories import all_writers
from moving_discs import FindsDiscs, disc_predictor, film, is_near, picture, write_video
from PIL import Image as PilImage
from pycocotools.coco import COCO
from rich.console import Console

from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.data.formats.coco.predictions import mark_predictions
from instseg.prediction.output import OutputOptions
from instseg.prediction.video import overlays
from instseg.prediction.video.camera import Camera
from instseg.prediction.video.opening import open_video
from instseg.prediction.video.run import VideoRun
from instseg.prediction.video.source import check_video, names_video
from instseg.prediction.video.start import start_video
from instseg.prediction.video.summary import VideoSummary
from instseg.prediction.video.tracker import Tracker
from instseg.prediction.video.video_file import VideoFile
from instseg.visualization.colours import category_colour

ALL = ["overlays", "coco", "csv"]
CROSSING = {"red": lambda frame: (15 + 6 * frame, 46.0), "green": lambda frame: (145 - 6 * frame, 52.0)}


def predict(
    source: Path | str, output: Path, network: FindsDiscs | None = None, fps: float | None = None, **options: object
) -> VideoSummary:
    """Without an overlay, as most tests look at none."""
    video = open_video([str(source)], fps, None)
    chosen = OutputOptions(**{"save": "csv", **options})
    start = start_video(
        disc_predictor(network), Tracker(), video, output, all_writers(), chosen, identity={}, settings={}
    )
    return VideoRun(start, video).write(Console(quiet=True))


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pictures(path: Path) -> list[tuple[float, Image]]:
    """Time and pixels of each frame."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def stopped_at(frame: int, how: Callable[[], None]) -> FindsDiscs:
    """A network that is stopped while it looks at a frame."""

    def score(colour: str, number: int) -> float:
        if number == frame:
            how()
        return 0.9

    return FindsDiscs(score)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def power_cut() -> None:
    raise MemoryError("as if the process ended here")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 frames in which two discs cross."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", film(22, **CROSSING))


@pytest.fixture(scope="module")
def whole(clip: Path) -> tuple[VideoSummary, Path]:
    """The clip predicted in one go, and the folder of that."""
    return predict(clip, clip.with_name("out"), batch_size=3, save=ALL), clip.with_name("out")


def test_a_video_becomes_an_overlay_a_table_and_a_coco_json_with_tracks(whole):
    summary, output = whole
    assert (summary.exit_code, summary.num_frames, summary.damage) == (0, 22, [])
    assert (summary.num_tracks, summary.num_instances["disc"]) == ({"disc": 2}, len(rows(output)))
    first = rows(output)[0]
    assert [first[key] for key in ("frame", "time_seconds", "track", "category")] == ["1", "0.0", "1", "disc"]

    coco = COCO(str(output / "predictions.json"))
    mark_predictions(coco.dataset)
    assert all(image["is_prediction"] for image in coco.dataset["images"])  # not taken for labels until corrected
    assert coco.dataset["videos"] == [{"id": 1, "name": "clip.mp4", "frames_per_second": 25.0}]
    assert coco.imgs[22]["frame_index"] == 21 and coco.imgs[22]["time_seconds"] == 0.84
    assert [track["id"] for track in coco.dataset["tracks"]] == [1, 2]
    assert {entry["video_id"] for entry in coco.anns.values()} == {1}
    assert coco.annToMask(coco.anns[1]).sum() == coco.anns[1]["area"] > 300

    drawn = pictures(output / "overlays.mp4")
    assert len(drawn) == 22 and drawn[-1][0] == pytest.approx(0.84)
    assert drawn[0][1].shape == (384, 640, 3)  # enlarged, so that names can be read


def test_discs_that_cross_keep_their_numbers_and_their_colours(whole):
    output = whole[1]
    centres: dict[str, list[float]] = {"1": [], "2": []}
    for row in rows(output):
        centres[row["track"]].append((float(row["x1_px"]) + float(row["x2_px"])) / 2)
    assert np.diff(centres["1"]).min() > 0 > np.diff(centres["2"]).max()
    drawn = [pixels for _, pixels in pictures(output / "overlays.mp4")]
    for number in "12":
        assert all(is_near(pixels, category_colour(int(number))).sum() > 300 for pixels in drawn)


def test_an_object_that_leaves_and_one_that_enters_have_different_numbers(tmp_path):
    courses = {
        "red": lambda frame: (100 + 8 * frame, 30) if frame < 12 else None,
        "blue": lambda frame: (150 - 4 * (frame - 13), 34) if frame >= 13 else None,
    }
    predict(write_video(tmp_path / "clip.mp4", film(25, **courses)), tmp_path / "out")
    first, second = ({int(row["frame"]) for row in rows(tmp_path / "out") if row["track"] == n} for n in "12")
    assert max(first) < min(second) == 14


def test_an_object_that_is_hidden_for_a_while_keeps_its_number(tmp_path):
    course = {"red": lambda frame: (20 + 4 * frame, 40) if not 10 <= frame < 18 else None}
    predict(write_video(tmp_path / "clip.mp4", film(30, **course)), tmp_path / "out")
    assert {row["track"] for row in rows(tmp_path / "out")} == {"1"}


def test_objects_of_a_time_lapse_are_tracked_however_far_apart_its_frames_are(tmp_path):
    for number, image in enumerate(film(5, red=lambda frame: (40 + 6 * frame, 40) if frame != 3 else None)):
        PilImage.fromarray(image).save(tmp_path / f"{number}.png")
    predict(tmp_path, tmp_path / "out", fps=0.1)
    assert [row["track"] for row in rows(tmp_path / "out")] == ["1", "1", "1", "2"]


def test_objects_are_tracked_through_frames_whose_times_jitter(tmp_path):
    images = film(5, red=lambda frame: (20 + 10 * frame, 40))
    predict(write_video(tmp_path / "clip.mkv", images, times=[0, 10, 11, 100, 101]), tmp_path / "out")
    assert [row["track"] for row in rows(tmp_path / "out")] == ["1"] * 5


def test_fast_objects_are_tracked_from_their_first_step_on(tmp_path):
    courses = {"red": lambda frame: (20 + 28 * frame, 20), "green": lambda frame: (20 + 28 * frame, 75)}
    predict(write_video(tmp_path / "clip.mp4", film(5, **courses)), tmp_path / "out")
    assert [row["track"] for row in rows(tmp_path / "out")] == ["1", "2"] * 5


def test_weak_detections_continue_a_track_but_begin_none(tmp_path):
    courses = {"red": lambda frame: (20 + 4 * frame, 30), "green": lambda frame: (20 + 4 * frame, 75)}
    path = write_video(tmp_path / "clip.mp4", film(8, **courses))
    weak_red_later = FindsDiscs(lambda colour, frame: 0.9 if colour == "red" and frame < 4 else 0.3)
    predict(path, tmp_path / "out", weak_red_later)
    assert [(row["frame"], row["track"]) for row in rows(tmp_path / "out")] == [(str(n), "1") for n in range(1, 9)]


def test_categories_are_tracked_each_by_itself_and_can_be_chosen(tmp_path):
    courses = {"red": lambda frame: (40 + frame, 40), "yellow": lambda frame: (44 + frame, 60)}
    path = write_video(tmp_path / "clip.mp4", film(6, **courses))
    assert predict(path, tmp_path / "all").num_tracks == {"disc": 1, "ball": 1}
    assert predict(path, tmp_path / "balls", categories=["ball"]).num_tracks == {"ball": 1}


@pytest.mark.parametrize("stop", [ctrl_c, power_cut])
def test_a_run_that_was_stopped_resumes_with_the_next_frame_and_the_same_tracks(clip, whole, tmp_path, stop):
    network = stopped_at(13, stop)
    if stop is ctrl_c:
        summary = predict(clip, tmp_path / "out", network, save=ALL)
        assert (summary.exit_code, summary.num_frames) == (130, 12)
        assert len(pictures(tmp_path / "out/overlays.mp4")) == 12
        assert {row["frame"] for row in rows(tmp_path / "out")} == {str(n) for n in range(1, 13)}
    else:
        with pytest.raises(MemoryError):
            predict(clip, tmp_path / "out", network, save=ALL)
        with (tmp_path / "out/frames.jsonl").open("a") as file:
            file.write('{"frame": 13, "time_sec')  # half a line
    later = FindsDiscs()
    assert predict(clip, tmp_path / "out", later, save=ALL).exit_code == 0
    assert later.frames == list(range(13, 23))
    for name in ("frames.jsonl", "predictions.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (whole[1] / name).read_bytes()
    assert len(pictures(tmp_path / "out/overlays.mp4")) == 22
    assert json.loads((tmp_path / "out/prediction_run.json").read_text())["state"] == "done"


def test_a_stopped_run_is_not_resumed_under_other_settings_nor_a_finished_one_replaced(clip, tmp_path):
    predict(clip, tmp_path / "out", stopped_at(9, ctrl_c))
    with pytest.raises(InstsegError, match="limit=5: expected 8 or more"):
        predict(clip, tmp_path / "out", limit=5)
    with pytest.raises(InstsegError, match=r"another score_threshold.*overwrite=true"):
        predict(clip, tmp_path / "out", score_threshold=0.7)
    other = write_video(tmp_path / "clip.mp4", film(3, **CROSSING))
    with pytest.raises(InstsegError, match=r"another num_bytes, video"):
        predict(other, tmp_path / "out")
    assert predict(other, tmp_path / "out", overwrite=True).num_frames == 3
    with pytest.raises(InstsegError, match="earlier run"):
        predict(other, tmp_path / "out")


def test_the_overlay_can_be_played_while_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(overlays, "SECONDS_PER_KEYFRAME", 0.04)
    seen = []

    def look() -> None:
        seen.append(len(pictures(tmp_path / "out/overlays.mp4")))

    long = write_video(tmp_path / "clip.mp4", film(40, red=lambda frame: (30, 30)))
    predict(long, tmp_path / "out", stopped_at(40, look), save="overlays")
    assert 0 < seen[0] < 40


def test_times_of_a_variable_frame_rate_are_kept(tmp_path):
    times = [0, 10, 15, 60, 61, 300]
    path = write_video(tmp_path / "clip.mkv", film(6, **CROSSING), times=times)
    predict(path, tmp_path / "out", save=ALL)
    expected = [time / 250 for time in times]
    drawn = pictures(tmp_path / "out/overlays.mp4")
    assert [time for time, _ in drawn] == pytest.approx(expected, abs=1e-3)
    assert sorted({float(row["time_seconds"]) for row in rows(tmp_path / "out")}) == pytest.approx(expected, abs=1e-3)


def test_a_rotated_video_is_predicted_upright(tmp_path):
    image = picture({"red": (30, 20)})
    path = write_video(tmp_path / "clip.mp4", [image] * 3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    quarter_turn = (0, 65536, 0, -65536, 0, 0, 96 * 65536, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *quarter_turn)
    path.write_bytes(content)
    predict(path, tmp_path / "out", save=ALL)
    first = rows(tmp_path / "out")[0]
    assert (first["image_width_px"], first["image_height_px"]) == ("96", "160")
    assert (float(first["x1_px"]) + 12, float(first["y1_px"]) + 12) == pytest.approx((96 - 20, 30), abs=2)
    assert pictures(tmp_path / "out/overlays.mp4")[0][1].shape == (640, 384, 3)


def test_odd_sizes_are_padded_and_colours_are_kept(tmp_path):
    image = np.full((481, 701, 3), (200, 120, 60), np.uint8)
    write_video(tmp_path / "clip.mkv", [image] * 2)
    predict(tmp_path / "clip.mkv", tmp_path / "out", save="overlays")
    drawn = pictures(tmp_path / "out/overlays.mp4")[0][1]
    assert drawn.shape == (482, 702, 3)
    assert np.abs(drawn[10, 10].astype(int) - (200, 120, 60)).max() <= 4


def test_the_audio_is_copied_as_far_as_the_video_goes(tmp_path):
    path = write_video(tmp_path / "clip.mp4", film(20, **CROSSING), sound="aac")
    predict(path, tmp_path / "out", save=ALL)
    predict(path, tmp_path / "part", limit=10, save="overlays")
    for name, seconds in (("out", 0.8), ("part", 0.4)):
        with av.open(str(tmp_path / name / "overlays.mp4")) as container:
            audio = container.streams.audio[0]
            assert float(audio.duration * audio.time_base) == pytest.approx(seconds, abs=0.07)
        assert len(pictures(tmp_path / name / "overlays.mp4")) == seconds * 25
    raw = write_video(tmp_path / "clip.mkv", film(4, **CROSSING), sound="pcm_s16le")
    (note,) = predict(raw, tmp_path / "raw", save="overlays").notes
    assert "the audio of clip.mkv (pcm_s16le) is not in overlays.mp4" in note
    assert len(pictures(tmp_path / "raw/overlays.mp4")) == 4 and not list((tmp_path / "raw").glob(".*"))


def test_of_a_truncated_video_what_can_be_read_is_kept_and_the_rest_is_named(clip, tmp_path):
    content = clip.read_bytes()
    middle = (content.index(b"mdat") + len(content)) // 2
    (tmp_path / "short.mp4").write_bytes(content[:middle])
    summary = predict(tmp_path / "short.mp4", tmp_path / "out", save=ALL)
    assert summary.exit_code == 2 and 2 < summary.num_frames < 20
    assert any("truncated" in reason for _, reason in summary.damage)
    assert len(pictures(tmp_path / "out/overlays.mp4")) == summary.num_frames
    record = json.loads((tmp_path / "out/prediction_run.json").read_text())
    assert record["unreadable"][-1]["reason"] == summary.damage[-1][1]


def test_a_damaged_video_is_read_to_its_end(clip, tmp_path):
    content = bytearray(clip.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle : middle + 300] = bytes(300)
    (tmp_path / "damaged.mp4").write_bytes(content)
    summary = predict(tmp_path / "damaged.mp4", tmp_path / "out", save=ALL)
    assert summary.exit_code == 2 and summary.num_frames > 15
    assert len(pictures(tmp_path / "out/overlays.mp4")) == summary.num_frames


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"no video at all" * 99, "cannot be read as a video"),
        (None, "is it complete"),
    ],
)
def test_a_file_that_is_no_video_is_refused_before_any_work(clip, tmp_path, content, said):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes()[:400] if content is None else content)
    with pytest.raises(InstsegError, match=rf"clip\.mp4.*{said}"):
        predict(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_video_without_pictures_or_frames_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        voice = container.add_stream("pcm_s16le", rate=16000)
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        heard.sample_rate = 16000
        container.mux(voice.encode(heard))
    with pytest.raises(InstsegError, match="holds no video, only audio"):
        VideoFile(tmp_path / "sound.mkv")


def test_the_images_of_a_folder_are_frames_in_the_order_a_person_counts(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, image in enumerate(film(12, **CROSSING), start=1):
        PilImage.fromarray(image).save(folder / f"f{number}.png")
    (folder / "f5.png").write_bytes(b"")
    PilImage.fromarray(picture({}, (50, 50))).save(folder / "f7.png")
    summary = predict(folder, tmp_path / "out", fps=10, save=ALL)
    assert (summary.exit_code, summary.num_frames) == (2, 10)
    assert [reason for _, reason in summary.damage] == [
        "the file is empty",
        "expected 160 x 96 px as the first, found 50 x 50",
    ]
    coco = COCO(str(tmp_path / "out/predictions.json"))
    assert [(image["id"], image["file_name"]) for image in coco.imgs.values()][3:6] == [
        (4, "f4.png"),
        (6, "f6.png"),
        (8, "f8.png"),
    ]
    assert summary.num_tracks == {"disc": 2}
    assert pictures(tmp_path / "out/overlays.mp4")[-1][0] == pytest.approx(1.1)


class ThreeFrames:
    """A camera of OpenCV that gives three frames."""

    def __init__(self, index: int) -> None:
        self.left = [picture({"red": (30 + 10 * n, 40)})[..., ::-1] for n in range(3)] if index == 0 else []
        self.may_read = threading.Semaphore(1)

    def isOpened(self) -> bool:  # noqa: N802
        return bool(self.left)

    def get(self, what: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, Image | None]:
        self.may_read.acquire(timeout=5)
        return (True, self.left.pop(0)) if self.left else (False, None)

    def release(self) -> None:
        pass


def test_a_camera_is_followed_until_it_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", ThreeFrames)
    video = Camera(0)
    network = FindsDiscs(lambda colour, frame: video.capture.may_read.release() or 0.9)
    options = OutputOptions(batch_size=8)
    start = start_video(
        disc_predictor(network), Tracker(), video, tmp_path / "out", all_writers(), options, identity={}, settings={}
    )
    summary = VideoRun(start, video).write(Console(quiet=True))
    assert (summary.num_frames, summary.num_tracks) == (3, {"disc": 1})
    assert summary.damage == [("after frame 3", "the camera gives no more frames")]
    with pytest.raises(InstsegError, match="no such camera"):
        open_video(["camera:1"], None, None)


def test_video_files_and_cameras_are_videos_and_folders_are_if_the_user_says_so(clip, tmp_path):
    (tmp_path / "0").mkdir()
    PilImage.new("RGB", (8, 8)).save(tmp_path / "0/a.png")
    assert names_video([str(clip)], "auto") and names_video(["camera:0"], "auto")
    assert not names_video([str(tmp_path / "0")], "auto") and names_video([str(tmp_path / "0")], True)
    assert not names_video([str(clip)], False)
    check_video([str(tmp_path / "0")], 12.0)
    with pytest.raises(InstsegError, match=r"one video, or images, found .*clip\.mp4 among 2"):
        names_video([str(clip), "a.jpg"], "auto")
    with pytest.raises(InstsegError, match="fps=12 is for images"):
        check_video([str(clip)], 12.0)
    with pytest.raises(InstsegError, match=r"no such file.*Did you mean.*clip\.mp4"):
        check_video([str(clip.with_name("clp.mp4"))], None)


def test_formats_that_are_not_made_of_videos_are_refused_with_what_to_do(clip, tmp_path):
    with pytest.raises(InstsegError, match=r"labelme is not made of videos, only overlays, coco, csv.*ffmpeg"):
        predict(clip, tmp_path / "out", save=["overlays", "labelme"])


def test_a_missing_decoder_is_named_with_its_extra(clip, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InstsegError, match=r'pip install "instseg\[video\]"'):
        check_video([str(clip)], None)
