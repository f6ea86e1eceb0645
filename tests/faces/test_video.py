"""Recordings: exact frames, honest times, damaged files."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib.faces import video
from expresso_lib.rendered import actions, scene

N, HEIGHT, WIDTH = 61, 48, 64


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame that says its number in blocks, robust to compression: 8 bits, black or white."""
    image = np.full((height, width, 3), 60, np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            image[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 230
    return image


def number_of(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    centres = [(2 * bit + 1) * width // 16 for bit in range(8)]
    return sum(1 << bit for bit, x in enumerate(centres) if image[height // 4, x].mean() > 145)


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = N,
    fps: float | None = 25,
    pts: list[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    **options: str,
) -> Path:
    """Write a small file with any codec, time stamps and container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps or 25), options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if pts is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """61 frames, key frames every 12, B-frames: the ordinary file."""
    return encode(tmp_path_factory.mktemp("video") / "plain.mp4", g="12", bf="3")


def numbers(path: Path, frames=None) -> list[int]:
    return [number_of(frame.image) for frame in video.read_frames(path, frames)]


def test_read_frames_are_all_in_display_order(recording):
    """Frame f is the f-th picture; the recording says when each is shown."""
    frames = list(video.read_frames(recording))
    assert [number_of(f.image) for f in frames] == list(range(N))
    assert [f.number for f in frames] == list(range(N))
    np.testing.assert_allclose(video.probe(recording).times, np.arange(N) / 25, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "7", "bf": "3"}),
        ("open gop.mp4", "libx264", {"g": "9", "bf": "3", "x264-params": "open-gop=1"}),
        ("hevc.mov", "libx265", {"x265-params": "log-level=none:keyint=10:bframes=3"}),
        ("b.mkv", "libx264", {"g": "8"}),
        ("c.avi", "mpeg4", {"g": "8"}),
        ("d.flv", "flv1", {"g": "8"}),
        ("e.mpg", "mpeg2video", {"g": "8"}),
        ("f.webm", "libvpx", {"g": "8", "deadline": "realtime"}),
    ],
)
def test_read_array_seeks_to_the_very_frame_in_every_container(tmp_path, name, codec, options):
    """A jump gives the pixels that decoding from the start gives, whatever stores the frames."""
    path = encode(tmp_path / name, codec=codec, **options)
    everything = np.stack([frame.image for frame in video.read_frames(path)])
    asked = [57, 3, 30, 31, 58, 3, 0, N - 1]
    np.testing.assert_array_equal(video.read_array(path, asked), everything[asked])
    assert [number_of(image) for image in everything] == list(range(N))


@settings(max_examples=20, deadline=None)
@given(chosen=st.sets(st.integers(0, N - 1), min_size=1))
def test_read_frames_gives_exactly_the_frames_asked_for(recording, chosen):
    """Any increasing choice of frames comes back as asked, no more and no fewer."""
    wanted = sorted(chosen)
    assert numbers(recording, wanted) == wanted


def test_read_frames_refuses_numbers_outside_and_disorder(recording):
    """A number the recording lacks is refused with its range; disorder too."""
    with pytest.raises(video.VideoError, match="0 to 60"):
        list(video.read_frames(recording, [N]))
    with pytest.raises(video.VideoError, match="increase"):
        list(video.read_frames(recording, [4, 4]))
    assert list(video.read_frames(recording, [])) == []


def test_variable_frame_rate_keeps_its_time_stamps(tmp_path):
    """Gaps of 20 and 80 ms are told as they are, and the mean rate is theirs."""
    stamps = np.cumsum([0] + [20, 80] * 30)[:N].tolist()
    path = encode(tmp_path / "variable.mkv", pts=stamps)
    info = video.probe(path)
    np.testing.assert_allclose(info.times, np.array(stamps) / 1000, atol=1e-3)
    assert info.fps == pytest.approx(20, rel=0.02)
    assert numbers(path, [50, 51]) == [50, 51]


@pytest.mark.parametrize(
    ("degrees", "matrix"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))]
)
def test_rotation_flag_is_honoured(recording, tmp_path, degrees, matrix):
    """A phone's rotation flag turns the picture upright, and width and height with it."""
    data = bytearray(recording.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of other fields
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(bytes(data))
    info = video.probe(turned)
    upright = video.read_array(turned, [5])[0]
    assert upright.shape[:2] == (info.height, info.width)
    # The matrix turns the picture clockwise by `degrees`.
    np.testing.assert_array_equal(
        upright, np.rot90(video.read_array(recording, [5])[0], -degrees // 90)
    )


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)])
def test_mirrored_pictures_are_refused(recording, tmp_path, matrix):
    """A flip is no rotation: taken for one, it would put faces upside down."""
    data = bytearray(recording.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "flip.mp4").write_bytes(bytes(data))
    with pytest.raises(video.VideoError, match="mirrored"):
        video.probe(tmp_path / "flip.mp4")


def test_pictures_that_change_their_size_are_scaled_to_the_first(tmp_path, caplog):
    """A call's picture grows when the line gets better; landmarks lie on one grid."""
    small, large = (HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH)
    first, second = (encode(tmp_path / f"{size[0]}.ts", codec="mpeg2video", size=size, frames=10)
                     for size in (small, large))  # fmt: skip
    call = tmp_path / "call.ts"
    call.write_bytes(first.read_bytes() + second.read_bytes())
    shapes = {frame.image.shape for frame in video.read_frames(call)}
    assert shapes == {(*small, 3)}
    assert caplog.text.count("changes the size of its picture") == 1


def test_header_without_frame_rate_is_measured(tmp_path):
    """0 frames per second in the header: the time stamps say it."""
    path = encode(tmp_path / "none.mkv", pts=[40 * i for i in range(N)])
    data = path.read_bytes()
    place = data.index(bytes.fromhex("23e383"))  # DefaultDuration becomes a void element
    length = 4 + (data[place + 3] & 0x7F)
    void = bytes([0xEC, 0x80 | length - 2]) + bytes(length - 2)
    path.write_bytes(data[:place] + void + data[place + length :])
    info = video.probe(path)
    assert info.fps == pytest.approx(25, rel=1e-3)
    assert numbers(path, [60]) == [60]


def test_one_frame_has_a_rate_and_a_time(tmp_path):
    """A recording of one frame is a recording, 25 frames a second."""
    info = video.probe(encode(tmp_path / "one.mp4", frames=1))
    assert (info.n_frames, info.fps) == (1, 25)
    assert info.times.tolist() == [0.0]


def test_avi_with_reordered_pictures_is_counted_as_it_is_shown(tmp_path):
    """AVI has no display times; those that are made up for it would swap pictures."""
    path = encode(tmp_path / "b.avi", g="12", bf="3")
    assert numbers(path) == list(range(N))
    np.testing.assert_array_equal(number_of(video.read_array(path, [37])[0]), 37)


def test_pictures_before_the_first_that_decodes_are_not_counted(tmp_path):
    """Cut inside a group of pictures, as broadcasts are: frame 0 is the first that is seen."""
    whole, cut = encode(tmp_path / "whole.ts", g="20", bf="2"), tmp_path / "cut.ts"
    with av.open(str(whole)) as container:
        places = [p.pos for p in container.demux(video=0) if p.size]
    cut.write_bytes(whole.read_bytes()[places[4] :])
    with av.open(str(cut)) as container:
        seen = [number_of(one.to_ndarray(format="rgb24")) for one in container.decode(video=0)]
    assert seen[0] > 4, "the first group cannot be decoded"
    assert numbers(cut)[: len(seen)] == seen
    assert numbers(cut, [5]) == [seen[5]]


def test_a_pause_before_a_file_was_cut_short_costs_nothing(tmp_path):
    """Only a hole at the very end speaks of pictures that are gone."""
    stamps = [40 * n + 300 * (n > 20) for n in range(N)]
    whole, cut = encode(tmp_path / "whole.mp4", pts=stamps, g="10"), tmp_path / "cut.mp4"
    with (
        av.open(str(whole), "r") as source,
        av.open(str(cut), "w", options={"movflags": "+faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * 0.9)])
    assert len(numbers(cut)) > 40


@pytest.mark.parametrize("share", [0.65, 0.75, 0.85, 0.95])
def test_truncated_file_keeps_what_is_there(tmp_path, caplog, share):
    """A file cut short gives the frames it has; the rest are counted, none renumbered."""
    whole = video.write_video(tmp_path / "whole.mp4", map(picture, range(N)), 25, key_every=10)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    info = video.probe(cut)
    got = list(video.read_frames(cut))
    assert 0 < len(got) <= info.n_frames < N
    assert all(number_of(frame.image) == frame.number for frame in got)
    assert "cut short" in caplog.text


def test_damaged_packets_lose_their_frames_only(tmp_path, caplog):
    """Noise in the middle of the file costs frames there: the others keep their numbers."""
    path = video.write_video(tmp_path / "noise.mp4", map(picture, range(N)), 25, key_every=10)
    data = bytearray(path.read_bytes())
    info = video.probe(path)
    with av.open(str(path)) as container:
        victims = [p for p in container.demux(video=0) if p.size][20:23]
        for packet in victims:
            data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(bytes(data))
    got = list(video.read_frames(path))
    assert info.n_frames == N
    assert len(got) < N
    assert "could not be decoded" in caplog.text
    assert all(number_of(frame.image) == frame.number for frame in got)
    missing = sorted(set(range(N)) - {f.number for f in got})
    with pytest.raises(video.VideoError, match="cannot be decoded"):
        video.read_array(path, missing[:1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("empty.mp4", b"", "empty"), ("text.mp4", b"no video at all" * 50, "cannot be read")],
)
def test_file_that_is_no_video_is_refused_by_name(tmp_path, name, content, message):
    """The error names the file and says what to do."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(video.VideoError, match=f"{name}.*{message}"):
        video.probe(tmp_path / name)


def trimmed(path: Path, *, skip: int) -> Path:
    """Make a file's edit list begin `skip` frames later, as a phone does that trims a video."""
    data = bytearray(path.read_bytes())
    edit, header = data.find(b"elst"), data.find(b"mdhd")
    (scale,) = struct.unpack(">I", data[header + 16 : header + 20])
    (begin,) = struct.unpack(">i", data[edit + 16 : edit + 20])
    data[edit + 16 : edit + 20] = struct.pack(">i", begin + skip * scale // 25)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("skip", [5, 14])
def test_a_trimmed_phone_video_gives_what_decodes(tmp_path, caplog, skip):
    """An edit list before or behind a key frame and a hole in time: no frame lost or renumbered."""
    stamps = [40 * n for n in range(N) if n != 30]
    path = encode(tmp_path / "phone.mp4", frames=N - 1, pts=stamps, g="12", bf="2")
    trimmed(path, skip=skip)
    with av.open(str(path)) as container:
        decoded = [
            number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]
    got = list(video.read_frames(path))
    assert [number_of(frame.image) for frame in got] == decoded
    assert video.probe(path).n_frames == len(decoded) == N - 1 - skip
    assert [frame.number for frame in got] == list(range(len(decoded)))
    assert "cut short" not in caplog.text


def test_a_camera_tag_that_is_no_text_is_no_obstacle(tmp_path):
    """Some cameras write bytes into their tags: the pictures are read all the same."""
    path = tmp_path / "tag.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = "camera"
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(1), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"camera", b"cam\xff\xfe\xe9"))
    assert numbers(path) == [1]


def test_a_format_without_a_decoder_is_refused_by_name(tmp_path, recording):
    """The message names the file and what to convert it to."""
    path = tmp_path / "odd.mp4"
    path.write_bytes(recording.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(video.VideoError, match=r"odd\.mp4"):
        video.probe(path)


def test_missing_file_and_sound_only_are_refused(tmp_path):
    """A name without a file, and a file without a picture, say so."""
    with pytest.raises(video.VideoError, match="not a file"):
        video.probe(tmp_path / "nobody.mp4")
    sound = tmp_path / "sound.m4a"
    with av.open(str(sound), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(video.VideoError, match="no video"):
        video.probe(sound)
    song = tmp_path / "song.mp4"  # with a cover
    with av.open(str(sound)) as source, av.open(str(song), "w") as target:
        copied = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("mjpeg", width=16, height=16, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
        picture_ = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        target.mux(cover.encode(picture_))
        target.mux(cover.encode(None))
    with pytest.raises(video.VideoError, match="no video"):
        video.probe(song)


@pytest.mark.parametrize("size", [(2, 2), (2160, 3840)])
def test_tiny_and_4k_frames_are_read(tmp_path, size):
    """Two pixels or eight million: both are pictures."""
    frames = [np.full((*size, 3), value, np.uint8) for value in (40, 200)]
    path = video.write_video(tmp_path / "size.mp4", frames, 25)
    got = video.read_array(path, [0, 1])
    assert got.shape == (2, *size, 3)
    np.testing.assert_allclose(got.mean(axis=(1, 2, 3)), [40, 200], atol=3)


def test_names_with_spaces_and_accents_are_read(tmp_path):
    """Ünïcode and spaces in folder and file."""
    path = tmp_path / "Größe 大 é" / "mein Video ß.mp4"
    video.write_video(path, map(picture, range(3)), 12.5)
    assert numbers(path) == [0, 1, 2]


def test_write_video_plays_in_browsers(tmp_path):
    """H.264, 8-bit 4:2:0, index before the data; odd sizes are padded to even."""
    path = video.write_video(tmp_path / "odd.mp4", [picture(i, 33, 47) for i in range(3)], 29.97)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.height, context.width) == (
            "h264",
            "yuv420p",
            34,
            48,
        )
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert video.probe(path).fps == pytest.approx(29.97, rel=1e-3)


@pytest.mark.parametrize("side", [112, 160])
def test_the_same_frames_give_the_same_file(tmp_path, side):
    rng = np.random.default_rng(0)
    script = actions.practice_clip(8, 1, 24).script
    frames = [frame.image for frame in scene.render(script, size=side)]
    files = set()
    for _ in range(4):
        # An encoder that reads memory it never wrote finds other values there each time.
        waste = [rng.integers(0, 256, 2**20, dtype=np.uint8) for _ in range(40)]
        del waste
        files.add(video.write_video(tmp_path / "twice.mp4", frames, 12.5).read_bytes())
    assert len(files) == 1


def test_write_video_refuses_what_is_no_film(tmp_path):
    """No frames, a rate of 0, a frame of another size: refused, and no file is left."""
    with pytest.raises(video.VideoError, match="no frames"):
        video.write_video(tmp_path / "a.mp4", [], 25)
    with pytest.raises(video.VideoError, match="0 frames/s"):
        video.write_video(tmp_path / "b.mp4", [picture(0)], 0)
    with pytest.raises(video.VideoError, match=r"not uint8 \(48, 64, 3\)"):
        video.write_video(tmp_path / "c.mp4", [picture(0), picture(1, 32, 32)], 25)
    assert list(tmp_path.iterdir()) == []


def _write_as_nobody(folder: str, answer) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        video.write_video(Path(folder) / "x.mp4", [picture(0)], 25)
    except (video.VideoError, OSError) as error:
        answer.put(f"{type(error).__name__}: {error}")
    else:
        answer.put("written")


def _write_on_full_disk(folder: str, answer) -> None:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
    try:
        video.write_video(Path(folder) / "x.mp4", noise, 25, crf=0)
    except video.VideoError as error:
        answer.put(str(error))
    else:
        answer.put("written")


def _in_process(target, folder: Path) -> str:
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    process = context.Process(target=target, args=(str(folder), answer))
    process.start()
    process.join(60)
    return answer.get()


def test_write_video_without_permission_names_the_folder(tmp_path):
    """An unprivileged user who may not write is told which file and what to check."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    for parent in itertools.takewhile(lambda p: p != Path("/tmp"), folder.parents):
        parent.chmod(parent.stat().st_mode | 0o055)
    message = _in_process(_write_as_nobody, folder)
    assert message != "written"
    assert "closed" in message


def test_write_video_on_full_disk_leaves_nothing(tmp_path):
    """A disk that refuses half-way is named; no half file stays."""
    message = _in_process(_write_on_full_disk, tmp_path)
    assert "x.mp4" in message
    assert "space" in message
    assert list(tmp_path.iterdir()) == []


def test_warp_averages_where_it_shrinks():
    """A fine checkerboard reduced eightfold is grey, not a pattern; identity changes nothing."""
    y, x = np.mgrid[:160, :160]
    board = np.repeat((255 * ((x + y) % 2))[..., None], 3, axis=2).astype(np.uint8)
    eighth = video.warp(board, np.array([[1 / 8, 0, -7 / 16], [0, 1 / 8, -7 / 16]]), 16)
    np.testing.assert_allclose(eighth, 127, atol=2)
    np.testing.assert_array_equal(video.warp(board, np.array([[1.0, 0, 0], [0, 1, 0]]), 160), board)


def test_warp_outside_the_picture_is_black():
    """A crop beyond the border is black, never an error."""
    image = np.full((20, 30, 3), 200, np.uint8)
    assert not video.warp(image, np.array([[1.0, 0, 100], [0, 1, 100]]), 8).any()
    half = video.warp(image, np.array([[1.0, 0, 4], [0, 1, 0]]), 8)
    assert not half[:, :4].any()
    assert (half[:, 5:] == 200).all()
