"""debian_source: an upstream tarball out of a Debian source package, pinned by SHA-256."""

def _impl(ctx):
    tarball = ctx.attr.orig
    result = ctx.execute(
        [ctx.path(ctx.attr._fetch), ctx.attr.package, ctx.attr.version, tarball],
        timeout = 600,
    )
    if result.return_code != 0:
        fail("cannot fetch Debian source package %s %s:\n%s" % (ctx.attr.package, ctx.attr.version, result.stderr))
    actual = ctx.execute(["sha256sum", tarball]).stdout.split(" ")[0]
    if actual != ctx.attr.sha256:
        fail("%s: SHA-256 is %s, WORKSPACE pins %s" % (tarball, actual, ctx.attr.sha256))
    ctx.execute(["mkdir", "src"])
    result = ctx.execute(["tar", "-xf", tarball, "-C", "src", "--strip-components=1", "--no-same-owner"])
    if result.return_code != 0:
        fail("cannot unpack %s: %s" % (tarball, result.stderr))
    ctx.delete(tarball)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

debian_source = repository_rule(
    implementation = _impl,
    doc = "Unpacks a Debian source package's .orig tarball into src/ (top folder stripped).",
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "orig": attr.string(mandatory = True, doc = "The tarball's file name"),
        "package": attr.string(mandatory = True, doc = "The source package's name"),
        "sha256": attr.string(mandatory = True, doc = "The tarball's SHA-256, in hex"),
        "version": attr.string(mandatory = True, doc = "The package's version; another is tried if it is gone"),
        "_fetch": attr.label(default = "//third_party:fetch_debian_source.sh", allow_single_file = True),
    },
)
