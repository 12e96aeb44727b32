// What must hold of every codec: what its encoder makes, its archived decoder undoes, in the
// sandbox that chunks are proved in.
#include "archive/codec.h"

#include <string>
#include <vector>

#include "archive/encoder.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

// Runs the guests of a codec as the archive does.
class CodecTest : public ::testing::TestWithParam<Codec> {
 protected:
  // What a file of the codec's kind consists of; the codecs for all kinds take anything.
  static std::string FileOf(std::string_view samples) {
    std::string file;
    if (GetParam().name == "flac") file = WavHeader(samples.size());
    if (GetParam().name == "png")
      file = "P6 100 " + std::to_string(samples.size() / 300) + " 255\n";
    return file.append(samples);
  }

  std::optional<std::string> Encode(std::string_view chunk, uint64_t most = UINT64_MAX) {
    return Encode({.bytes = chunk, .head = chunk.substr(0, kEncoderHead)}, most);
  }

  std::optional<std::string> Encode(const ChunkToEncode& chunk, uint64_t most = UINT64_MAX) {
    absl::StatusOr<std::optional<std::string>> encoded =
        EncodeChunk(runner_, GetParam(), chunk, most, nullptr, {});
    if (encoded.ok()) return *std::move(encoded);
    ADD_FAILURE() << encoded.status();
    return std::nullopt;
  }

  // What the codec's decoder makes of `encoded`.
  std::string Decode(std::string_view encoded) {
    const std::optional<DecoderImage> image = BuiltinDecoder(GetParam().decoder);
    if (!image) return "no decoder";
    const DecoderRunner::Job job{
        .decode = DecodeMessage(image->digest, SoleArgument(GetParam().argument),
                                vx::Profile::kVx2026, {.memory = uint64_t{64} << 20}),
        .image = image->elf};
    std::string decoded;
    absl::StatusOr<DecoderRunner::Decoded> run =
        runner_.RunOnBytes(job, {&encoded, 1}, {}, &decoded);
    if (!run.ok()) return run.status().ToString();
    EXPECT_EQ(run->run.description, "exit status 0");
    return decoded;
  }

  static std::vector<std::string> Chunks() {
    std::vector<std::string> chunks = {FileOf(Text(150'000, 1)), FileOf(Noise(150'000, 2)),
                                       FileOf(std::string(150'000, '\0'))};
    if (!GetParam().is_for_a_format) chunks.insert(chunks.end(), {"", "x"});
    return chunks;
  }

 private:
  PackFiles no_packs_{Env::Real(), "/nonexistent"};
  DecoderRunner runner_{no_packs_, &Workers(), {}};
};

TEST_P(CodecTest, ItsDecoderGivesEveryChunkBack) {
  for (const std::string& chunk : Chunks()) {
    const std::optional<std::string> encoded = Encode(chunk);
    ASSERT_TRUE(encoded) << chunk.size();
    EXPECT_TRUE(Decode(*encoded) == chunk) << chunk.size();
  }
}

TEST_P(CodecTest, ItsDecoderGivesAChunkOfTheLargestSizeBack) {
  const std::string chunk = FileOf(Noise(1 << 19, 1) + Text(7 << 19, 2)).substr(0, 4 << 20);
  EXPECT_TRUE(Decode(*Encode(chunk)) == chunk);
}

TEST_P(CodecTest, ItsDecoderGivesAChunkFromWithinAnObjectBack) {
  const std::string object = FileOf(Text(200'000, 1));
  for (uint64_t offset : {70'001u, 100'000u}) {
    const std::string chunk = object.substr(offset, 70'003);
    const std::optional<std::string> encoded =
        Encode({.bytes = chunk, .offset = offset, .head = object.substr(0, kEncoderHead)});
    ASSERT_TRUE(encoded) << offset;
    EXPECT_TRUE(Decode(*encoded) == chunk) << offset;
  }
}

TEST_P(CodecTest, GivesAllOrNothingOfWhatIsLongerThanWanted) {
  for (const std::string& chunk : Chunks()) {
    const std::string encoded = *Encode(chunk);
    EXPECT_TRUE(Encode(chunk, encoded.size()) == encoded) << chunk.size();
    if (encoded.empty()) continue;
    EXPECT_FALSE(Encode(chunk, encoded.size() - 1)) << chunk.size();
    EXPECT_FALSE(Encode(chunk, 0)) << chunk.size();
  }
}

TEST_P(CodecTest, RefusesWhatItIsNotFor) {
  if (GetParam().is_for_a_format) {
    EXPECT_FALSE(Encode(""));
    EXPECT_FALSE(Encode(Text(150'000, 1)));
  } else {
    EXPECT_TRUE(Encode(Text(150'000, 1)));
  }
}

TEST_P(CodecTest, IsFoundByItsNameAlone) {
  const Codec* found = FindCodec(GetParam().name);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->name, GetParam().name);
  EXPECT_EQ(FindCodec(std::string(GetParam().name) + " "), nullptr);
}

// All but the one that does nothing.
INSTANTIATE_TEST_SUITE_P(Codecs, CodecTest,
                         ::testing::ValuesIn(Codecs().begin() + 1, Codecs().end()),
                         [](const ::testing::TestParamInfo<Codec>& info) {
                           return std::string(info.param.name);
                         });

TEST(CodecTableTest, NamesWhatTheArchiveChoosesByItself) {
  EXPECT_EQ(StoreCodec().name, "store");
  EXPECT_EQ(StoreCodec().encoder, "");
  EXPECT_EQ(GeneralCodec().name, "zstd");
}

}  // namespace
}  // namespace vxa::testing
