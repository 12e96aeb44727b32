// Names for code addresses from an image's own symbol table. The table is a claim by whoever made
// the image: good for messages to people, nothing else.
#ifndef VXENGINE_MACHINE_SYMBOLS_H_
#define VXENGINE_MACHINE_SYMBOLS_H_

#include <cstdint>
#include <span>
#include <string>

namespace vx {

// "inflate_fast+0x1f2" for an address in a function of the first SHT_SYMTAB section, "" if there is
// none or the table doesn't hold together. A function of size 0 (assembly often has no better)
// reaches up to the next one. The name is cut at 128 bytes, and has '?' for all that isn't
// printable ASCII. Any bytes are safe to pass; takes time in proportion to the table's size.
std::string SymbolizeAddress(std::span<const uint8_t> elf, uint32_t address);

}  // namespace vx

#endif  // VXENGINE_MACHINE_SYMBOLS_H_
