"""newlib: the guests' C library, built by its own configure and make."""

load("//decoders/sdk:flags.bzl", "TARGET_FLAGS", "TOOL_ENV")
load("//decoders/sdk:vx.bzl", "VxInfo")

def _impl(ctx):
    include = ctx.actions.declare_directory("include")
    libc = ctx.actions.declare_file("libc.a")
    libm = ctx.actions.declare_file("libm.a")
    ctx.actions.run(
        executable = ctx.executable._build,
        arguments = [ctx.file.configure.path, libc.path, libm.path, include.path] + TARGET_FLAGS,
        inputs = ctx.files.srcs + [ctx.file.configure],
        outputs = [libc, libm, include],
        env = TOOL_ENV,
        mnemonic = "Newlib",
        progress_message = "Building newlib, the guests' C library",
    )
    return [
        DefaultInfo(files = depset([libc, libm, include])),
        VxInfo(
            archives = depset([libm, libc], order = "topological"),
            assemblers = depset(order = "topological"),
            headers = depset([include]),
            includes = depset([include.path]),
            defines = depset(),
            provenance = depset([ctx.file.provenance]),
        ),
    ]

newlib = rule(
    implementation = _impl,
    attrs = {
        "configure": attr.label(mandatory = True, allow_single_file = True),
        "provenance": attr.label(mandatory = True, allow_single_file = True),
        "srcs": attr.label_list(mandatory = True, allow_files = True),
        "_build": attr.label(
            default = "//decoders/sdk:build_newlib.sh",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
    },
)
