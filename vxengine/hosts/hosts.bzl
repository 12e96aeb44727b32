"""Hosts that the portable machine is tried on beside this one, with Debian's cross compilers and qemu-user."""

# The compiler is PREFIX-linux-gnu-g++, the emulator qemu-NAME.
HOSTS = {
    "aarch64": struct(prefix = "aarch64", emulator = "qemu-aarch64"),
    "ppc64le": struct(prefix = "powerpc64le", emulator = "qemu-ppc64le"),
    "riscv64": struct(prefix = "riscv64", emulator = "qemu-riscv64"),
    "s390x": struct(prefix = "s390x", emulator = "qemu-s390x"),  # big-endian
}

# Those that every run of all tests takes in. The others' compilers come with `tools/test --hosts`.
ALWAYS = ["aarch64", "s390x"]

def host_tags(host):
    return ["another-host"] if host in ALWAYS else ["another-host", "manual"]

def vxmachine(host):
    """vxmachine_HOST: the portable machine as a program for that host."""
    native.genrule(
        name = "vxmachine_" + host,
        srcs = [
            "vxmachine.cc",
            "machine_protocol.cc",
            "machine_protocol.h",
            "//vxengine:abi.h",
            "//vxengine:outcome_bytes.h",
            "//vxengine/machine:sources",
        ],
        outs = ["vxmachine." + host],
        cmd = "%s-linux-gnu-g++ -std=c++20 -O1 -DNDEBUG -static -I. -o $@ $$(printf '%%s\\n' $(SRCS) | grep '[.]cc$$')" %
              HOSTS[host].prefix,
        message = "Cross compiling",
        tags = host_tags(host),
    )

def vxmachine_label(host):
    return "//vxengine/hosts:vxmachine_" + host

def host_args(host):
    """A test's flags to run guests on that host's vxmachine, which has to be among its data."""
    return ["--machine=%s:$(rootpath %s)" % (HOSTS[host].emulator, vxmachine_label(host))]
