"""What the programs of the benchmark `engine` read: files that are the same every time on one machine.

Texts, headers and programs are the machine's own, the log is made up, the picture and the music come from Debian packages
(engine.packages), and Debian's programs encode them.
"""

import dataclasses
import glob
import hashlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
import wave

MIB = 1 << 20

# A photograph of a painting, 18 megapixels.
PICTURE = "/usr/share/backgrounds/mate/abstract/Elephants_5640x3172.jpg"
READ_PICTURE = ("djpeg", "-pnm", PICTURE)
# 55 instruments in 22 voices, 207 seconds; mixed to stereo.
MUSIC = "/usr/share/games/frozen-bubble/snd/frozen-mainzik-2p.xm"
RATE = 44100
READ_MUSIC = ("openmpt123", "--batch", "--quiet", "--stdout", "--no-float", "--dither", "0", "--samplerate", str(RATE), MUSIC)

# {input} and {output} are files; what doesn't name them is a filter.
ENCODERS = {
    "brotli": ("brotli", "-q", "7", "-c"),
    "bzip2": ("bzip2", "-c"),
    "flac": ("flac", "--silent", "--force", "-o", "{output}", "{input}"),
    "gif": ("ppmtogif", "-quiet"),
    "gzip": ("gzip", "-nc"),
    "jp2": ("opj_compress", "-r", "10", "-i", "{input}", "-o", "{output}"),
    "jpeg": ("cjpeg", "-quality", "90"),
    "lz4": ("lz4", "-9", "-q", "-c"),
    "mp3": ("lame", "--quiet", "{input}", "{output}"),
    "opus": ("opusenc", "--quiet", "--serial", "1", "{input}", "{output}"),
    "png": ("pnmtopng", "-quiet"),
    "tiff": ("ppm2tiff", "-c", "lzw:2", "{input}", "{output}"),
    "vorbis": ("oggenc", "--quiet", "--serial", "1", "-o", "{output}", "{input}"),
    "webp": ("cwebp", "-quiet", "-q", "85", "-o", "{output}", "{input}"),
    "xz": ("xz", "-c"),
    "zstd": ("zstd", "-q", "-c"),
}
# Of which guests give the very bytes that were encoded. Of a GIF they give these colours and alpha.
EXACT = ["brotli", "bzip2", "flac", "gzip", "lz4", "png", "tiff", "xz", "zstd"]


@dataclasses.dataclass(frozen=True)
class Work:
    arguments: tuple = ()
    material: str = ""  # of the input, and what encodes it: "text by gzip"; see Inputs
    size: int = 0       # bytes of it, before it is encoded; of a picture or music, of its samples
    times: int = 1      # so often one behind the other
    runs: int = 1       # processes in one measurement

    def __str__(self):
        size = f"{self.size // MIB} MiB" if self.size >= MIB else f"{self.size // 1024} KiB"
        parts = [f"{size} of {self.material}"] * bool(self.size) + [f"{self.times} times"] * (self.times > 1)
        parts += [self.material] * (not self.size and bool(self.material))
        parts += ["arguments " + " ".join(self.arguments)] * bool(self.arguments)
        return "; ".join(parts) or "nothing"


LISP = """
(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(define (safe q d l) (if (null l) 1
  (if (= (car l) q) 0 (if (= (- (car l) q) d) 0 (if (= (- q (car l)) d) 0 (safe q (+ d 1) (cdr l)))))))
(define (try q n k l) (if (= q n) 0 (+ (if (safe q 1 l) (queens n (+ k 1) (cons q l)) 0) (try (+ q 1) n k l))))
(define (queens n k l) (if (= k n) 1 (try 0 n k l)))
(define (insert x l) (if (null l) (cons x nil) (if (< x (car l)) (cons x l) (cons (car l) (insert x (cdr l))))))
(define (sort l) (if (null l) nil (insert (car l) (sort (cdr l)))))
(define (noise n x) (if (= n 0) nil (cons x (noise (- n 1) (% (+ (* x 421) 1663) 7875)))))
(fib {}) (queens {} 0 nil) (sort (noise {} 1))
"""

LISP_SIZES = {"fib 34, queens 9": (34, 9, 500), "fib 28, queens 8": (28, 8, 200), "fib 12, queens 5": (12, 5, 20)}


def picture(size, colors=256):
    """So many bytes of pixels, whole rows, as PPM; with so many of a sample's values."""
    ppm = subprocess.run(READ_PICTURE, stdout=subprocess.PIPE, check=True).stdout
    head = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", ppm)
    width = int(head[1])
    pixels = ppm[head.end():][:size // (3 * width) * 3 * width]
    steps = bytes(value * colors // 256 * 255 // (colors - 1) for value in range(256))
    return b"P6\n%d %d\n255\n" % (width, len(pixels) // (3 * width)) + pixels.translate(steps)


def music(size):
    """So many bytes of samples, as WAV."""
    samples = subprocess.run(READ_MUSIC, stdout=subprocess.PIPE, check=True).stdout[:size]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples)
    return file.getvalue()


def encode(method, source, target):
    command = [part.format(input=source, output=target) for part in ENCODERS[method]]
    with open(source, "rb") as original, open(os.devnull if target in command else target, "wb") as encoded:
        run = subprocess.run(command, stdin=original, stdout=encoded, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"engine: {' '.join(command)}: {run.stderr.strip()}")


class Inputs:
    """The files, made when they are asked for."""

    TREES = {
        "text": ["/usr/share/common-licenses/*", "/usr/share/perl/**/*.pod", "/usr/share/doc/**/*.txt",
                 "/usr/lib/python3*/**/*.py", "/usr/share/perl/**/*.p[lm]"],
        "headers": ["/usr/include/**/*.h"],
        "programs": ["/usr/bin/*", "/usr/lib/x86_64-linux-gnu/*.so.*"],
    }
    SAMPLES = {"picture": READ_PICTURE, "poster": READ_PICTURE, "music": READ_MUSIC}

    def __init__(self, directory):
        self.directory = directory
        self.materials = {}
        self.paths = {}
        self.digests = {}
        self.originals = {}  # digests of what guests have to give, where that is known

    def lacking(self, work):
        """The program or file for want of which the input can't be made, or None."""
        name, _, method = work.material.partition(" by ")
        read = self.SAMPLES.get(name, ())
        programs = [program for program in [*read[:1], ENCODERS[method][0]] if shutil.which(program) is None]
        return next(iter(programs + [file for file in read[-1:] if not os.path.exists(file)]), None)

    def material(self, name, size):
        if (name, size) not in self.materials:
            if name == "picture":
                material = picture(size)
            elif name == "poster":  # of 216 colours at most
                material = picture(size, 6)
            elif name == "music":
                material = music(size)
            elif name == "log":
                material = self.log(size)[:size]
            else:
                material = self.from_trees(name, size)[:size]
            self.materials[name, size] = material
        return self.materials[name, size]

    def from_trees(self, name, size):
        pieces, total = [], 0
        for pattern in self.TREES[name]:
            for path in sorted({os.path.realpath(path) for path in glob.glob(pattern, recursive=True)}):
                if total >= size:
                    break
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        pieces.append(file.read(size // 4))  # no file is all of it
                    total += len(pieces[-1])
        material = b"".join(pieces)
        if not material:
            sys.exit(f"engine: this machine has no {name}: none of {', '.join(self.TREES[name])}")
        return material * (size // len(material) + 1)

    @staticmethod
    def log(size):
        rng = random.Random(1)
        methods, folders = ["GET", "GET", "GET", "PUT", "HEAD"], ["archive", "objects", "health", "v1/get", "v1/put"]
        lines, total, clock = [], 0, 1700000000.0
        while total < size:
            clock += rng.expovariate(20)
            lines.append(f"{clock:.3f} 10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(256)} "
                         f"{rng.choice(methods)} /{rng.choice(folders)}/{rng.getrandbits(40):010x} "
                         f"{rng.choice([200, 200, 200, 206, 404])} {int(rng.expovariate(1e-4))}\n".encode())
            total += len(lines[-1])
        return b"".join(lines)

    def path(self, work):
        """The file that has the input of `work`."""
        key = (work.material, work.size, work.times)
        if key not in self.paths:
            original, method = self.make(work)
            path = os.path.join(self.directory, f"input{len(self.paths)}.{method or 'raw'}")
            piece = self.encoded(original, method, path)
            with open(path, "wb") as file:
                for _ in range(work.times):
                    file.write(piece)
            self.paths[key] = path
            self.digests[key] = hashlib.sha256(piece * work.times).hexdigest()
            self.originals[key] = hashlib.sha256(original * work.times).hexdigest() if method in EXACT else None
        return self.paths[key]

    def encoded(self, original, method, target):
        if not method:
            return original
        # Encoders look at names.
        source = os.path.join(self.directory, "original." + ("wav" if original.startswith(b"RIFF") else "ppm"))
        with open(source, "wb") as file:
            file.write(original)
        encode(method, source, target)
        os.remove(source)
        with open(target, "rb") as file:
            return file.read()

    def digest(self, work):
        self.path(work)
        return self.digests[work.material, work.size, work.times]

    def original(self, work):
        self.path(work)
        return self.originals[work.material, work.size, work.times]

    def make(self, work):
        """Bytes, and what to encode them with."""
        if work.material in LISP_SIZES:
            return LISP.format(*LISP_SIZES[work.material]).encode(), ""
        name, _, method = work.material.partition(" by ")
        return (self.material(name, work.size) if work.size else b""), method
