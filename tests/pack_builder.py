"""Packs made by hand, as archive/FORMAT.md describes them: what no server would write, too."""

import hashlib
import os
import struct

import crc32c

DECODER, BLOB, CHUNK_LIST, MANIFEST, UPDATE, EVENT, BARRIER = range(1, 8)
PACK_HEADER, RECORD_HEADER = 96, 88


def sha256(data):
    return hashlib.sha256(data).digest()


def message(fields):
    """A message's bytes; `fields` is {number: integer, text, bytes, or a list of those}. A message in it is its bytes."""

    def varint(value):
        value &= (1 << 64) - 1
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes(out) + bytes([value])

    out = b""
    for number, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
            else:
                value = value.encode(errors="surrogateescape") if isinstance(value, str) else value
                out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def digest(data):
    return message({1: 1, 2: sha256(data)})


def decode(image, arguments=(), profile=1, memory=64 << 20, stack=8 << 20):
    return message({1: digest(image), 2: list(arguments), 3: profile, 4: memory, 5: stack})


def blob(data, encoded=None, decode=None, length=None):
    """A blob's payload, of a chunk with these bytes."""
    prefix = message({**({2: decode} if decode else {}), 3: len(data) if length is None else length, 4: digest(data)})
    return struct.pack("<I", len(prefix)) + prefix + (data if encoded is None else encoded)


def chunk(offset, length, blob, instructions=10**7):
    """One of a manifest's or list's chunks, whose blob has that payload."""
    return message({1: offset, 2: length, 3: digest(blob), 4: message({1: instructions})})


def manifest(name, data, chunks, version=1, namespace="default", **fields):
    """A manifest's payload; `fields` are more of them, as f14=..., or others in the place of these."""
    return message({2: namespace, 3: name, 4: version, 6: len(data), 7: digest(data), 8: chunks,
                    **{int(number[1:]): value for number, value in fields.items()}})


class Pack:
    """A pack that grows record by record."""

    sequence = 0  # of the last record of any pack

    def __init__(self, number, previous=None, end=None, version=0):
        """`end`: where the previous pack ends, if that is not behind its last record."""
        self.number, self.uuid = number, os.urandom(16)
        header = struct.pack("<8sII16sq16sQ28x", b"\x89VXP\r\n\x1a\n", version, number, self.uuid, 0,
                             previous.uuid if previous else bytes(16),
                             0 if previous is None else len(previous.data) if end is None else end)
        self.data = header + struct.pack("<I", crc32c.crc32c(header))
        self.running = sha256(self.data)

    def add(self, kind, payload, critical=None):
        """Appends a record; returns its offset."""
        Pack.sequence += 1
        offset = len(self.data)
        critical = kind not in (EVENT, BARRIER) if critical is None else critical
        header = struct.pack("<8sBBBBIQQ16s32sI", b"\x89VXR\r\n\x1a\n", kind, critical, 1, 0, len(payload), Pack.sequence,
                             offset, self.uuid, sha256(payload), 0)
        header += struct.pack("<I", crc32c.crc32c(header))
        self.data += header + payload + bytes(-len(payload) % 8)
        self.running = sha256(self.running + header)
        return offset

    def barrier(self):
        return self.add(BARRIER, struct.pack("<Q", len(self.data)) + self.running)

    def put(self, name, data, **options):
        """A blob and a manifest of an object of one chunk, stored as it is."""
        payload = blob(data)
        self.add(BLOB, payload)
        self.add(MANIFEST, manifest(name, data, [chunk(0, len(data), payload)], **options))

    def write(self, directory):
        """Puts the pack into an archive's directory, which need not be there yet."""
        os.makedirs(os.path.join(directory, "packs"), exist_ok=True)
        with open(os.path.join(directory, "VERSION"), "w") as file:
            file.write("vxa-archive 0\n")
        with open(os.path.join(directory, "packs", f"{self.number:08}.vxp"), "wb") as file:
            file.write(self.data)


def records(path):
    """(type, offset, payload) of each record of a sound pack."""
    with open(path, "rb") as file:
        data = file.read()
    offset = PACK_HEADER
    while offset < len(data):
        kind, length = data[offset + 8], struct.unpack_from("<I", data, offset + 12)[0]
        yield kind, offset, data[offset + RECORD_HEADER:offset + RECORD_HEADER + length]
        offset += RECORD_HEADER + length + -length % 8
