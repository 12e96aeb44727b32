"""vxa_cc_proto: C++ of a .proto file by Debian's protoc, and the file itself for other languages."""

def vxa_cc_proto(name, src, deps = [], imports = [], grpc = False):
    """A cc_library of the messages in `src`, and of its services where `grpc` is set.

    Args:
      name: of the cc_library.
      src: the .proto file, below proto/.
      deps: vxa_cc_proto libraries that it imports.
      imports: the .proto files of those.
      grpc: whether it has services.
    """
    stem = src[:-len(".proto")]
    outs = [stem + ".pb.h", stem + ".pb.cc"]
    plugin = ""
    if grpc:
        outs += [stem + ".grpc.pb.h", stem + ".grpc.pb.cc"]
        plugin = "--grpc_out=$(RULEDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    native.genrule(
        name = name + "_generated",
        srcs = [src] + imports,
        outs = outs,
        cmd = "protoc -Iproto --cpp_out=$(RULEDIR) %s proto/%s" % (plugin, src),
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-w"],
        includes = ["."],
        deps = deps + [
            "//third_party:protobuf",
        ] + (["//third_party:grpc"] if grpc else []),
    )
