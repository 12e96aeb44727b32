#include "archive/codec.h"

#include <algorithm>
#include <map>
#include <span>

#include "decoders/builtin.h"

namespace vxa {
namespace {

using Images = std::map<std::string_view, DecoderImage>;

Images* ImagesOf(std::span<const decoders::Builtin> programs) {
  auto* images = new Images;
  for (const decoders::Builtin& program : programs) {
    images->insert({program.name, {Digest::Of(program.elf), program.elf}});
  }
  return images;
}

std::optional<DecoderImage> Find(const Images& images, std::string_view name) {
  auto found = images.find(name);
  if (found == images.end()) return std::nullopt;
  return found->second;
}

}  // namespace

const std::vector<Codec>& Codecs() {
  static const auto* codecs = new std::vector<Codec>{
      {"store", "", "", ""},
      {"deflate", "zlib", "--format=zlib", "zlib_encode"},
      {"bzip2", "bzip2", "", "bzip2_encode"},
      {"zstd", "zstd", "", "zstd_encode"},
      {"xz", "xz", "", "xz_encode"},
      {"brotli", "brotli", "", "brotli_encode"},
      {"lz4", "lz4", "", "lz4_encode"},
      {"flac", "flac", "--restore", "flac_encode", true},
      {"png", "png", "--restore", "png_encode", true},
  };
  return *codecs;
}

const Codec& StoreCodec() { return Codecs()[0]; }
const Codec& GeneralCodec() { return *FindCodec("zstd"); }

const Codec* FindCodec(std::string_view name) {
  auto found = std::ranges::find(Codecs(), name, &Codec::name);
  return found == Codecs().end() ? nullptr : &*found;
}

std::optional<DecoderImage> BuiltinDecoder(std::string_view name) {
  static const Images* images = ImagesOf(decoders::Builtins());
  return Find(*images, name);
}

std::optional<DecoderImage> BuiltinEncoder(std::string_view name) {
  static const Images* images = ImagesOf(decoders::Encoders());
  return Find(*images, name);
}

}  // namespace vxa
