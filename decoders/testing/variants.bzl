"""vx_variants: guests as other compilers and other optimisation levels would have made them."""

load("//decoders/sdk:flags.bzl", "GUEST_FLAGS")
load("//decoders/sdk:vx.bzl", "LINK_ATTRS", "VxInfo", "archive_for_guests", "link_guest")

_LEVELS = ["O0", "O2", "O3", "Os"]

# Both vectorise where they like, which official guests do not. Warnings are for the official build.
_FLAGS = [flag for flag in GUEST_FLAGS if flag not in ["-O3", "-fno-tree-vectorize", "-mno-stv"]] + ["-w"]

# The compiler and what makes it compute in x87 registers (clang does so only where there is no SSE).
_COMPILERS = {
    "clang": struct(path = "/usr/bin/clang-14", x87 = ["-mno-sse", "-mfpmath=387"]),
    "gcc": struct(path = "/usr/bin/gcc", x87 = ["-mfpmath=387"]),
}

# "gcc-O0" and the like, and "gcc-O0-x87".
VARIANTS = ["%s-%s" % (compiler, level) for compiler in _COMPILERS for level in _LEVELS]
X87_VARIANTS = [variant + "-x87" for variant in VARIANTS]

_VariantInfo = provider(
    doc = "Guest code of one variant to link with.",
    fields = {"archives": "depset of .a files, users before what they use"},
)

def _variant_aspect_impl(target, ctx):
    parts = ctx.attr.variant.split("-")
    compiler = _COMPILERS[parts[0]]
    way = struct(
        compiler = compiler.path,
        flags = _FLAGS + ["-" + parts[1]] + (compiler.x87 if len(parts) > 2 else []),
        suffix = "." + ctx.attr.variant,
    )
    info = target[VxInfo]
    archive = archive_for_guests(ctx, ctx.rule.attr, ctx.rule.files, way, info.headers, info.includes, info.defines)
    return [_VariantInfo(archives = depset(
        [archive],
        transitive = [dep[_VariantInfo].archives for dep in ctx.rule.attr.deps] +
                     [libc[VxInfo].archives for libc in ctx.rule.attr._libc],
        order = "topological",
    ))]

# Along `deps` alone: the C library stays as it is.
_variant_aspect = aspect(
    implementation = _variant_aspect_impl,
    attr_aspects = ["deps"],
    attrs = {"variant": attr.string(values = VARIANTS + X87_VARIANTS)},
)

def _vx_variant_impl(ctx):
    program = ctx.actions.declare_file(ctx.attr.file)
    archives = [library[_VariantInfo].archives for library in ctx.attr.libraries]
    link_guest(ctx, depset(transitive = archives, order = "topological"), program)
    return [DefaultInfo(files = depset([program]), runfiles = ctx.runfiles([program]))]

_vx_variant = rule(
    implementation = _vx_variant_impl,
    attrs = dict(
        LINK_ATTRS,
        file = attr.string(mandatory = True),
        libraries = attr.label_list(providers = [VxInfo], aspects = [_variant_aspect], cfg = "host"),
        variant = attr.string(values = VARIANTS + X87_VARIANTS),
    ),
)

def vx_variants(name, guests, variants = VARIANTS):
    """Builds guests, with all they link but the C library, in other ways; a test's `data`.

    Makes for every guest, say //decoders/zlib, and variant zlib.gcc-O0.vx, unlike official guests with its symbols
    and debug information, and the same objects as a 32-bit Linux program, zlib.gcc-O0.native32.

    Args:
      name: all the .vx files. NAME_native32: all the Linux programs.
      guests: labels of vx_decoder targets.
      variants: of VARIANTS and X87_VARIANTS.
    """
    forms = {".vx": "runtime", ".native32": "runtime_native32"}
    made = {form: [] for form in forms}
    for guest in guests:
        guest = guest if ":" in guest else "%s:%s" % (guest, guest.split("/")[-1])
        for variant in variants:
            for form, runtime in forms.items():
                file = "%s.%s%s" % (guest.split(":")[-1], variant, form)
                _vx_variant(
                    name = file + "_file",
                    testonly = True,
                    file = file,
                    libraries = [guest + "_main", "//decoders/sdk:" + runtime],
                    tags = ["manual"],
                    variant = variant,
                )
                made[form].append(file + "_file")
    native.filegroup(name = name, testonly = True, srcs = made[".vx"], tags = ["manual"])
    native.filegroup(name = name + "_native32", testonly = True, srcs = made[".native32"], tags = ["manual"])
