"""hosted_programs and benchmark_guest: guests' sources as programs of the machine's own C library, and of WASI's."""

load("//decoders/sdk:flags.bzl", "TOOL_ENV")
load("//decoders/sdk:vx.bzl", "vx_decoder")

# What a user of gcc would say, and what makes the strictest baseline of it: nothing dynamic and no position
# independence, which cost 32-bit code a register; SSE2, with which floating point has a guest's results.
# Sections, because libraries are there without the half that no decoder needs.
HOSTED_FLAGS = ["-O2", "-static", "-ffunction-sections", "-DNDEBUG"]
HOSTED_LINK_FLAGS = ["-Wl,--gc-sections"]

# How programs are made for a machine. <asm/…> of x86-64 is 32-bit code's too; gcc makes no WebAssembly.
MACHINES = {
    "m32": struct(
        compiler = "/usr/bin/gcc",
        flags = ["-m32", "-isystem", "/usr/include/x86_64-linux-gnu", "-msse2", "-mfpmath=sse"],
        link_flags = [],
    ),
    "m64": struct(compiler = "/usr/bin/gcc", flags = ["-m64"], link_flags = []),
    "wasm": struct(
        compiler = "/usr/bin/clang-14",
        flags = ["--target=wasm32-wasi"],
        link_flags = ["-Wl,-z,stack-size=1048576"],
    ),
}

_VISIBILITY = [
    "//decoders:__subpackages__",
    "//tests:__pkg__",
    "//vxengine/conformance:__pkg__",
]

_SourcesInfo = provider(
    doc = "The sources behind a vx_library and those that it depends on.",
    fields = {
        "libraries": "depset of structs: srcs, headers (private), copts, local_defines, own (its warnings count)",
        "headers": "depset of files",
        "includes": "depset of folders",
        "defines": "depset of strings",
    },
)

def _sources_aspect_impl(target, ctx):
    attr, deps = ctx.rule.attr, [dep[_SourcesInfo] for dep in getattr(ctx.rule.attr, "deps", []) if _SourcesInfo in dep]
    package = "/".join([part for part in [target.label.workspace_root, target.label.package] if part])
    sources = [f for f in ctx.rule.files.srcs if f.extension in ["c", "S"]]
    library = struct(
        srcs = tuple(sources),
        headers = tuple([f for f in ctx.rule.files.srcs if f not in sources]),
        copts = tuple(attr.copts),
        local_defines = tuple(attr.local_defines),
        own = not target.label.workspace_name,
    )
    return [_SourcesInfo(
        libraries = depset([library], transitive = [dep.libraries for dep in deps]),
        headers = depset(ctx.rule.files.hdrs, transitive = [dep.headers for dep in deps]),
        includes = depset(
            [
                "/".join([part for part in [root, package, include] if part and part != "."])
                for include in attr.includes
                for root in ["", ctx.bin_dir.path]
            ],
            transitive = [dep.includes for dep in deps],
        ),
        defines = depset(attr.defines, transitive = [dep.defines for dep in deps]),
    )]

# Along `deps` alone: the guests' C library is not among them.
_sources_aspect = aspect(implementation = _sources_aspect_impl, attr_aspects = ["deps"])

def _hosted_program_impl(ctx):
    sources = ctx.attr.guest[_SourcesInfo]
    shim = struct(srcs = tuple(ctx.files.shim), headers = (), copts = (), local_defines = (), own = True)
    machine = MACHINES[ctx.attr.machine]
    flags = machine.flags + HOSTED_FLAGS
    objects = []
    for library in sources.libraries.to_list() + [shim]:
        for src in library.srcs:
            obj = ctx.actions.declare_file("%s_objects/%s.o" % (ctx.label.name, src.short_path.replace("../", "")))
            args = ctx.actions.args()
            args.add_all(flags)
            args.add_all(["-Wall", "-Wextra", "-Wno-unused-parameter"] if library.own else ["-w"])
            args.add("-iquote", ".")
            args.add_all(sources.includes, before_each = "-isystem")
            args.add_all(sources.defines, format_each = "-D%s")
            args.add_all(library.local_defines, format_each = "-D%s")
            args.add_all(library.copts)
            args.add("-c", src)
            args.add("-o", obj)
            ctx.actions.run(
                executable = machine.compiler,
                arguments = [args],
                inputs = depset([src] + list(library.headers), transitive = [sources.headers]),
                outputs = [obj],
                env = dict(TOOL_ENV, PWD = "/proc/self/cwd"),
                mnemonic = "HostedCompile",
                progress_message = "Compiling %s for the host" % src.short_path,
            )
            objects.append(obj)
    program = ctx.actions.declare_file(ctx.label.name)
    args = ctx.actions.args()
    args.add_all(flags + HOSTED_LINK_FLAGS + machine.link_flags)
    args.add("-o", program)
    args.add_all(objects)
    args.add("-lm")
    ctx.actions.run(
        executable = machine.compiler,
        arguments = [args],
        inputs = objects,
        outputs = [program],
        env = TOOL_ENV,
        mnemonic = "HostedLink",
    )
    return [DefaultInfo(executable = program)]

_hosted_program = rule(
    implementation = _hosted_program_impl,
    attrs = {
        "guest": attr.label(mandatory = True, aspects = [_sources_aspect]),
        "machine": attr.string(values = MACHINES.keys()),
        "shim": attr.label_list(allow_files = True),
    },
    executable = True,
)

def hosted_programs(name, guest):
    """NAME.m32, NAME.m64, NAME.wasm: a vx_decoder's sources, and its libraries', with another C library.

    That is the machine's own, or WASI's, which has no system calls by number: a guest that makes some has no NAME.wasm
    that could be built.

    Args:
      name: the programs' name without the machine.
      guest: the label of the vx_decoder, in full.
    """
    for machine in MACHINES:
        _hosted_program(
            name = "%s.%s" % (name, machine),
            guest = guest + "_main",
            machine = machine,
            shim = [] if machine == "wasm" else ["//tools/benchmarks/guests:hosted.c"],
            tags = ["manual"],
            visibility = _VISIBILITY,
        )

def benchmark_guest(name):
    """The guest NAME.c with all its native forms: NAME.vx, NAME.native32, NAME.m32, NAME.m64 and NAME.wasm."""
    vx_decoder(
        name = name,
        srcs = [
            name + ".c",
            "guest.h",
        ],
        visibility = _VISIBILITY,
    )
    hosted_programs(name, ":" + name)
