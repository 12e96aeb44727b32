#!/usr/bin/env python3
"""read_packs.py DIRECTORY: reads an archive by archive/FORMAT.md alone, without any of our code.

Checks everything that can be checked and prints one line for each version of each object:
name, version, size and SHA-256, or "delete marker". In place of an x86 emulator it has Python's own
zlib, for the one decoder that chunks use.
"""
import hashlib
import os
import struct
import sys
import zlib


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def message(data):
    """A protobuf message as {field number: [values]}: integers, or bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        else:
            assert tag & 7 == 0, "only varints and bytes are used"
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def one(fields, number, default=0):
    return fields.get(number, [default])[0]


def sha256(data):
    return hashlib.sha256(data).digest()


def digest(field):
    assert one(message(field), 1) == 1, "SHA-256"
    return one(message(field), 2)


def read_pack(pack, end):
    """Yields (sequence number, type, payload hash, payload)."""
    assert pack[:8] == b"\x89VXP\r\n\x1a\n" and pack[8:12] == bytes(4) and pack[64:92] == bytes(28)
    assert struct.unpack_from("<I", pack, 92)[0] == crc32c(pack[:92])
    uuid, chain, at = pack[16:32], sha256(pack[:96]), 96
    while at < end:
        header = pack[at : at + 88]
        assert header[:8] == b"\x89VXR\r\n\x1a\n", "magic at %d" % at
        assert struct.unpack_from("<I", header, 84)[0] == crc32c(header[:84]), "CRC at %d" % at
        kind, flags, algorithm, zero, length, sequence, offset = struct.unpack_from(
            "<BBBBIQQ", header, 8
        )
        assert offset == at and header[32:48] == uuid and header[80:84] == bytes(4)
        assert algorithm == 1 and flags in (0, 1) and zero == 0 and length <= 16 << 20
        payload = pack[at + 88 : at + 88 + length]
        padding = -length % 8
        assert sha256(payload) == header[48:80], "payload at %d" % at
        assert pack[at + 88 + length : at + 88 + length + padding] == bytes(padding)
        if kind == 7:
            assert struct.unpack_from("<Q", payload)[0] <= at and payload[8:] == chain
        chain = sha256(chain + header)
        yield sequence, kind, header[48:80], payload
        at += 88 + length + padding


def read_packs(folder):
    packs = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            packs.append(file.read())
    records = []
    for pack, following in zip(packs, packs[1:] + [None]):
        end = len(pack)
        if following and following[40:56] == pack[16:32]:
            end = struct.unpack_from("<Q", following, 56)[0]
        records += read_pack(pack, end)
    return sorted(records)


def read_chunk(blob, elf_images):
    length = struct.unpack_from("<I", blob)[0]
    prefix, encoded = message(blob[4 : 4 + length]), blob[4 + length :]
    if 2 in prefix:
        decode = message(one(prefix, 2))
        assert digest(one(decode, 1)) in elf_images and decode[2] == [b"zlib"]
        encoded = zlib.decompress(encoded)
    assert len(encoded) == one(prefix, 3) and sha256(encoded) == digest(one(prefix, 4))
    return encoded


def main(directory):
    with open(os.path.join(directory, "VERSION")) as file:
        assert file.read() == "vxa-archive 0\n"
    payloads, elf_images, objects = {}, set(), {}
    for _, kind, name, payload in read_packs(os.path.join(directory, "packs")):
        payloads[name] = payload
        if kind == 1:
            elf_images.add(name)
        elif kind == 4:
            manifest = message(payload)
            objects.setdefault(one(manifest, 3), {})[one(manifest, 4)] = manifest
        elif kind == 5:
            update = message(payload)
            versions = objects.setdefault(one(update, 3), {})
            if 6 in update:
                versions[one(update, 6)] = None
            else:
                versions.pop(one(update, 7), None)
    for name, versions in sorted(objects.items()):
        for version, manifest in sorted(versions.items()):
            if manifest is None:
                print(name.decode(), version, "delete marker")
                continue
            chunks = manifest.get(8, [])
            for reference in manifest.get(9, []):
                chunks += message(payloads[digest(one(message(reference), 1))])[2]
            size, whole = 0, hashlib.sha256()
            for chunk in map(message, chunks):
                assert one(chunk, 1) == size
                decoded = read_chunk(payloads[digest(one(chunk, 3))], elf_images)
                assert len(decoded) == one(chunk, 2)
                size += len(decoded)
                whole.update(decoded)
            assert size == one(manifest, 6) and whole.digest() == digest(one(manifest, 7))
            print(name.decode(), version, size, whole.hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
