"""fuzzer: a program of libFuzzer's, and its short run as a test.

What a fuzzer watches, its `subjects`, is compiled by clang with coverage and sanitizers; all else that it links is
what everything else links, compiled by gcc. So an aspect goes through the libraries and says how clang would compile
each; of that Bazel does what somebody asks for. (A second C++ toolchain and a transition to it would compile all,
decoders for guests too, another time.)
"""

_ClangInfo = provider(
    doc = "A library and what it depends on, as clang would compile them.",
    fields = {"objects": "depset of (label, sanitizers, object file)"},
)

# By name, what a fuzzer's `sanitizers` may be. An exclusive guest has the addresses where AddressSanitizer keeps its own.
_SANITIZERS = {
    "address": ["-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize=vptr,function", "-fno-sanitize-recover=all"],
    "none": ["-fsanitize=fuzzer-no-link"],
}
_CLANG = "/usr/bin/clang++-14"
_FLAGS = ["-std=c++20", "-O1", "-gline-tables-only", "-fno-omit-frame-pointer", "-fPIE"]

def _compile(ctx, sources, inputs, context, copts, sanitizers):
    objects = []
    for source in sources:
        if source.extension not in ("cc", "S"):
            continue
        compiled = ctx.actions.declare_file("_clang/%s/%s/%s.o" % (ctx.label.name, sanitizers, source.basename))
        args = ctx.actions.args()
        args.add_all(_FLAGS + _SANITIZERS[sanitizers] + copts)
        if source.extension == "S":
            args.add("-fno-integrated-as")
        args.add_all(context.defines, format_each = "-D%s")
        args.add_all(context.quote_includes, before_each = "-iquote")
        args.add_all(context.includes, before_each = "-I")
        args.add_all(context.system_includes, before_each = "-isystem")
        args.add_all(["-c", source, "-o", compiled])
        ctx.actions.run(
            executable = _CLANG,
            arguments = [args],
            inputs = depset(inputs, transitive = [context.headers]),
            outputs = [compiled],
            env = {"PATH": "/usr/bin:/bin"},
            mnemonic = "ClangCompile",
            progress_message = "Compiling %s for fuzzers" % source.short_path,
        )
        objects.append(compiled)
    return objects

def _clang_impl(target, ctx):
    objects = []
    if ctx.rule.kind == "cc_library":
        files = ctx.rule.files
        for sanitizers in _SANITIZERS:
            for compiled in _compile(
                ctx,
                files.srcs,
                files.srcs + files.textual_hdrs,
                target[CcInfo].compilation_context,
                ctx.rule.attr.copts,
                sanitizers,
            ):
                objects.append((ctx.label, sanitizers, compiled))
    deps = getattr(ctx.rule.attr, "deps", [])
    return [_ClangInfo(objects = depset(
        objects,
        transitive = [dep[_ClangInfo].objects for dep in deps if _ClangInfo in dep],
    ))]

_clang = aspect(implementation = _clang_impl, attr_aspects = ["deps"])

def _is_subject(ctx, label):
    own = [label.package, label.package + ":" + label.name]
    return any([subject in own or label.package.startswith(subject + "/") for subject in ctx.attr.subjects])

def _fuzzer_impl(ctx):
    cc = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps])
    inputs = _compile(
        ctx,
        ctx.files.srcs,
        ctx.files.srcs,
        cc.compilation_context,
        [],
        ctx.attr.sanitizers,
    )
    for dep in ctx.attr.deps:
        for label, sanitizers, compiled in dep[_ClangInfo].objects.to_list():
            if sanitizers == ctx.attr.sanitizers and _is_subject(ctx, label):
                inputs.append(compiled)
    inputs = depset(inputs).to_list()

    linkopts = []
    for linked in cc.linking_context.linker_inputs.to_list():
        linkopts += linked.user_link_flags
        if not _is_subject(ctx, linked.owner):
            inputs += [library.pic_static_library or library.static_library for library in linked.libraries]

    program = ctx.actions.declare_file(ctx.label.name)
    args = ctx.actions.args()
    args.add_all([flag.replace("fuzzer-no-link", "fuzzer") for flag in _SANITIZERS[ctx.attr.sanitizers]])
    args.add_all(["-pie", "-o", program, "-Wl,--start-group"])
    args.add_all(inputs)
    args.add("-Wl,--end-group")
    args.add_all(linkopts)
    args.add("-lpthread")
    ctx.actions.run(
        executable = _CLANG,
        arguments = [args],
        inputs = inputs,
        outputs = [program],
        env = {"PATH": "/usr/bin:/bin"},
        mnemonic = "ClangLink",
        progress_message = "Linking %s" % program.short_path,
    )
    runfiles = ctx.runfiles(files = ctx.files.data)
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = program, runfiles = runfiles)]

_fuzzer = rule(
    implementation = _fuzzer_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "deps": attr.label_list(aspects = [_clang], providers = [CcInfo]),
        "sanitizers": attr.string(values = _SANITIZERS.keys()),
        "srcs": attr.label_list(allow_files = [".cc", ".h"]),
        "subjects": attr.string_list(),
    },
    executable = True,
)

def fuzzer(name, deps, subjects, runs, sanitizers = "address", max_len = 4096, data = []):
    """NAME_fuzzer, and NAME_fuzz_test that runs it for a while, always the same way.

    Args:
      name: of its source, NAME_fuzzer.cc, and of its seeds' folder, corpus/NAME.
      deps: libraries.
      subjects: packages whose code it watches, with those below; or "package:library".
      runs: how many inputs the test tries.
      sanitizers: "address" (and undefined behaviour), or "none".
      max_len: bytes of an input.
      data: what it needs when it runs.
    """
    _fuzzer(
        name = name + "_fuzzer",
        testonly = True,
        srcs = [name + "_fuzzer.cc", "check.h", "input.h"],
        sanitizers = sanitizers,
        subjects = subjects,
        tags = ["fuzz"],
        data = data,
        deps = deps,
    )
    native.filegroup(
        name = name + "_seeds",
        testonly = True,
        srcs = native.glob(["corpus/%s/**" % name]),
    )
    options = ["-max_len=%d" % max_len, "-timeout=60", "-rss_limit_mb=1024"]

    # For tools/fuzz: the options, one a line.
    native.genrule(
        name = name + "_options",
        testonly = True,
        outs = [name + ".options"],
        cmd = "printf '%%s\\n' %s > $@" % " ".join(options),
    )
    native.sh_test(
        name = name + "_fuzz_test",
        size = "medium",
        srcs = ["run_fuzzer.sh"],
        args = ["$(rootpath :%s_fuzzer)" % name, "-runs=%d" % runs] + options + ["--", "$(rootpaths :%s_seeds)" % name],
        data = [":%s_fuzzer" % name, ":%s_seeds" % name],
        tags = ["fuzz"],
    )
