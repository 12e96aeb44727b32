"""How programs that run guests are linked."""

# Without shared libraries, which take longer to load than a small guest to run; and position-independent,
# for an exclusive guest has the addresses that a program would else be linked for.
STATIC_PIE = select({
    "//vxengine:dynamic": [],
    "//conditions:default": [
        "-static-pie",
        "-fuse-ld=bfd",  # gold knows no static PIE
        "-Wl,-z,pack-relative-relocs",
    ],
})
