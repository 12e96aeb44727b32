"""The compiler flags that make i686 guest code. They are a guest's identity, so nothing else may add to them.

gcc's -m32 alone would compute in x87 registers, slower and with other results at -O2 than at -O3; with SSE2
the same source gives the same bits as on x86-64. A sandboxed guest has no %gs for a stack protector, no
shadow stack, and no need of position independence. It must not think that it runs on Linux.
"""

# Of what every guest is built with: these flags, the linker script, the run-time code. Every built-in decoder has it in
# its note.
KIT_VERSION = "1"

CPU_FLAGS = [
    "-m32",
    "-march=i686",
    "-msse2",
    "-mfpmath=sse",
    "-mtune=generic",
]

# The same for nasm, which calls this CPU so. It then refuses most later instructions; the sandbox refuses all.
NASM_FLAGS = [
    "-f",
    "elf32",
    "--before",
    "cpu willamette",
]

TARGET_FLAGS = CPU_FLAGS + [
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fomit-frame-pointer",
    "-ffunction-sections",
    "-fdata-sections",
    "-U_FORTIFY_SOURCE",
    "-U__linux__",
    "-U__linux",
    "-Ulinux",
    "-U__gnu_linux__",
    "-U__unix__",
    "-U__unix",
    "-Uunix",
    # Nothing of the host's C library; gcc's own headers (stddef.h, emmintrin.h) stay.
    "--sysroot=/nonexistent",
]

# The environment of every tool that makes guests: none of the machine's variables, CPATH and the like.
TOOL_ENV = {
    "LC_ALL": "C",
    "PATH": "/usr/bin:/bin",
}

# What a guest's own sources get beside these. Vectorising was measured to add 5-60 % of size and no speed. 64-bit
# integers in SSE registers, which gcc likes, are loaded from halves that were stored apart, and so wait for both stores:
# a search with them took half as long again.
GUEST_FLAGS = TARGET_FLAGS + [
    "-O3",
    "-fno-tree-vectorize",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-mno-stv",
    "-DNDEBUG",
]

# And C++ beside these: what cxx.c is the run time for. Before C++20 gcc's headers leave std::string to its library.
CXX_FLAGS = [
    "-std=c++20",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-use-cxa-atexit",
]

# How a program is linked, with the linker script guest.ld.
LINK_FLAGS = [
    "-static",
    "-nostdlib",
    "-no-pie",
    "-fuse-ld=bfd",
    "-Wl,--gc-sections,--build-id=none",
    "-Wl,-z,max-page-size=4096,-z,noexecstack,--fatal-warnings,--undefined=_start",
]
