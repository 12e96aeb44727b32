"""decoder_test: one test of guests, run in every way that there is."""

load("//vxengine:engines.bzl", "ENGINES")
load("//vxengine/hosts:hosts.bzl", "HOSTS", "host_args", "host_tags", "vxmachine_label")

def _full(label):
    return label if ":" in label else "%s:%s" % (label, label.split("/")[-1])

# Tests that are always run on some other hosts too, where all take minutes; the rest with
# `tools/test --hosts`.
ON_HOSTS = ["bzip2_test", "zlib_test"]

def decoder_test(name, srcs, guests, deps = [], **kwargs):
    """A GoogleTest that calls RunGuest() (decoders/testing/run_guest.h).

    Makes NAME, which is NAME_interpreter, NAME_exclusive and NAME_shared, the test in the sandbox on each of the
    engines; NAME_HOST, on the portable machine of another host; and on demand NAME_native32, which runs the same objects as 32-bit Linux programs: where only one of them
    fails, it isn't the decoder.

    Args:
      name: the test's name.
      srcs: the test.
      guests: labels of vx_decoder targets, in full.
      deps: further libraries.
      **kwargs: size and the like.
    """
    native.cc_library(
        name = name + "_cases",
        testonly = True,
        srcs = srcs,
        deps = deps + ["//decoders/testing:run_guest", "//third_party:gtest"],
        alwayslink = True,
    )
    for engine, args in ENGINES.items():
        native.cc_test(
            name = "%s_%s" % (name, engine),
            args = args,
            data = guests,
            deps = [name + "_cases", "//decoders/testing:engine_main"],
            **kwargs
        )
    for host in HOSTS:
        native.cc_test(
            name = "%s_%s" % (name, host),
            args = host_args(host),
            data = guests + [vxmachine_label(host)],
            tags = ["another-host", "manual"] if name not in ON_HOSTS else host_tags(host),
            deps = [name + "_cases", "//decoders/testing:engine_main"],
            # An emulated host is some twenty times as slow.
            **dict(kwargs, size = "medium")
        )
    native.test_suite(
        name = name,
        tests = ["%s_%s" % (name, engine) for engine in ENGINES],
    )
    native.cc_test(
        name = name + "_native32",
        # RunGuest's other form needs the .native32 files, the test itself perhaps the guests.
        data = guests + [_full(guest) + ".native32" for guest in guests],
        tags = ["manual"],
        deps = [name + "_cases", "//decoders/testing:run_guest_native32", "//third_party:gtest_main"],
        **kwargs
    )
