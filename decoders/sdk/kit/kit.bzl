"""vx_kit: what outside authors of decoders get, as one tar file."""

load(
    "//decoders/sdk:flags.bzl",
    "CPU_FLAGS",
    "CXX_FLAGS",
    "GUEST_FLAGS",
    "KIT_VERSION",
    "LINK_FLAGS",
    "TARGET_FLAGS",
    "TOOL_ENV",
)
load("//decoders/sdk:vx.bzl", "VxInfo")

def _impl(ctx):
    vxcc = ctx.actions.declare_file(ctx.label.name + "/vxcc")
    flags = {
        "@CPU_FLAGS@": CPU_FLAGS,
        "@CXX_FLAGS@": CXX_FLAGS,
        "@GUEST_FLAGS@": GUEST_FLAGS,
        "@KIT_VERSION@": [KIT_VERSION],
        "@LINK_FLAGS@": LINK_FLAGS,
        "@TARGET_FLAGS@": TARGET_FLAGS,
    }
    ctx.actions.expand_template(
        template = ctx.file._vxcc,
        output = vxcc,
        substitutions = {name: " ".join(value) for name, value in flags.items()},
    )
    places = {vxcc: "bin/vxcc", ctx.file.vxrun: "bin/vxrun"}
    for library in ctx.attr.libraries:
        for archive in library[VxInfo].archives.to_list():
            places[archive] = "lib/" + archive.basename.replace(".vx.a", ".a")
        for provenance in library[VxInfo].provenance.to_list():
            places[provenance] = "lib/provenance/" + provenance.owner.workspace_name
    include = ctx.attr.libraries[0][VxInfo].includes.to_list()[-1]
    for target, place in ctx.attr.files.items():
        for file in target.files.to_list():
            places[file] = place + file.basename if place.endswith("/") else place
    ctx.actions.run(
        executable = ctx.executable._make_kit,
        arguments = [ctx.outputs.tar.path, include, ctx.file._newlib_copying.path] +
                    ["%s=%s" % (file.path, place) for file, place in places.items()],
        inputs = depset(
            places.keys() + [ctx.file._newlib_copying],
            transitive = [library[VxInfo].headers for library in ctx.attr.libraries],
        ),
        outputs = [ctx.outputs.tar],
        env = TOOL_ENV,
        mnemonic = "VxKit",
    )
    return [DefaultInfo(files = depset([ctx.outputs.tar]), runfiles = ctx.runfiles([ctx.outputs.tar]))]

vx_kit = rule(
    implementation = _impl,
    attrs = {
        "files": attr.label_keyed_string_dict(allow_files = True),  # the place of each; a folder ends in /
        "libraries": attr.label_list(providers = [VxInfo], cfg = "host"),
        "vxrun": attr.label(allow_single_file = True),
        "_make_kit": attr.label(
            default = "//decoders/sdk:kit/make_kit.sh",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
        "_newlib_copying": attr.label(default = "@newlib//:src/COPYING.NEWLIB", allow_single_file = True),
        "_vxcc": attr.label(default = "//decoders/sdk:kit/vxcc.in", allow_single_file = True),
    },
    outputs = {"tar": "vxa-kit.tar"},
)
