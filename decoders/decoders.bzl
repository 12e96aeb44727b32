"""What decoders there are: each is a folder here and a line there."""

DECODERS = [
    "brotli",
    "bzip2",
    "flac",
    "gif",
    "jp2",
    "jpeg",
    "lz4",
    "mp3",
    "opus",
    "png",
    "tiff",
    "vorbis",
    "webp",
    "xz",
    "zlib",
    "zstd",
]
