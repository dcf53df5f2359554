"""Videos, cameras and streams, read frame by frame with their times; what is damaged is counted, what is whole is kept.

PyAV decodes. It is imported when a video is opened: whoever looks at pictures alone needs none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from errno import EIO
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vedette.errors import InputError
from vedette.infer.video_names import is_address, is_camera, without_password

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PATIENCE = 10.0  # seconds without a sign of life, after which a camera or stream counts as gone
USUAL_RATE = Fraction(25)  # frames a second, where a video does not say
SLACK = 1.0, 0.02  # seconds, and share of its length, that a video may end before its header says
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
# What reads cameras: the format's name, the name of the device of a number, and what else is asked for; Apple's own
# default of 29.97 frames a second is one that many of its cameras refuse
CAMERAS: dict[str, tuple[str, str, dict[str, str]]] = {
    "linux": ("v4l2", "/dev/video{}", {}),
    "darwin": ("avfoundation", "{}", {"framerate": "30"}),
    "win32": ("dshow", "video={}", {}),
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a video, and when it is shown."""

    number: int  # from 0 on; the frames that a slow reader of a live stream missed are counted
    time: float  # seconds, by the video's own clock, which need not begin at 0
    picture: Image.Image  # RGB, upright
    stamp: int  # the time in the video's time base
    sound: tuple[Packet[AudioStream], ...] = ()  # packets of sound that came since the frame before


class Video:
    """An open video: a file's path, a camera's number, or a stream's address.

    `live`: what is not read now is gone; a camera, and a stream that does not say how long it is. `total`: how many
    frames it says it has, None where it does not. After the frames were read, `faults` says what was damaged, a line
    each, and `rest` holds the sound behind the last frame.

    Raises InputError for what is no video, cannot be reached or cannot be read, and where PyAV is missing.
    """

    def __init__(self, source: str | Path | int) -> None:
        given = str(source)
        self.name = without_password(given)
        self.av: Any = _pyav(self.name)
        self.container: InputContainer = self._open(given)
        self.live = is_camera(given) or (is_address(given) and not self.container.duration)
        self.video = self._find_video()
        self.video.thread_type = "SLICE"  # several frames at once would be lost with one that is damaged
        sounds = () if self.live else self.container.streams.audio
        self.sound: AudioStream | None = sounds[0] if sounds else None
        self.time_base: Fraction = self.video.time_base or 1 / USUAL_RATE
        self.rate: Fraction = self.video.average_rate or self.video.guessed_rate or USUAL_RATE
        self.start, self.length = max(0, self.container.start_time or 0) / 1e6, (self.container.duration or 0) / 1e6
        self.total = None if self.live else self.video.frames or round(self.length * self.rate) or None
        self.faults: list[str] = []
        self.rest: tuple[Packet[AudioStream], ...] = ()
        self.undecoded, self.damaged, self.reached = 0, 0, 0.0

    @property
    def pixels(self) -> int:
        """Of a frame, as the header says."""
        return self.video.width * self.video.height

    def frames(self) -> Iterator[Frame]:
        """All that can be decoded, in order."""
        number, stamp, sound = 0, None, list["Packet[AudioStream]"]()
        step = max(1, round(1 / (self.rate * self.time_base)))
        for packet in self._packets():
            if packet is not None and packet.stream is not self.video:
                sound += [packet] if packet.dts is not None else []  # the last, empty one is a sign to the decoder
                continue
            for frame in self._decoded(packet):
                stamp = frame.pts if frame.pts is not None else 0 if stamp is None else stamp + step
                yield Frame(number, float(stamp * self.time_base), _upright(frame), stamp, tuple(sound))
                self.damaged += frame.is_corrupt
                number, sound = number + 1, []
        self.rest = tuple(sound)
        self.faults += [] if self.live else self._damage(number)

    def close(self) -> None:
        """Lets the file, the camera or the connection go."""
        self.container.close()

    def _packets(self) -> Iterator[Any]:
        """Of picture and sound, as far as they can be read; None behind a fault, for what the decoder still has."""
        streams = [self.video] if self.sound is None else [self.video, self.sound]
        try:
            for packet in self.container.demux(*streams):
                if packet.pts is not None and packet.time_base:
                    self.reached = max(self.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                yield packet
        except self.av.error.FFmpegError as error:
            if not (self.live and error.errno == EIO):  # so ends a stream over HTTP that never said how long it is
                self.faults.append(f"{self.name}: cannot be read to its end ({_reason(error)})")
            yield None

    def _decoded(self, packet: Packet[VideoStream] | None) -> Iterable[VideoFrame]:
        try:
            return self.video.decode(packet)
        except self.av.error.EOFError:  # the decoder was emptied already
            return []
        except self.av.error.FFmpegError:
            self.undecoded += 1
            return []

    def _damage(self, frames: int) -> list[str]:
        """What was wrong with a file, in a line; nothing of one that is whole."""
        found = []
        if self.start + self.length - self.reached > max(SLACK[0], SLACK[1] * self.length):
            found.append(f"it ends after {self.reached - self.start:.1f} of {self.length:.1f} seconds")
        if self.undecoded:
            found.append(f"not decoded: {self.undecoded}")
        if self.damaged:
            found.append(f"damaged frames: {self.damaged} of {frames}")
        what = f"{self.name}: a truncated or damaged video" + (f" ({', '.join(found)})" if found else "")
        return [f"{what}; what could be decoded was looked at"] if found else []

    def _open(self, given: str) -> InputContainer:
        name, form, options = f"file:{given}", None, dict[str, str]()  # a colon in a file's name is one
        if is_camera(given):
            form, name, options = _camera(int(given))
        elif is_address(given):
            rtsp = given.lower().startswith("rtsp")
            name, options = given, {"rtsp_flags": "prefer_tcp"} if rtsp else {}  # UDP is stopped by many a firewall
        timeout = (PATIENCE, PATIENCE) if form or is_address(given) else None
        try:
            container: InputContainer = self.av.open(name, "r", format=form, options=options, timeout=timeout)
        except (self.av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.name}: {_why_not(self.av, given, error)}") from None
        return container

    def _find_video(self) -> VideoStream:
        best = self.container.streams.best("video")
        if best is None or not best.codec_context.width or not best.codec_context.height:  # type: ignore[attr-defined]
            self.container.close()
            raise InputError(f"{self.name}: there are no pictures in it; give a video")
        return best  # type: ignore[return-value]


def _pyav(name: str) -> Any:
    try:
        return import_module("av")
    except ImportError:
        raise InputError(f'{name}: videos, cameras and streams need PyAV; pip install "vedette[video]"') from None


def _camera(number: int) -> tuple[str, str, dict[str, str]]:
    """The format, the device and the options of a camera's number here; raises InputError where there is none."""
    form, device, options = CAMERAS.get(sys.platform, CAMERAS["linux"])
    if form != "dshow":
        return form, device.format(number), options
    listed = import_module("av.device").enumerate_input_devices(form)
    found = [one.name for one in listed if "video" in one.media_types]
    if number >= len(found):
        raise InputError(f"{number}: no camera of this number; there are {len(found)}, counted from 0")
    return form, device.format(found[number]), options


def _upright(frame: VideoFrame) -> Image.Image:
    """Its picture, turned as phones say that it is to be shown."""
    converter: Any = frame  # whose method has no types
    picture: Image.Image = converter.to_image()
    turn = TURNS.get(frame.rotation % 360)
    return picture if turn is None else picture.transpose(turn)


def _why_not(av: Any, given: str, error: Exception) -> str:
    """What to do about a video that cannot be opened."""
    if is_camera(given):
        return f"no camera of this number ({_reason(error)}); the first is 0"
    if is_address(given):
        return f"cannot be reached, or is no video ({_reason(error)}); check the address"
    if isinstance(error, av.error.InvalidDataError):
        return "not a video that can be read, or its end is missing; replace it"
    return f"cannot be read ({_reason(error)}); check the file"


def _reason(error: Exception) -> str:
    if type(error).__name__ == "ExitError":  # PyAV's way to say that it waited for too long
        return f"nothing came for {PATIENCE:.0f} seconds"
    return getattr(error, "strerror", None) or str(error)
