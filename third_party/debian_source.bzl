"""debian_source: an upstream tarball and chosen patches out of a Debian source package, each pinned by SHA-256.

What is pinned is what is used: the .orig tarball, which Debian keeps across its own revisions, and each
patch by itself. So the files come out the same, whichever revision of the package a mirror still has.
"""

def _run(ctx, what, command, **kwargs):
    result = ctx.execute(command, **kwargs)
    if result.return_code != 0:
        fail("%s %s: cannot %s:\n%s%s" % (
            ctx.attr.package,
            ctx.attr.version,
            what,
            result.stdout,
            result.stderr,
        ))
    return result.stdout

def _check_sha256(ctx, path, expected):
    actual = _run(ctx, "hash " + path, ["sha256sum", path]).split(" ")[0]
    if actual != expected:
        fail("%s %s: SHA-256 of %s is %s, WORKSPACE pins %s" % (
            ctx.attr.package,
            ctx.attr.version,
            path,
            actual,
            expected,
        ))

def _upstream_version(version):
    """Upstream's version in a Debian one: without epoch, revision, and the mark of a repacked tarball."""
    return version.split(":")[-1].rpartition("-")[0].split("+")[0].split(".dfsg")[0]

def _provenance(ctx):
    """What programs say of this source in their notes (decoders/README.md, What a decoder says of itself)."""
    name = ctx.name.replace("_", "-")
    version = _upstream_version(ctx.attr.version)
    lines = ["source: %s %s (%s) %s sha256:%s" % (name, version, ctx.attr.license, ctx.attr.orig, ctx.attr.sha256)]
    lines += ["patch: %s sha256:%s" % patch for patch in ctx.attr.patches.items()]
    return "\n".join(lines) + "\n"

def _impl(ctx):
    fetch = [ctx.path(ctx.attr._fetch), ctx.attr.package, ctx.attr.version, ctx.attr.orig]
    _run(ctx, "fetch", fetch, timeout = 600)
    _check_sha256(ctx, ctx.attr.orig, ctx.attr.sha256)
    _run(ctx, "make folders", ["mkdir", "src", "upstream"])
    untar = ["tar", "--no-same-owner", "-xf"]
    _run(ctx, "unpack", untar + [ctx.attr.orig, "-C", "src", "--strip-components=1"])
    _run(ctx, "keep the tarball", ["mv", ctx.attr.orig, "upstream/"])
    for patch, sha256 in ctx.attr.patches.items():
        path = "debian/patches/" + patch
        _run(ctx, "find " + path, untar + ["debian.tar", path])
        _check_sha256(ctx, path, sha256)
        _run(ctx, "apply " + patch, ["patch", "-p1", "-d", "src", "--fuzz=0", "-i", "../" + path])
        _run(ctx, "keep " + patch, ["mv", path, "upstream/"])

    # A folder with a BUILD file would be another package, whose files ours cannot name.
    _run(ctx, "remove upstream's BUILD files", ["find", "src", "-type", "f", "-name", "BUILD", "-delete"])
    ctx.file("upstream/BUILD.bazel", """filegroup(
    name = "upstream",
    srcs = glob(["*"], exclude = ["BUILD.bazel"]),
    visibility = ["//visibility:public"],
)
""", executable = False)
    for leftover in ["debian.tar", "debian"]:
        ctx.delete(leftover)
    ctx.file("PROVENANCE", _provenance(ctx), executable = False)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

debian_source = repository_rule(
    implementation = _impl,
    doc = "Unpacks a Debian source package's .orig tarball into src/ (top folder stripped) and patches it; writes " +
          "PROVENANCE; keeps the tarball and the patches in upstream/.",
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "license": attr.string(mandatory = True, doc = "SPDX expression of what guests hold of it"),
        "orig": attr.string(mandatory = True, doc = "The upstream tarball's file name"),
        "package": attr.string(mandatory = True, doc = "The source package's name"),
        "patches": attr.string_dict(
            doc = "Which of debian/patches to apply, in this order, each with its SHA-256: " +
                  "those that mend what guests use (security above all)",
        ),
        "sha256": attr.string(mandatory = True, doc = "The tarball's SHA-256, in hex"),
        "version": attr.string(mandatory = True, doc = "The package's version; another is tried if it is gone"),
        "_fetch": attr.label(default = "//third_party:fetch_debian_source.sh", allow_single_file = True),
    },
)
