"""decoder_test: one test of guests, run two ways."""

def _full(label):
    return label if ":" in label else "%s:%s" % (label, label.split("/")[-1])

def decoder_test(name, srcs, guests, deps = [], **kwargs):
    """A GoogleTest that calls RunGuest() (decoders/testing/run_guest.h).

    Makes NAME, which runs the guests in the sandbox, and on demand NAME_native32, which runs the same objects as
    32-bit Linux programs: where only one of them fails, it isn't the decoder.

    Args:
      name: the test's name.
      srcs: the test.
      guests: labels of vx_decoder targets, in full.
      deps: further libraries.
      **kwargs: size and the like.
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        data = guests,
        deps = deps + ["//decoders/testing:run_guest_vx", "//third_party:gtest_main"],
        **kwargs
    )
    native.cc_test(
        name = name + "_native32",
        srcs = srcs,
        # RunGuest's other form needs the .native32 files, the test itself perhaps the guests.
        data = guests + [_full(guest) + ".native32" for guest in guests],
        tags = ["manual"],
        deps = deps + ["//decoders/testing:run_guest_native32", "//third_party:gtest_main"],
        **kwargs
    )
