"""Debian's programs that decode what the decoders do, to the same kind of output."""

import array
import dataclasses
import re

import report

SAME = "the same"


@dataclasses.dataclass(frozen=True)
class Tool:
    package: str
    command: tuple  # {input} and {output} are files; what doesn't name them is a filter

    def __str__(self):
        return " ".join(self.command)


TOOLS = {
    "brotli": Tool("brotli", ("brotli", "-dc")),
    "bzip2": Tool("bzip2", ("bzip2", "-dc")),
    "flac": Tool("flac", ("flac", "-dcs", "-")),
    "gif": Tool("giflib-tools", ("gif2rgb",)),
    "jp2": Tool("libopenjp2-tools", ("opj_decompress", "-quiet", "-i", "{input}", "-o", "{output}.ppm")),
    "jpeg": Tool("libjpeg-turbo-progs", ("djpeg", "-pnm")),
    "lz4": Tool("lz4", ("lz4", "-dc")),
    "mp3": Tool("mpg123", ("mpg123", "-q", "-w", "-", "-")),
    "opus": Tool("opus-tools", ("opusdec", "--quiet", "--force-wav", "--no-dither", "--rate", "48000", "-", "-")),
    "png": Tool("netpbm", ("pngtopnm", "-quiet")),
    "tiff": Tool("netpbm", ("tifftopnm", "-quiet")),
    "vorbis": Tool("vorbis-tools", ("oggdec", "-Q", "-o", "-", "-")),
    "webp": Tool("webp", ("dwebp", "-quiet", "-ppm", "-o", "-", "--", "-")),
    "xz": Tool("xz-utils", ("xz", "-dc")),
    "zlib": Tool("gzip", ("gzip", "-dc")),
    "zstd": Tool("zstd", ("zstd", "-dcq")),
}


def versions():
    """One text, of all packages."""
    packages = sorted({tool.package for tool in TOOLS.values()})
    return report.listed({name: report.first_line("dpkg-query", "-W", "-f", "${Version}", name) for name in packages})


def samples(output):
    """Those of a WAV file, or of PNM or bare pixels, without alpha."""
    if output.startswith(b"RIFF"):
        return array.array("h", output[output.index(b"data") + 8:])
    if output.startswith(b"P7"):
        head, _, pixels = output.partition(b"ENDHDR\n")
        if b"RGB_ALPHA" in head:
            colors = bytearray(len(pixels) // 4 * 3)
            for sample in range(3):
                colors[sample::3] = pixels[sample::4]
            pixels = colors
        return array.array("B", pixels)
    return array.array("B", re.sub(rb"\AP[56]\s(#.*\n)?\d+\s\d+\s\d+\s", b"", output, count=1))


def difference(output, expected):
    """What is to be said of a tool's output beside a guest's."""
    if output == expected:
        return SAME
    ours, theirs = samples(expected), samples(output)
    if ours == theirs:
        return "the same but for the header"
    if len(ours) != len(theirs):
        return f"{len(theirs):,} samples instead of {len(ours):,}"
    off = [abs(a - b) for a, b in zip(ours, theirs) if a != b]
    return f"{100 * len(off) / len(ours):.2g} % of samples off by up to {max(off)}"
