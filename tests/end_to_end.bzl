"""end_to_end_test: a Python test that talks to real server processes."""

# Guests that tests register as decoders (harness.guest).
GUESTS = ["cat", "echo_args", "fault", "hog", "misbehave", "xor"]

def end_to_end_test(name, data = [], **kwargs):
    """Runs NAME.py (a unittest that ends with harness.main()) on Debian's Python, beside the binaries it starts.

    Args:
      name: the test's name.
      data: what it needs beside those.
      **kwargs: timeout and the like.
    """
    native.sh_test(
        name = name,
        srcs = ["run_python.sh"],
        args = ["$(location %s.py)" % name],
        data = [
            name + ".py",
            "harness.py",
            ":python_api",
            "//client:vxa",
            "//server:vxad",
            "//vxengine:vxworker",
        ] + ["//decoders/testing:" + guest for guest in GUESTS] + data,
        **kwargs
    )
