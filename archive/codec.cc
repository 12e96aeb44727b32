#include "archive/codec.h"

#include <bzlib.h>
#include <zlib.h>

#include <algorithm>

#include "decoders/builtin.h"

namespace vxa {
namespace {

// zlib's own default: levels above save a percent or two and cost twice the time.
constexpr int kDeflateLevel = 6;

std::optional<std::string> Store(std::string_view chunk, uint64_t most) {
  if (chunk.size() > most) return std::nullopt;
  return std::string(chunk);
}

// A zlib stream (RFC 1950).
std::optional<std::string> Deflate(std::string_view chunk, uint64_t most) {
  uLongf size = std::min<uint64_t>(most, compressBound(chunk.size()));
  std::string encoded(size, '\0');
  const int result =
      compress2(reinterpret_cast<Bytef*>(encoded.data()), &size,
                reinterpret_cast<const Bytef*>(chunk.data()), chunk.size(), kDeflateLevel);
  if (result != Z_OK) return std::nullopt;  // Z_BUF_ERROR: more than `most`
  encoded.resize(size);
  encoded.shrink_to_fit();
  return encoded;
}

// A bzip2 stream of one or more blocks of at most 900,000 bytes, the largest that there are. A
// short chunk gets a smaller block, which compresses as well and lets its decoder do with less
// memory.
std::optional<std::string> Bzip2(std::string_view chunk, uint64_t most) {
  const auto hundreds_of_kilobytes =
      static_cast<int>(std::clamp<uint64_t>((chunk.size() + 99'999) / 100'000, 1, 9));
  // As much as its manual says that it can take.
  const uint64_t longest = chunk.size() + chunk.size() / 100 + 600;
  auto size = static_cast<unsigned>(std::min(most, longest));
  std::string encoded(size, '\0');
  const int result = BZ2_bzBuffToBuffCompress(
      encoded.data(), &size, const_cast<char*>(chunk.data()), static_cast<unsigned>(chunk.size()),
      hundreds_of_kilobytes, /*verbosity=*/0, /*workFactor=*/0);
  if (result != BZ_OK) return std::nullopt;  // BZ_OUTBUFF_FULL: more than `most`
  encoded.resize(size);
  encoded.shrink_to_fit();
  return encoded;
}

}  // namespace

const std::vector<Codec>& Codecs() {
  static const auto* codecs = new std::vector<Codec>{
      {"store", "", "", Store},
      {"deflate", "zlib", "zlib", Deflate},
      {"bzip2", "bzip2", "", Bzip2},
  };
  return *codecs;
}

const Codec& StoreCodec() { return Codecs()[0]; }
const Codec& GeneralCodec() { return Codecs()[1]; }

const Codec* FindCodec(std::string_view name) {
  auto found = std::ranges::find(Codecs(), name, &Codec::name);
  return found == Codecs().end() ? nullptr : &*found;
}

std::optional<DecoderImage> BuiltinDecoder(std::string_view name) {
  static const auto* images = [] {
    auto* table = new std::vector<std::pair<std::string_view, DecoderImage>>;
    for (const decoders::Builtin& builtin : decoders::Builtins()) {
      table->push_back({builtin.name, {Digest::Of(builtin.elf), builtin.elf}});
    }
    return table;
  }();
  for (const auto& [known, image] : *images) {
    if (known == name) return image;
  }
  return std::nullopt;
}

}  // namespace vxa
