#!/usr/bin/env python3
"""Gets everything out of a VXA archive without any of its program's code but vxrun.

    recover.py [--vxrun PATH] [--removed] DATA OUTDIR

DATA is the directory of an archive that no program has open; it is only read. OUTDIR must not exist, or be empty.
Written from archive/FORMAT.md alone, with Python's standard library; vxrun (vxengine/vxrun.cc), found in PATH or named,
runs the archived decoders. Any emulator behind the same command line would do.

What comes out:

    OUTDIR/objects/NAMESPACE/NAME             the latest version of each name, if that is not hidden by a delete marker
    OUTDIR/versions/N/NAMESPACE/NAME          version N, where it is older or hidden or (with --removed) removed
    OUTDIR/views/N/NAMESPACE/NAME/VIEW         the verified views of version N
    OUTDIR/partial/...                        the same paths again: what could be had of a damaged one
    OUTDIR/aside/000001, ...                  what has a name that can't be a path, or whose path is taken
    OUTDIR/report.jsonl                       one JSON object a line: each version and view with its state ("latest",
                                              "older", "hidden", "removed", "delete marker"), size, SHA-256, status
                                              ("ok", "damaged"), damage and path; and the damage to packs

A partial file has zeros for the chunks that are lost; its `damage` says where. Everything "ok" has the length and the
SHA-256 that its manifest gives.

Exit status: 0 all was recovered, 1 something is damaged or missing, 2 it can't be done: a wrong command line, no archive
of a format that this program knows, files that can't be read or written (copy a failing medium first).
"""

import argparse
import collections
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import types
import unicodedata

PIECE = 1 << 20  # bytes read or written at once


class Refused(Exception):
    """The archive needs a later program, or there is none; the text says why."""


class Damaged(Exception):
    """What was asked for can't be had; the text says why."""


class TooNew(Damaged):
    """A message that needs a later program."""


# Messages.

# The part of FORMAT.md's table that is needed here.
FIELDS = """
BlobPrefix           1 min_reader  2 decode: Decode  3 length  4 digest: Digest
Chunk                1 offset  2 length  3 blob: Digest  4 proof: Cost
ChunkList            1 min_reader  2 chunks: Chunk...
ChunkListRef         1 list: Digest  2 offset  3 length  4 chunks
Cost                 1 instructions  2 peak_memory
Decode               1 decoder: Digest  2 arguments: bytes...  3 profile  4 memory_limit  5 stack_size
DecoderUse           1 decoder: Digest  2 size
Digest               1 algorithm  2 value: bytes
Manifest             1 min_reader  2 namespace: text  3 name: text  4 version  5 created  6 size
                     7 digest: Digest  8 chunks: Chunk...  9 chunk_lists: ChunkListRef...  10 chunk_count
                     11 encoded_size  12 codec: text  13 decoders: DecoderUse...  14 views: View...
                     15 media_type: text  16 pronom: text  17 recognized_by: text
                     18 metadata: Metadata...  19 source: Source  20 request_id: bytes
                     21 object_decode: ObjectDecode
Metadata             1 key: text  2 value: text
ObjectDecode         1 decode: Decode  2 stored_length  3 stored_digest: Digest  4 proof: Cost
Source               1 path: bytes  2 modified  3 mode
Update               1 min_reader  2 namespace: text  3 name: text  4 created  5 request_id: bytes
                     6 delete_marker  7 removed
View                 1 name: text  2 status (1 verified, 2 failed, 3 over limit)  3 decode: Decode
                     4 media_type: text  5 extension: text  6 length  7 digest: Digest  8 cost: Cost
                     9 failure: text
"""
VERIFIED = 1

Field = collections.namedtuple("Field", "name type repeated")


def parse_fields(table):
    """{message: {number: Field}}; the type is "text", "bytes", a message's name, or None for an integer."""
    messages = {}
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            message, line = line.split(None, 1)
        for number, name, type_, repeated in re.findall(r"(\d+) (\w+)(?:: (\w+)(\.\.\.)?)?", re.sub(r"\(.*?\)", "", line)):
            messages.setdefault(message, {})[int(number)] = Field(name, type_ or None, bool(repeated))
    return messages


MESSAGES = parse_fields(FIELDS)


def varint(data, at):
    """(value, offset behind it)"""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Damaged("a malformed message")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at


def parse(message, data):
    """The fields of a message as attributes: 0, "", b"", None or [] where they are not there."""
    fields = MESSAGES[message]
    empty = {None: 0, "text": "", "bytes": b""}
    result = types.SimpleNamespace(**{f.name: [] if f.repeated else empty.get(f.type) for f in fields.values()})
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            length, at = varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, len(data)), at)
            if length > len(data) - at:
                raise Damaged("a malformed message")
            value, at = data[at:at + length], at + length
        field = fields.get(key >> 3)
        if field is None:
            continue
        if kind != (2 if field.type else 0):
            raise Damaged(f"a malformed message: field {field.name} of {message} is of kind {kind}")
        if field.type == "text":
            value = value.decode(errors="surrogateescape")
        elif field.type and field.type != "bytes":
            value = parse(field.type, value)
        if field.repeated:
            getattr(result, field.name).append(value)
        else:
            setattr(result, field.name, value)
    if getattr(result, "min_reader", 0) > 0:
        raise TooNew(f"a {message} that needs a later program (min_reader is {result.min_reader})")
    return result


def sha256_of(digest):
    """The 32 bytes of a Digest."""
    if digest is None or digest.algorithm != 1 or len(digest.value) != 32:
        raise Damaged("a digest is not there, or not SHA-256")
    return digest.value


def hex_of(digest):
    """For people, whatever it is."""
    return digest.value.hex() if digest else ""


def signed(number):
    return number - (1 << 64) if number >> 63 else number


# Packs.

PACK_MAGIC = b"\x89VXP\r\n\x1a\n"
RECORD_MAGIC = b"\x89VXR\r\n\x1a\n"
PACK_HEADER = struct.Struct("<8sII16sq16sQ28sI")
RECORD_HEADER = struct.Struct("<8sBBBBIQQ16s32sII")
MAX_PAYLOAD = 16 << 20
SHA256 = 1
CRITICAL = 1
TYPES = {1: "decoder", 2: "blob", 3: "chunk list", 4: "manifest", 5: "update", 6: "event", 7: "barrier"}
CONTENT = (1, 2, 3)  # found by their digests, wherever they are
MANIFEST, UPDATE, BARRIER = 4, 5, 7


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C_TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Record(collections.namedtuple("Record", "pack type sequence offset length digest critical")):
    __slots__ = ()
    padding = property(lambda self: -self.length % 8)
    end = property(lambda self: self.offset + RECORD_HEADER.size + self.length + self.padding)


Damage = collections.namedtuple("Damage", "offset what")


def durable_offset(barrier):
    """Up to where a barrier's payload says that its pack was on stable storage."""
    return struct.unpack_from("<Q", barrier)[0]


class Pack:
    """One file of records. `previous`, `previous_end` are None if the header is damaged; `end` if nothing tells it."""

    def __init__(self, number, path):
        self.number, self.path = number, path
        self.name = os.path.basename(path)
        self.file = open(path, "rb", buffering=0)
        self.size = os.fstat(self.file.fileno()).st_size
        self.uuid = self.previous = self.previous_end = self.end = None
        self.header = self.read(0, PACK_HEADER.size)
        self.problem = self.read_header()

    def read(self, offset, length):
        """As much of it as there is."""
        pieces = []
        while length > 0:
            piece = os.pread(self.file.fileno(), min(length, PIECE), offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)

    def read_header(self):
        """What is wrong with the header, or None."""
        if len(self.header) < PACK_HEADER.size:
            return f"the file has {self.size} bytes"
        magic, version, number, uuid, _, previous, previous_end, reserved, crc = PACK_HEADER.unpack(self.header)
        if magic != PACK_MAGIC:
            return "the header's magic is wrong"
        if crc != crc32c(self.header[:-4]):
            return "the header's CRC is wrong"
        if version != 0:
            raise Refused(f"{self.name} has format version {version}; this program knows 0")
        if any(reserved):
            return "reserved bytes of the header are not zero"
        self.uuid, self.previous, self.previous_end = uuid, previous, previous_end
        if number != self.number:
            return f"the header says that this is pack {number}"
        return None

    def record_at(self, offset, uuid):
        """The Record whose genuine header is there, or None. Of any UUID if `uuid` is None."""
        header = self.read(offset, RECORD_HEADER.size)
        if len(header) < RECORD_HEADER.size:
            return None
        (magic, type_, flags, algorithm, zero, length, sequence, own_offset, own_uuid, digest, reserved,
         crc) = RECORD_HEADER.unpack(header)
        if magic != RECORD_MAGIC or own_offset != offset or (uuid is not None and own_uuid != uuid):
            return None
        if flags & ~CRITICAL or algorithm != SHA256 or zero or reserved or length > MAX_PAYLOAD:
            return None
        if crc != crc32c(header[:-4]):
            return None
        return Record(self, type_, sequence, offset, length, digest, bool(flags & CRITICAL))

    def guess_uuid(self, others, following):
        """The UUID where the header is damaged: as the first record has it (nothing from outside can lie there), or the
        header of the pack that follows, or what is left of its own."""
        candidates = [self.read(PACK_HEADER.size + 32, 16)] if self.record_at(PACK_HEADER.size, None) else []
        if following is not None and following.previous is not None:
            candidates.append(following.previous)
        candidates.append(self.header[16:32])
        for uuid in candidates:
            if any(uuid) and uuid not in others and self.next_record(PACK_HEADER.size, uuid) < self.size:
                self.uuid = uuid
                return

    def next_record(self, offset, uuid):
        """The offset of the first genuine header there or behind; the file's size if there is none."""
        while offset < self.size:
            window = self.read(offset, PIECE + len(RECORD_MAGIC) - 1)
            at = window.find(RECORD_MAGIC)
            while at >= 0:
                if (offset + at) % 8 == 0 and self.record_at(offset + at, uuid):
                    return offset + at
                at = window.find(RECORD_MAGIC, at + 1)
            offset += PIECE
        return self.size

    def payload(self, record):
        return self.read(record.offset + RECORD_HEADER.size, record.length)

    def scan(self):
        """Yields, in order, a (Record, payload) for each sound record and a Damage for all else."""
        offset = PACK_HEADER.size
        # The running hash H(n), None where a lost header broke it: the next barrier mends it.
        running = None if self.problem else hashlib.sha256(self.header).digest()
        while offset < self.size:
            record = self.record_at(offset, self.uuid)
            if record is None:
                yield Damage(offset, "no record where one should be")
                offset, running = self.next_record(offset + 8, self.uuid), None
                continue
            payload = self.payload(record)
            kind = TYPES.get(record.type, f"record of type {record.type}")
            problem = None
            if record.end > self.size:
                problem = f"the file ends within a {kind}"
            elif hashlib.sha256(payload).digest() != record.digest:
                problem = f"the payload of a {kind} is damaged"
            elif record.type == BARRIER:
                problem = self.check_barrier(record, payload, running)
                running = payload[8:] if len(payload) == 40 else None
            elif any(self.read(offset + RECORD_HEADER.size + record.length, record.padding)):
                yield Damage(offset, f"the padding of a {kind} is not zero")
            yield Damage(offset, problem) if problem else (record, payload)
            if problem:
                following = self.record_at(record.end, self.uuid)
                if following is None or following.sequence != record.sequence + 1:
                    offset, running = self.next_record(offset + 8, self.uuid), None
                    continue
            if running is not None:
                running = hashlib.sha256(running + self.read(offset, RECORD_HEADER.size)).digest()
            offset = record.end

    def check_barrier(self, record, payload, running):
        """What is wrong with a barrier, or None."""
        if len(payload) != 40:
            return "a barrier has not 40 bytes"
        if running is not None and payload[8:] != running:
            return "a barrier has another running hash than the headers before it"
        if durable_offset(payload) > record.offset:
            return "a barrier speaks of what comes after it"
        return None


# The archive.


class Version:
    """A version of a name: a manifest's place, or None for a delete marker."""

    def __init__(self, record):
        self.record = record
        self.removed = False


class Archive:
    """All packs scanned, all manifests and updates folded. `names` is {(namespace, name): {number: Version}}."""

    def __init__(self, directory, note):
        self.note = note  # called with (pack's name, offset or None, text) for what is damaged or missing
        self.content = {}  # payload digest: Record
        self.names = collections.defaultdict(dict)
        self.check_version(directory)
        packs = self.open_packs(os.path.join(directory, "packs"))
        folded = []  # (sequence, pack's number, offset, Record) of manifests and updates
        for pack in packs:
            folded += [(r.sequence, pack.number, r.offset, r) for r in self.scan(pack)]
        for _, _, _, record in sorted(folded, key=lambda item: item[:3]):
            self.fold(record)

    def check_version(self, directory):
        try:
            with open(os.path.join(directory, "VERSION"), "rb") as file:
                version = file.read(100)
        except FileNotFoundError:
            version = b""
        if version == b"vxa-archive 0\n":
            return
        # The packs' headers say it too, and with a CRC.
        self.note("VERSION", None, f"is {ascii(version)}, not 'vxa-archive 0'")

    def open_packs(self, folder):
        paths = {}
        for name in os.listdir(folder):
            match = re.fullmatch(r"(\d{8,})\.vxp", name, re.ASCII)
            if match and int(match[1]) > 0:
                paths[int(match[1])] = os.path.join(folder, name)
        packs = {number: Pack(number, paths[number]) for number in sorted(paths)}
        ends = {pack.previous: pack.previous_end for pack in packs.values() if pack.previous and any(pack.previous)}
        for number in range(1, max(packs, default=0)):
            if number not in packs:
                self.note(f"{number:08}.vxp", None, "this pack is missing")
        for number, pack in packs.items():
            if pack.problem:
                self.note(pack.name, 0, pack.problem)
            if pack.uuid is None:
                pack.guess_uuid([other.uuid for other in packs.values()], packs.get(number + 1))
            if pack.uuid is None:
                self.note(pack.name, 0, "no record in it can be told to be its own")
            pack.end = ends.get(pack.uuid)
            if pack.end is None and number != max(packs):
                pack.end = pack.size  # all may count, and the digests tell what does harm
        return list(packs.values())

    def scan(self, pack):
        """The pack's manifests and updates that count. Content serves wherever it lies: its digest is proof enough."""
        if pack.uuid is None:
            return []
        damages, folded, unknown, durable = [], [], [], 0
        for found in pack.scan():
            if isinstance(found, Damage):
                damages.append(found)
                continue
            record, payload = found
            if record.type in CONTENT:
                self.content.setdefault(record.digest, record)
            elif record.type in (MANIFEST, UPDATE):
                folded.append(record)
            elif record.type == BARRIER:
                durable = max(durable, durable_offset(payload))
            elif record.type not in TYPES and record.critical:
                unknown.append(record)
        end = pack.end
        if end is None:
            end = next((damage.offset for damage in damages if damage.offset >= durable), pack.size)
        elif pack.size < end:
            damages.append(Damage(pack.size, f"the file ends here; it had {end} bytes"))
        for damage in damages:
            if damage.offset < end:
                self.note(pack.name, damage.offset, damage.what)
        for record in unknown:
            if record.offset < end:
                raise Refused(f"{pack.name} has a critical record of type {record.type} at {record.offset:#x}, which this "
                              "program does not know")
        return [record for record in folded if record.end <= end]

    def fold(self, record):
        try:
            message = parse("Manifest" if record.type == MANIFEST else "Update", record.pack.payload(record))
        except TooNew as error:
            raise Refused(f"{record.pack.name} has at {record.offset:#x} {error}") from None
        except Damaged as error:
            self.note(record.pack.name, record.offset, str(error))
            return
        versions = self.names[message.namespace, message.name]
        if record.type == MANIFEST:
            versions[message.version] = Version(record)
        elif message.delete_marker:
            versions[message.delete_marker] = Version(None)
        elif message.removed in versions:
            versions[message.removed].removed = True

    def states(self, versions):
        """[(number, state, Version)] of a name."""
        left = [number for number, version in versions.items() if not version.removed]
        latest = max(left, default=0)
        hidden = latest == 0 or versions[latest].record is None
        for number, version in sorted(versions.items()):
            state = "delete marker" if version.record is None else "hidden" if hidden else "older"
            yield number, "removed" if version.removed else "latest" if not hidden and number == latest else state, version

    def get(self, digest, what):
        """The payload with that digest; raises Damaged."""
        name = sha256_of(digest)
        record = self.content.get(name)
        if record is None:
            raise Damaged(f"{what} {name.hex()} is missing or damaged")
        return record.pack.payload(record)


# Decoding.


class Sink:
    """A file that is written and hashed from its start."""

    def __init__(self, file):
        self.file, self.sha256, self.length = file, hashlib.sha256(), 0

    def write(self, data):
        self.file.write(data)
        self.sha256.update(data)
        self.length += len(data)

    def check(self, length, digest, what):
        if self.length != length:
            raise Damaged(f"{what} has {self.length} bytes instead of {length}")
        if self.sha256.digest() != sha256_of(digest):
            raise Damaged(f"{what} has another SHA-256 than it should")


class Decoders:
    """Runs archived decoders by vxrun."""

    PROFILES = {1: "vx-2026", 2: "vx-2026-int"}

    def __init__(self, archive, vxrun, directory):
        self.archive, self.vxrun, self.directory = archive, vxrun, directory

    def image(self, digest):
        """The path of a decoder's image."""
        path = os.path.join(self.directory, sha256_of(digest).hex() + ".vx")
        if not os.path.exists(path):
            image = self.archive.get(digest, "decoder")
            with open(path, "wb") as file:
                file.write(image)
        return path

    def run(self, decode, proof, source, length, digest, what, sinks):
        """Writes the decoder's output, given the file `source`, to each of `sinks`; raises Damaged if it isn't as said."""
        if decode.profile not in self.PROFILES:
            raise Damaged(f"{what} needs profile {decode.profile}, which this program does not know")
        if any(b"\0" in argument for argument in decode.arguments):
            raise Damaged(f"{what} has a decoder's argument with a NUL")
        # The same decode takes the same instructions. The margin is for another engine's way to count.
        instructions = min((proof.instructions if proof else 0) * 2 + 10**7, 2**63)
        command = [self.vxrun, f"--profile={self.PROFILES[decode.profile]}", f"--memory={decode.memory_limit}",
                   f"--stack={decode.stack_size}", f"--max-instructions={instructions}", self.image(decode.decoder),
                   *decode.arguments]
        check = Sink(types.SimpleNamespace(write=lambda data: None))
        diagnostics = []
        source.seek(0)
        try:
            process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise Damaged(f"vxrun can't be run for {what}: {error.strerror}") from None
        with process:
            drain = threading.Thread(target=keep_last, args=(process.stderr, diagnostics))
            drain.start()
            while piece := process.stdout.read1(PIECE):
                if check.length + len(piece) > length:
                    process.kill()
                    break
                for sink in (check, *sinks):
                    sink.write(piece)
            else:
                piece = b""
            process.wait()
            drain.join()
        if piece:
            raise Damaged(f"{what} has more than {length} bytes")
        try:
            check.check(length, digest, what)
        except Damaged as error:
            said = b"".join(diagnostics)[-500:].decode(errors="backslashreplace").strip()
            raise Damaged(f"{error}; the decoder {decode.decoder.value.hex()} ended with status {process.returncode}"
                          + (f" and said: {said}" if said else "")) from None


def keep_last(file, pieces):
    """Reads a pipe to its end and keeps its last piece."""
    while piece := file.read1(PIECE):
        pieces[:] = [piece]


# Putting objects together.

Lost = collections.namedtuple("Lost", "length why")


class Rebuilder:
    """Rebuilds objects in a directory for work in progress."""

    def __init__(self, archive, decoders, directory):
        self.archive, self.decoders, self.directory = archive, decoders, directory
        self.files = 0

    def file(self):
        """A new file, which has a name to be moved by."""
        self.files += 1
        return open(os.path.join(self.directory, str(self.files)), "x+b")

    def chunks(self, manifest):
        """Yields each Chunk, and a Lost for the chunks of a list that can't be had."""
        yield from manifest.chunks
        for reference in manifest.chunk_lists:
            try:
                chunk_list = parse("ChunkList", self.archive.get(reference.list, "chunk list"))
            except Damaged as error:
                yield Lost(reference.length, str(error))
            else:
                yield from chunk_list.chunks

    def chunk(self, chunk, sink):
        payload = self.archive.get(chunk.blob, "blob")
        prefix_length = int.from_bytes(payload[:4], "little")
        if len(payload) < 4 or prefix_length > len(payload) - 4:
            raise Damaged("a blob is shorter than its prefix")
        prefix = parse("BlobPrefix", payload[4:4 + prefix_length])
        encoded = memoryview(payload)[4 + prefix_length:]
        if prefix.length != chunk.length:
            raise Damaged(f"a blob of {prefix.length} bytes stands for a chunk of {chunk.length}")
        if prefix.decode is None:
            if len(encoded) != prefix.length or hashlib.sha256(encoded).digest() != sha256_of(prefix.digest):
                raise Damaged("a blob has not the bytes that it says")
            sink.write(encoded)
            return
        with tempfile.TemporaryFile(dir=self.directory) as source:
            source.write(encoded)
            self.decoders.run(prefix.decode, chunk.proof, source, prefix.length, prefix.digest, "the chunk", [sink])

    def stored_form(self, manifest, file, damage):
        """Writes it to the file, with holes for what is lost; adds to `damage`. Returns the Sink."""
        sink = Sink(file)
        whole = manifest.object_decode.stored_length if manifest.object_decode else manifest.size
        offset = 0  # of the next chunk
        for chunk in self.chunks(manifest):
            if chunk.length > whole - offset:
                damage.append(f"the chunks are longer than the {whole} bytes of the stored form")
                break
            try:
                if isinstance(chunk, Lost):
                    raise Damaged(chunk.why)
                self.chunk(chunk, sink)
            except Damaged as error:
                damage.append(f"bytes {offset} to {offset + chunk.length} of the stored form: {error}")
                try:
                    file.truncate(offset)
                    file.truncate(offset + chunk.length)
                    file.seek(offset + chunk.length)
                except (OSError, OverflowError):  # a length that no file can have
                    break
            offset += chunk.length
        return sink

    def original(self, manifest, damage):
        """(file of the stored form, file of the original or what there is of it); adds to `damage`."""
        stored = self.file()
        sink = self.stored_form(manifest, stored, damage)
        decode = manifest.object_decode
        if damage:
            return stored, stored
        try:
            if decode is None:
                sink.check(manifest.size, manifest.digest, "the object")
                return stored, stored
            sink.check(decode.stored_length, decode.stored_digest, "the stored form")
        except Damaged as error:
            damage.append(str(error))
            return stored, stored
        original = self.file()
        try:
            if decode.decode is None:
                raise Damaged("the object's decode is not there")
            self.decoders.run(decode.decode, decode.proof, stored, manifest.size, manifest.digest, "the object", [original])
        except Damaged as error:
            damage.append(str(error))
        return stored, original

    def view(self, view, stored, damage):
        """The file of a view, or what there is of it; adds to `damage`."""
        file = self.file()
        try:
            if view.decode is None:
                raise Damaged("the view's decode is not there")
            self.decoders.run(view.decode, view.cost, stored, view.length, view.digest, "the view", [file])
        except Damaged as error:
            damage.append(str(error))
        return file


# What comes out.


def is_name(name):
    """Whether it is one by FORMAT.md's rules, and so a path that stays below where it starts."""
    return (len(name.encode(errors="surrogatepass")) <= 1024
            and not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
            and not any(segment in ("", ".", "..") for segment in name.split("/")))


# What a file system says of a path that it can't take.
PATH_ERRORS = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


class Output:
    """OUTDIR. Nothing in it is ever replaced, and nothing written anywhere else."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        if os.listdir(directory):
            raise Refused(f"{directory} is not empty")
        self.directory = directory
        self.report = open(os.path.join(directory, "report.jsonl"), "x", encoding="ascii")
        self.aside = 0
        self.damaged = False

    def line(self, **fields):
        if fields.get("damage"):
            self.damaged = True
            fields["damage"] = fields["damage"] if isinstance(fields["damage"], list) else [fields["damage"]]
        self.report.write(json.dumps(fields) + "\n")

    def place(self, file, folders, name, *leaf):
        """Moves a file of work to folders/name/leaf, or aside if that can't be; returns its path below the directory."""
        segments = [*folders, *leaf]
        if is_name(name) and all(is_name(segment) and "/" not in segment for segment in segments):
            path = os.path.join(*folders, name, *leaf)
            try:
                os.makedirs(os.path.join(self.directory, os.path.dirname(path)), exist_ok=True)
                open(os.path.join(self.directory, path), "xb").close()
            except UnicodeEncodeError:
                pass
            except OSError as error:
                if error.errno not in PATH_ERRORS:
                    raise
            else:
                os.replace(file.name, os.path.join(self.directory, path))
                return path
        self.aside += 1
        os.makedirs(os.path.join(self.directory, "aside"), exist_ok=True)
        path = os.path.join("aside", f"{self.aside:06}")
        os.replace(file.name, os.path.join(self.directory, path))
        return path

    def save(self, file, damage, folders, leaf, fields):
        """Puts a file of an object where it belongs, below `partial` if it is damaged, and reports it."""
        file.close()
        folders = [*folders, fields["namespace"]]
        path = self.place(file, ["partial", *folders] if damage else folders, fields["name"], *leaf)
        if damage:
            print(f"recover.py: version {fields['version']} of {json.dumps(fields['name'])} is damaged", file=sys.stderr)
        self.line(**fields, path=path, status="damaged" if damage else "ok", damage=damage)


def describe(manifest):
    """What a manifest tells people, for the report."""
    source = manifest.source
    return {
        "created_us": signed(manifest.created),
        "media_type": manifest.media_type,
        "metadata": {entry.key: entry.value for entry in manifest.metadata},
        "source": source and {"path": source.path.decode(errors="surrogateescape"), "modified_ns": signed(source.modified),
                              "mode": source.mode},
    }


def recover_version(rebuilder, output, manifest, state):
    common = {"namespace": manifest.namespace, "name": manifest.name, "version": manifest.version, "state": state}
    number = str(manifest.version)
    damage = []
    stored, original = rebuilder.original(manifest, damage)
    for view in manifest.views:
        if view.status != VERIFIED:
            continue
        view_damage = ["the stored form is damaged"] if damage and original is stored else []
        file = rebuilder.file() if view_damage else rebuilder.view(view, stored, view_damage)
        output.save(file, view_damage, ["views", number], [view.name + view.extension],
                    {**common, "view": view.name, "size": view.length, "sha256": hex_of(view.digest)})
    if original is not stored:
        stored.close()
        os.unlink(stored.name)
    output.save(original, damage, ["objects"] if state == "latest" else ["versions", number], [],
                {**common, "size": manifest.size, "sha256": hex_of(manifest.digest), **describe(manifest)})


def recover(directory, output, vxrun, removed):
    def note(file, offset, text):
        print(f"recover.py: {file}{'' if offset is None else f' at {offset:#x}'}: {text}", file=sys.stderr)
        output.line(file=file, offset=offset, damage=text)

    archive = Archive(directory, note)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=output.directory) as work:
        rebuilder = Rebuilder(archive, Decoders(archive, vxrun, work), work)
        # Backwards, so that "a/b" makes the folder "a" before the object "a" is in its way.
        for key, versions in sorted(archive.names.items(), reverse=True):
            for number, state, version in archive.states(versions):
                if version.record is None or (state == "removed" and not removed):
                    output.line(namespace=key[0], name=key[1], version=number, state=state)
                    continue
                manifest = parse("Manifest", version.record.pack.payload(version.record))
                recover_version(rebuilder, output, manifest, state)


def lock(directory):
    """Keeps others from opening the archive, where that can be done; raises Refused if one has it open."""
    try:
        file = open(os.path.join(directory, "LOCK"), "rb")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused(f"{directory} is in use; stop that program first") from None
    except OSError:
        return None  # a copy without it, a medium without locks
    return file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vxrun", default="vxrun", help="the vxrun program, if it isn't in PATH")
    parser.add_argument("--removed", action="store_true", help="recover removed versions too, as far as they are there")
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("outdir", metavar="OUTDIR")
    args = parser.parse_args()
    try:
        vxrun = shutil.which(args.vxrun)
        if vxrun is None:
            raise Refused(f"there is no program {args.vxrun}; see --vxrun")
        if not os.path.isdir(os.path.join(args.data, "packs")):
            raise Refused(f"{args.data} is no archive: it has no folder packs")
        locked = lock(args.data)  # until the end
        output = Output(args.outdir)
        recover(args.data, output, os.path.abspath(vxrun), args.removed)
        output.report.close()
        del locked
    except (Refused, OSError) as error:
        print(f"recover.py: {error}", file=sys.stderr)
        return 2
    if output.damaged:
        print(f"recover.py: something is damaged: {os.path.join(args.outdir, 'report.jsonl')} tells what", file=sys.stderr)
    return int(output.damaged)


if __name__ == "__main__":
    sys.exit(main())
