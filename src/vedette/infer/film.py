"""An annotated video as it is written: every frame at its own time, and the sound as it was."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from vedette.errors import InputError
from vedette.infer.video import Frame, Video

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

# Without frames that are stored before their turn (bf), times need no shift. A fragment begins at each keyframe (g) and
# is on the disk when it ends: of a killed process all but the last can be played. At the end it is an ordinary file.
X264 = {"preset": "veryfast", "crf": "20", "bf": "0", "g": "50"}
MP4 = {"movflags": "+hybrid_fragmented+delay_moov", "use_editlist": "1", "flush_packets": "1"}
BITS = 0.2  # a pixel and frame, of the older encoder, which knows no quality
FINEST = 65535  # parts of a second that MPEG-4 part 2 can count
BT709, LIMITED = 1, 1  # how colours are stored, as players expect it of H.264


class Film:
    """A file in MP4: H.264 where the encoder is there, else MPEG-4 part 2.

    Width and height are those of the first picture; one of another size is fitted into them. `silent` says why the
    sound of the video could not be copied, "" where it was or there is none. What cannot be written raises InputError.
    """

    def __init__(self, path: Path, video: Video) -> None:
        self.path, self.source, self.av = path, video, video.av
        self.silent = ""
        self.container: OutputContainer | None = None
        self.stream: VideoStream | None = None
        self.sound: Any = None
        self.size = (0, 0)
        self.last: int | None = None

    def write(self, picture: Image.Image, frame: Frame) -> None:
        """The picture in the place and at the time of the frame, and the sound that came before it."""
        try:
            if self.container is None:
                self._begin(picture.size)
            self._mux_sound(frame.sound)
            self._mux(self._encoded(picture, frame.stamp))
        except (self.av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Ends the file, so that it plays; without a frame there is none."""
        if self.container is None:
            return
        try:
            with self.container:
                self._mux(self.stream.encode() if self.stream is not None and self.last is not None else [])
                self._mux_sound(self.source.rest)
        except (self.av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from None

    def _begin(self, size: tuple[int, int]) -> None:
        self.path.unlink(missing_ok=True)  # whether a symbolic or a hard link, what it leads to stays
        base = self.source.time_base
        options = MP4 | {"movie_timescale": str(base.denominator)}  # else the start is rounded to milliseconds
        self.container = self.av.open(f"file:{self.path}", "w", format="mp4", options=options)
        self.stream, self.size = self._add_video(size), size
        sound = self.source.sound
        if sound is not None and sound.codec_context.name in self.container.supported_codecs:
            self.sound = self.container.add_stream_from_template(sound)
        elif sound is not None:
            self.silent = f"an MP4 holds no sound of the kind {sound.codec_context.name}"

    def _add_video(self, size: tuple[int, int]) -> VideoStream:
        """The stream of pictures; odd sides are kept by storing colours for every pixel, not for each four."""
        rate = self.source.rate.limit_denominator(FINEST)
        modern = "libx264" in self.av.codecs_available
        base = self.source.time_base
        stream: VideoStream = self.container.add_stream(  # type: ignore[union-attr]
            "libx264" if modern else "mpeg4", rate=rate, options=X264 if modern else {}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p" if modern and any(side % 2 for side in size) else "yuv420p"
        if not modern:
            stream.bit_rate = round(BITS * size[0] * size[1] * rate)
        context = stream.codec_context
        context.time_base = base if modern or base.denominator <= FINEST else Fraction(1, FINEST)
        context.colorspace, context.color_range = BT709, LIMITED
        if ratio := self.source.video.sample_aspect_ratio:
            context.sample_aspect_ratio = 1 / ratio if self._is_turned(size) else ratio
        return stream

    def _is_turned(self, size: tuple[int, int]) -> bool:
        """Whether width and height are those of the source the other way round."""
        video = self.source.video
        return size == (video.height, video.width) and size[0] != size[1]

    def _encoded(self, picture: Image.Image, stamp: int) -> Any:
        if picture.size != self.size:
            picture = ImageOps.pad(picture, self.size)
        frame = self.av.VideoFrame.from_image(picture)
        stream: Any = self.stream
        frame = frame.reformat(format=stream.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG")
        base = stream.codec_context.time_base
        at = round(stamp * self.source.time_base / base)
        if self.last is not None:
            at = max(at, self.last + 1)  # no two frames have one time
        frame.pts, frame.time_base, self.last = at, base, at
        return stream.encode(frame)

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            self.container.mux(packet)  # type: ignore[union-attr]

    def _mux_sound(self, packets: Iterable[Any]) -> None:
        for packet in packets if self.sound is not None else ():
            packet.stream = self.sound
            with suppress(self.av.error.InvalidDataError, self.av.error.ArgumentError):  # times that run backwards
                self._mux([packet])

    def _failure(self, error: Exception) -> InputError:
        return InputError(f"{self.path}: cannot be written ({getattr(error, 'strerror', None) or error})")
