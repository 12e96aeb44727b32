"""vx_embed: guest files inside a host program, as read-only data."""

def _symbol(guest):
    return "vxa_guest_" + "".join([
        c if c.isalnum() else "_"
        for c in guest.basename[:-len(".vx")].elems()
    ])

def _impl(ctx):
    guests = ctx.files.guests
    data = ctx.actions.declare_file(ctx.label.name + ".S")
    table = ctx.actions.declare_file(ctx.label.name + ".cc")

    # The guest's hash is there so that this file, and with it the program, changes whenever the guest does.
    lines = []
    for guest in guests:
        lines.append(
            ("sha256sum {path}; echo '\t.globl {name}, {name}_end\n\t.balign 16\n{name}:\n" +
             "\t.incbin \"{path}\"\n{name}_end:'").format(name = _symbol(guest), path = guest.path),
        )
    ctx.actions.run_shell(
        command = "{ echo '\t.section .rodata'; %s; echo '\t.section .note.GNU-stack,\"\",%%progbits'; } | " %
                  "; ".join(lines) + "sed 's,^[0-9a-f]\\{64\\} .*,/* & */,' > " + data.path,
        inputs = guests,
        outputs = [data],
        mnemonic = "VxEmbed",
    )

    symbols = sorted([(guest.basename[:-len(".vx")], _symbol(guest)) for guest in guests])
    ctx.actions.write(table, """\
#include "decoders/builtin.h"

extern "C" const char {declarations};

namespace vxa::decoders {{

std::span<const Builtin> {function}() {{
  static const Builtin kBuiltins[] = {{
{rows}
  }};
  return kBuiltins;
}}

}}  // namespace vxa::decoders
""".format(
        function = ctx.attr.function,
        declarations = ", ".join(["%s[], %s_end[]" % (symbol, symbol) for _, symbol in symbols]),
        rows = "\n".join([
            "      {\"%s\", {%s, static_cast<size_t>(%s_end - %s)}}," % (name, symbol, symbol, symbol)
            for name, symbol in symbols
        ]),
    ))
    return [DefaultInfo(files = depset([data, table]))]

_vx_embed = rule(
    implementation = _impl,
    attrs = {
        "function": attr.string(mandatory = True),
        "guests": attr.label_list(allow_files = [".vx"]),
    },
)

def vx_embed(name, function, guests, **kwargs):
    """A host library that holds guests and lists them as decoders/builtin.h says.

    Args:
      name: the cc_library's name.
      function: the one of builtin.h that lists them.
      guests: vx_decoder targets; the table has their names without `.vx`, sorted.
      **kwargs: visibility and the like.
    """
    _vx_embed(
        name = name + "_data",
        function = function,
        guests = guests,
    )
    native.cc_library(
        name = name,
        srcs = [name + "_data"],
        hdrs = ["builtin.h"],
        # .incbin reads them while the assembler runs.
        textual_hdrs = guests,
        **kwargs
    )
