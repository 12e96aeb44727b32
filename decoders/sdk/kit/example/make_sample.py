#!/usr/bin/env python3
"""Writes castle.iff, an Amiga picture, and castle.ppm, the same pixels without a detour over the decoder."""

import struct

WIDTH, HEIGHT, PLANES = 317, 200, 5
PALETTE = [(i * 37 % 256, i * 91 % 256, 255 - i * 8) for i in range(1 << PLANES)]


def colour(x, y):
    """A castle before a sky of stripes."""
    wall = 60 <= x < 260 and y >= 90 + 12 * (x // 20 % 2)
    gate = (x - 160) ** 2 + (y - 200) ** 2 < 1600
    return 1 if gate else 2 + (x // 8 + y // 5) % 3 if wall else 8 + y // 9


def byte_run(data):
    """ByteRun1: runs of 3 and more, the rest as it is."""
    out, literal, at = bytearray(), bytearray(), 0

    def flush():
        if literal:
            out.extend([len(literal) - 1, *literal])
            literal.clear()

    while at < len(data):
        run = 1
        while at + run < len(data) and run < 128 and data[at + run] == data[at]:
            run += 1
        if run >= 3:
            flush()
            out.extend([257 - run, data[at]])
        else:
            literal.extend(data[at:at + run])
            if len(literal) > 120:
                flush()
        at += run
    flush()
    return bytes(out)


def chunk(name, data):
    return name + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)


def main():
    row_bytes = (WIDTH + 15) // 16 * 2
    body = bytearray()
    for y in range(HEIGHT):
        for plane in range(PLANES):
            bits = 0
            for x in range(row_bytes * 8):
                bits = bits << 1 | (colour(x, y) >> plane & 1 if x < WIDTH else 0)
            body += byte_run(bits.to_bytes(row_bytes, "big"))
    header = struct.pack(">HHhhBBBBHBBhh", WIDTH, HEIGHT, 0, 0, PLANES, 0, 1, 0, 0, 10, 11, 320, 200)
    chunks = (chunk(b"BMHD", header) + chunk(b"ANNO", b"a castle") +
              chunk(b"CMAP", bytes(value for entry in PALETTE for value in entry)) + chunk(b"BODY", bytes(body)))
    with open("castle.iff", "wb") as picture:
        picture.write(chunk(b"FORM", b"ILBM" + chunks))
    with open("castle.ppm", "wb") as picture:
        picture.write(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT))
        picture.write(bytes(value for y in range(HEIGHT) for x in range(WIDTH) for value in PALETTE[colour(x, y)]))


if __name__ == "__main__":
    main()
