// The decoders that this build brings along, as data: what an archive copies into itself before it
// stores the first object that needs one.
#ifndef DECODERS_BUILTIN_H_
#define DECODERS_BUILTIN_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace vxa::decoders {

struct Builtin {
  std::string_view name;  // of its folder: "zlib"
  std::string_view elf;   // the guest program, a static ELF32, 16-byte aligned
};

// All of them, sorted by name. The data is constant and lives as long as the program. Thread-safe.
std::span<const Builtin> Builtins();

}  // namespace vxa::decoders

#endif  // DECODERS_BUILTIN_H_
