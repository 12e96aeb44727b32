"""Files of formats that have a decoder: each is recognised when it is put, and its view is its simple form."""

import bz2
import gzip
import lzma
import struct
import zlib

import harness
from harness import Client, Server, TestCase, digest
from vxa.v1 import vxa_pb2

TEXT = b"what was packed\n" * 100
SAMPLES = b"\x10\xf0"  # a gray picture's, of two pixels in a row
PGM = b"P5\n2 1\n255\n" + SAMPLES
PAM = b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + b"\0\0\0\xff"  # of one black pixel


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"\0" + SAMPLES)) + chunk(b"IEND", b""))


def tiff(big):
    """TIFF 6.0, or BigTIFF: the same with wider fields."""
    count, entry, offset, head = ("<Q", "<HHQQ", "<Q", struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)) if big else (
        "<H", "<HHII", "<I", struct.pack("<2sHI", b"II", 42, 8))
    tags = {256: 2, 257: 1, 258: 8, 259: 1, 262: 1, 273: None, 277: 1, 278: 1, 279: len(SAMPLES)}
    tags[273] = len(head) + struct.calcsize(count) + len(tags) * struct.calcsize(entry) + struct.calcsize(offset)
    return (head + struct.pack(count, len(tags)) + b"".join(struct.pack(entry, tag, 4, 1, value) for tag, value in tags.items()) +
            struct.pack(offset, 0) + SAMPLES)


# One black pixel (GIF89a): code sizes of 3 bits; clear, index 0, end.
GIF = b"GIF89a\1\0\1\0\x80\0\0" + b"\0\0\0\xff\xff\xff" + b",\0\0\0\0\1\0\1\0\0" + b"\2\2\x44\1\0" + b";"

# MPEG-1, layer III, 128 kbit/s, 44.1 kHz, stereo: a frame that says that nothing is in it.
MP3_FRAME = b"\xff\xfb\x90\0" + bytes(413)
ID3 = b"ID3\4\0\0\0\0\0\0"


def wav(samples):
    """16-bit stereo at 44.1 kHz of a length that isn't known before."""
    return (b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 44100, 176400, 4, 16) +
            b"data\xff\xff\xff\xff" + samples)


# Name: bytes, media type, view, its media type and extension.
FILES = {
    "a.gz": (gzip.compress(TEXT), "application/gzip", TEXT, "text/plain", ".txt"),
    "a.bz2": (bz2.compress(TEXT), "application/x-bzip2", TEXT, "text/plain", ".txt"),
    "a.xz": (lzma.compress(TEXT), "application/x-xz", TEXT, "text/plain", ".txt"),
    "a.lzma": (lzma.compress(TEXT, lzma.FORMAT_ALONE), "application/x-lzma", TEXT, "text/plain", ".txt"),
    # RFC 8878: a raw block of 5 bytes.
    "a.zst": (bytes.fromhex("28b52ffd2005290000") + b"zeros", "application/zstd", b"zeros", "text/plain", ".txt"),
    "a.png": (png(), "image/png", PGM, "image/x-portable-graymap", ".pgm"),
    "a.tif": (tiff(big=False), "image/tiff", PGM, "image/x-portable-graymap", ".pgm"),
    "big.tif": (tiff(big=True), "image/tiff", PGM, "image/x-portable-graymap", ".pgm"),
    "a.gif": (GIF + b"an editor's rest", "image/gif", PAM, "image/x-portable-arbitrarymap", ".pam"),
    "tagged.mp3": (ID3 + MP3_FRAME * 5, "audio/mpeg", wav(bytes(5 * 1152 * 4)), "audio/wav", ".wav"),
    "bare.mp3": (MP3_FRAME * 5, "audio/mpeg", wav(bytes(5 * 1152 * 4)), "audio/wav", ".wav"),
}


class Formats(TestCase):
    def test_each_has_a_view(self):
        with Server() as server, Client(server) as client:
            for name, (data, media_type, simple, simple_type, extension) in FILES.items():
                with self.subTest(name=name):
                    entry = client.put(name.replace(".", "-"), data).object  # the name tells nothing
                    self.assertEqual(entry.media_type, media_type)
                    [view] = entry.views
                    self.assertEqual((view.status, view.failure), (vxa_pb2.View.VERIFIED, ""))
                    self.assertEqual((view.media_type, view.extension), (simple_type, extension))
                    self.assertEqual((view.size, view.digest), (len(simple), digest(simple)))
                    self.assertEqual(client.get(entry.name, form=vxa_pb2.VIEW), simple)
                    self.assertEqual(client.get(entry.name), data)


if __name__ == "__main__":
    harness.main()
