"""vx_decoder and vx_library: guest programs, and upstream libraries compiled for guests.

These run gcc themselves rather than through Bazel's C++ toolchain, and always in the host configuration, so
that a guest is the same file whatever options and sanitizers the rest is built with. Its SHA-256 names it
in every archive.
"""

load("//decoders/sdk:flags.bzl", "CPU_FLAGS", "CXX_FLAGS", "GUEST_FLAGS", "KIT_VERSION", "LINK_FLAGS", "NASM_FLAGS", "TOOL_ENV")

VxInfo = provider(
    doc = "Guest code to link with, and what its users need to compile.",
    fields = {
        "archives": "depset of .a files, users before what they use",
        "assemblers": "depset of the paths of the assemblers used beside gcc",
        "defines": "depset of preprocessor definitions for all users",
        "headers": "depset of header files (or folders of them)",
        "includes": "depset of include folders, searched with -isystem",
        "provenance": "depset of files of `source` and `patch` lines (see What a decoder says of itself), users first",
    },
)

# gcc writes the working directory into debug information; this name for it is the same everywhere.
_COMPILE_ENV = dict(TOOL_ENV, PWD = "/proc/self/cwd")

_NASM = "/usr/bin/nasm"

# The folder of //decoders/sdk:cxx.
_CXX_INCLUDE = "decoders/sdk/kit/cxx"

def _merge(deps, field, direct = []):
    transitive = [getattr(dep[VxInfo], field) for dep in deps]
    return depset(direct, transitive = transitive, order = "topological")

# How official guests are compiled; tests have other ways (decoders/testing/variants.bzl).
_OFFICIAL = struct(compiler = "/usr/bin/gcc", flags = GUEST_FLAGS, suffix = "")

def _compile(ctx, way, copts, src, headers, includes, defines):
    obj = ctx.actions.declare_file("%s%s_objects/%s.o" % (ctx.label.name, way.suffix, src.short_path.replace("../", "")))
    args = ctx.actions.args()
    if src.extension == "asm":
        args.add_all(NASM_FLAGS)
        args.add_all(includes, format_each = "-I%s/")
        args.add_all(defines, format_each = "-D%s")
        args.add("-o", obj)
        args.add(src)
        ctx.actions.run(
            executable = _NASM,
            arguments = [args],
            inputs = depset([src], transitive = [headers]),
            outputs = [obj],
            env = TOOL_ENV,
            mnemonic = "VxAssemble",
            progress_message = "Assembling %s for guests" % src.short_path,
        )
        return obj
    args.add_all(way.flags)
    args.add("-g")
    args.add_all(["/proc/self/cwd=.", ctx.bin_dir.path + "/="], format_each = "-ffile-prefix-map=%s")

    # Warnings are for our own code; upstream's are upstream's business.
    args.add_all(["-w"] if ctx.label.workspace_name else ["-Wall", "-Wextra", "-Wno-unused-parameter"])
    args.add("-iquote", ".")
    if src.extension == "cc":
        # gcc's headers come before the C library's, which they include.
        args.add_all(CXX_FLAGS)
        args.add_all(["-isystem", _CXX_INCLUDE])
        args.add_all(includes, before_each = "-idirafter")
    else:
        args.add_all(includes, before_each = "-isystem")
    args.add_all(defines, format_each = "-D%s")
    args.add_all(copts)
    args.add("-c", src)
    args.add("-o", obj)
    ctx.actions.run(
        executable = way.compiler,
        arguments = [args],
        inputs = depset([src], transitive = [headers]),
        outputs = [obj],
        env = _COMPILE_ENV,
        mnemonic = "VxCompile",
        progress_message = "Compiling %s for guests" % src.short_path,
    )
    return obj

def archive_for_guests(ctx, attr, files, way, headers, includes, defines):
    """Compiles a vx_library's sources: its one archive.

    Args:
      ctx: of the rule, or of an aspect.
      attr: the vx_library's attributes.
      files: its attributes' files.
      way: a struct: compiler (path), flags, suffix (of the names of what comes out).
      headers: depset.
      includes: depset.
      defines: depset.

    Returns:
      the File.
    """
    sources = [f for f in files.srcs if f.extension in ["asm", "c", "cc", "S"]]
    private_headers = [f for f in files.srcs if f not in sources]
    objects = [
        _compile(
            ctx,
            way,
            attr.copts,
            src,
            depset(private_headers + (files._cxx if src.extension == "cc" else []), transitive = [headers]),
            includes,
            defines.to_list() + attr.local_defines,
        )
        for src in sources
    ]
    archive = ctx.actions.declare_file("lib%s%s.vx.a" % (ctx.label.name, way.suffix))
    args = ctx.actions.args()
    args.add("Drcs", archive)
    args.add_all(objects)
    ctx.actions.run(
        executable = "/usr/bin/ar",
        arguments = [args],
        inputs = objects,
        outputs = [archive],
        env = TOOL_ENV,
        mnemonic = "VxArchive",
    )
    return archive

def _vx_library_impl(ctx):
    deps = ctx.attr.deps + ctx.attr._libc
    package = "/".join([part for part in [ctx.label.workspace_root, ctx.label.package] if part])
    own_includes = [
        "/".join([part for part in [root, package, include] if part and part != "."])
        for include in ctx.attr.includes
        for root in ["", ctx.bin_dir.path]
    ]
    headers = _merge(deps, "headers", ctx.files.hdrs)
    includes = _merge(deps, "includes", own_includes)
    defines = _merge(deps, "defines", ctx.attr.defines)
    archive = archive_for_guests(ctx, ctx.attr, ctx.files, _OFFICIAL, headers, includes, defines)
    return [
        DefaultInfo(files = depset([archive])),
        VxInfo(
            archives = _merge(deps, "archives", [archive]),
            assemblers = _merge(deps, "assemblers", [_NASM] if any([src.extension == "asm" for src in ctx.files.srcs]) else []),
            headers = headers,
            includes = includes,
            defines = defines,
            provenance = _merge(deps, "provenance", ctx.files.provenance),
        ),
    ]

_vx_library = rule(
    implementation = _vx_library_impl,
    attrs = {
        "copts": attr.string_list(),
        "defines": attr.string_list(),
        "deps": attr.label_list(providers = [VxInfo]),
        "hdrs": attr.label_list(allow_files = True),
        "includes": attr.string_list(),
        "local_defines": attr.string_list(),
        "provenance": attr.label_list(allow_files = True),
        "srcs": attr.label_list(allow_files = True),
        "_cxx": attr.label(default = "//decoders/sdk:cxx"),
        "_libc": attr.label_list(default = ["@newlib//:newlib"], providers = [VxInfo]),
    },
)

def vx_library(name, tags = [], **kwargs):
    """A library for guests: C, C++ and assembler sources compiled like a decoder's, headers, include folders.

    C++ is without exceptions and RTTI, as sdk/TUTORIAL.md has it. Includes and definitions are nasm's too, copts aren't.

    Args:
      name: the target's name.
      tags: as everywhere; `manual` is added, because only decoders that need it should cause it to be built.
      **kwargs: srcs (.c, .cc and .S are compiled, .asm by nasm, the rest are private headers), hdrs, includes (folders
        for users' -isystem), defines (for users too), local_defines, copts, deps; as in cc_library.
    """
    upstream = native.repository_name() != "@"
    _vx_library(
        name = name,
        tags = tags + ["manual"],
        provenance = ["//:PROVENANCE"] if upstream else [],
        **kwargs
    )

def link_guest(ctx, archives, output):
    """Links a depset of archives, by a rule that has LINK_ATTRS."""
    args = ctx.actions.args()
    args.add_all(CPU_FLAGS)
    args.add_all(LINK_FLAGS)
    args.add(ctx.file._script, format = "-Wl,-T,%s")
    args.add("-o", output)
    args.add("-Wl,--start-group")
    args.add_all(archives)
    args.add_all(["-lgcc", "-Wl,--end-group"])
    ctx.actions.run(
        executable = "/usr/bin/gcc",
        arguments = [args],
        inputs = depset([ctx.file._script], transitive = [archives]),
        outputs = [output],
        env = TOOL_ENV,
        mnemonic = "VxLink",
    )

def _note(ctx):
    """The object file of the note that says where a program comes from."""
    provenance = _merge(ctx.attr.libraries, "provenance")
    lines = ctx.actions.declare_file(ctx.label.name + ".note")
    note = ctx.actions.declare_file(ctx.label.name + ".note.o")
    args = ctx.actions.args()
    args.add_all([ctx.file._note_lines, lines, KIT_VERSION, "/usr/bin/gcc"])
    args.add_all(_merge(ctx.attr.libraries, "assemblers"))
    args.add("--")
    args.add_all(provenance)
    ctx.actions.run_shell(
        command = 'script=$1 lines=$2; shift 2; sh "$script" "$@" > "$lines"',
        arguments = [args],
        inputs = depset([ctx.file._note_lines], transitive = [provenance]),
        outputs = [lines],
        env = TOOL_ENV,
        mnemonic = "VxNoteLines",
    )
    args = ctx.actions.args()
    args.add_all(CPU_FLAGS)
    args.add(lines, format = '-DVX_NOTE_FILE="%s"')
    args.add("-c", ctx.file._note)
    args.add("-o", note)
    ctx.actions.run(
        executable = "/usr/bin/gcc",
        arguments = [args],
        inputs = [ctx.file._note, lines],
        outputs = [note],
        env = TOOL_ENV,
        mnemonic = "VxNote",
    )
    return note

def _vx_program_impl(ctx):
    # Its own note comes first.
    objects = _merge(ctx.attr.libraries, "archives", [_note(ctx)])
    link_guest(ctx, objects, ctx.outputs.debug)
    args = ctx.actions.args()
    args.add_all(["--strip-all", "--remove-section=.comment"])
    args.add(ctx.outputs.debug)
    args.add(ctx.outputs.vx)
    ctx.actions.run(
        executable = "/usr/bin/objcopy",
        arguments = [args],
        inputs = [ctx.outputs.debug],
        outputs = [ctx.outputs.vx],
        env = TOOL_ENV,
        mnemonic = "VxStrip",
    )
    return [DefaultInfo(files = depset([ctx.outputs.vx]), runfiles = ctx.runfiles([ctx.outputs.vx]))]

LINK_ATTRS = {
    "_script": attr.label(default = "//decoders/sdk:guest.ld", allow_single_file = True),
}

_PROGRAM_ATTRS = dict(
    LINK_ATTRS,
    libraries = attr.label_list(providers = [VxInfo], cfg = "host"),
)

_STRIPPED_ATTRS = dict(
    _PROGRAM_ATTRS,
    _note = attr.label(default = "//decoders/sdk:note.S", allow_single_file = True),
    _note_lines = attr.label(default = "//decoders/sdk:note_lines.sh", allow_single_file = True),
    debug = attr.output(mandatory = True),
    vx = attr.output(mandatory = True),
)

_vx_program = rule(implementation = _vx_program_impl, attrs = _STRIPPED_ATTRS)

# Compiles all that it links, in the target configuration: in another folder than the host's.
_vx_rebuilt = rule(
    implementation = _vx_program_impl,
    attrs = dict(_STRIPPED_ATTRS, libraries = attr.label_list(providers = [VxInfo])),
)

def _vx_native32_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    link_guest(ctx, _merge(ctx.attr.libraries, "archives"), program)
    return [DefaultInfo(executable = program)]

_vx_native32 = rule(
    implementation = _vx_native32_impl,
    attrs = _PROGRAM_ATTRS,
    executable = True,
)

def vx_decoder(name, srcs, deps = [], copts = [], defines = [], **kwargs):
    """A guest program.

    Makes NAME.vx, a stripped static ELF32, NAME.vx.debug, the same with symbols and debug information, and
    on demand NAME.native32, the same objects as a 32-bit Linux program, for gdb and as the baseline of benchmarks,
    and NAME.rebuilt.vx, which must be the same file as NAME.vx although all of it is compiled in another folder.

    Args:
      name: the decoder's name.
      srcs: C, C++ and assembler sources and their headers, with main() in one of them.
      deps: vx_library targets.
      copts: more compiler flags for srcs; they come last.
      defines: preprocessor definitions for srcs.
      **kwargs: visibility, testonly and the like.
    """
    objects = name + "_main"
    vx_library(
        name = objects,
        srcs = srcs,
        copts = copts,
        local_defines = defines,
        deps = deps + ["//decoders/sdk"],
        **kwargs
    )
    _vx_program(
        name = name,
        debug = name + ".vx.debug",
        libraries = [objects, "//decoders/sdk:runtime"],
        vx = name + ".vx",
        **kwargs
    )
    _vx_rebuilt(
        name = name + ".rebuilt",
        debug = name + ".rebuilt.vx.debug",
        libraries = [objects, "//decoders/sdk:runtime"],
        tags = ["manual"],
        vx = name + ".rebuilt.vx",
        **kwargs
    )
    _vx_native32(
        name = name + ".native32",
        libraries = [objects, "//decoders/sdk:runtime_native32"],
        tags = ["manual"],
        **kwargs
    )
