// The guests that this build brings along, as data: decoders, which an archive copies into itself
// before it stores the first object that needs one, and the encoders that go with them.
#ifndef DECODERS_BUILTIN_H_
#define DECODERS_BUILTIN_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace vxa::decoders {

struct Builtin {
  std::string_view name;  // of its file: "zlib", "zlib_encode"
  std::string_view elf;   // the guest program, a static ELF32, 16-byte aligned
};

// All decoders (//decoders:builtin) and all encoders (//decoders:builtin_encoders), sorted by name.
// The data is constant and lives as long as the program. Thread-safe.
std::span<const Builtin> Builtins();
std::span<const Builtin> Encoders();

}  // namespace vxa::decoders

#endif  // DECODERS_BUILTIN_H_
